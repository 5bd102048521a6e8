"""The index answers in the shapes that the playbooks answer in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.livchat.setup.plugins.plugin_utils._applications import applications
from pydantic import TypeAdapter

from livchat_cli import Client, results
from livchat_cli.errors import LivchatError
from livchat_cli.operations import OPERATIONS, get
from tests.throwaway import ROOT
from tests.unit.api.running import state


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HCLOUD_TOKEN", "LIVCHAT_VAULT_PASSWORD_FILE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "state.json").write_text(json.dumps(state(3, 3)))
    return tmp_path


def look(home: Path, operation: str, **values: Any) -> Any:
    return Client(home).look(get(operation), values)


def test_servers_are_as_the_playbooks_show_them(home: Path) -> None:
    # Without a provider's token they show the adopted ones.
    live = Client(home).run("server.list")
    assert [one["name"] for one in live] == ["s0", "s2"]
    indexed = {one["name"]: one for one in look(home, "server.list")}
    for server in live:
        mine = indexed[server["name"]]
        assert set(server) <= set(mine)
        assert {key: mine[key] for key in server if key not in ("metadata", "resources")} == {
            key: value for key, value in server.items() if key not in ("metadata", "resources")
        }
        assert server["metadata"].items() <= mine["metadata"].items()
        assert server["resources"].items() <= mine["resources"].items()
    shown = look(home, "server.show", name="s0")
    assert indexed["s0"].items() <= shown.items()
    assert [one["instance"] for one in shown["installed"]] == ["app-2", "n8n", "postgres"]


def test_the_declared_types_have_the_fields_that_the_playbooks_hand_over() -> None:
    plays = yaml.safe_load((ROOT / "playbooks" / "server_show.yml").read_text())
    assert set(results.ServerDetails.model_fields) == {*results.Server.model_fields, *plays[-1]["vars"]["show_live"]}
    service = {"stack": "n8n", "running": 1, "replicas": 1, "labels": {"livchat.app": "n8n"}}
    (found,) = applications({"services": [service]})
    TypeAdapter(results.Instance).validate_python(found, strict=True)


def test_what_is_indexed_is_of_the_declared_types(home: Path) -> None:
    indexed = [one for one in OPERATIONS if one.index]
    assert {one.name for one in indexed} == {"server.list", "server.show", "app.list"}
    for operation in indexed:
        values = {"name": "s1"} if operation.name == "server.show" else {}
        found = Client(home).look(operation, values)
        assert found
        TypeAdapter(getattr(results, operation.result)).validate_python(found, strict=True)


def test_an_entry_that_only_says_a_little_is_shown_whole(home: Path) -> None:
    tree = state(1, 1)
    tree["servers"]["s0"] = {"name": "s0"}
    tree["applications"]["s0/n8n"] = {"name": "n8n", "instance": "n8n"}
    (home / "state.json").write_text(json.dumps(tree))
    TypeAdapter(results.Servers).validate_python(look(home, "server.list"), strict=True)
    TypeAdapter(results.InstalledApps).validate_python(look(home, "app.list"), strict=True)


def test_applications_can_be_asked_for_by_server(home: Path) -> None:
    assert [one["instance"] for one in look(home, "app.list", target=["s1"])] == ["app-2", "n8n", "postgres"]
    assert len(look(home, "app.list")) == 9
    with pytest.raises(LivchatError, match="SERVER_UNKNOWN"):
        look(home, "app.list", target=["s1", "gone"])
    with pytest.raises(LivchatError, match="SERVER_UNKNOWN"):
        look(home, "server.show", name="gone")


def test_what_was_removed_and_left_its_data_is_not_installed(home: Path) -> None:
    tree = state(1, 2)
    tree["applications"]["s0/n8n"]["status"] = "uninstalled"
    (home / "state.json").write_text(json.dumps(tree))
    assert [one["instance"] for one in look(home, "app.list")] == ["postgres"]
    assert [one["instance"] for one in look(home, "server.show", name="s0")["installed"]] == ["postgres"]


def test_a_change_is_seen_and_a_file_is_read_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(look(home, "server.list")) == 3
    reads: list[str] = []
    real = json.loads
    monkeypatch.setattr(json, "loads", lambda text, **more: (reads.append(text[:1]), real(text, **more))[1])
    look(home, "server.list")
    look(home, "app.list")
    assert not reads
    (home / "new.json").write_text(json.dumps(state(4, 1)))
    (home / "new.json").replace(home / "state.json")
    assert len(look(home, "server.list")) == 4
    assert len(reads) == 1


def test_a_damaged_index_says_so(home: Path) -> None:
    (home / "state.json").write_text("{}")
    with pytest.raises(LivchatError, match="HOME_DAMAGED"):
        look(home, "server.list")


def test_deployments_are_listed_the_newest_first_and_go_on_after_one(home: Path) -> None:
    def listed(**values: Any) -> list[str]:
        return [one["id"][7] for one in Client(home).run("deployments.list", **values)]

    assert listed() == ["7", "6", "5", "4", "3", "2", "1"]
    assert listed(status=["failed"]) == ["6", "3"]
    assert listed(server="s1") == ["7", "4", "1"]
    assert listed(limit=2) == ["7", "6"]
    assert listed(limit=2, before="20260106T030405-000006") == ["5", "4"]
    with pytest.raises(LivchatError, match="DEPLOYMENT_UNKNOWN"):
        listed(before="20250106T030405-000006")
