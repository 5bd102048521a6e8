"""The folder: what is written anew, what is the team's, and what ansible-builder makes of it."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_builder._target_scripts import introspect
from ansible_builder.ee_schema import validate_schema
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home
from ansible_collections.livchat.setup.plugins.plugin_utils._turns import Turns

from livchat_cli.ansible_config import SETTINGS
from livchat_cli.errors import LivchatError
from livchat_cli.export import wrappers
from livchat_cli.export.folder import export
from livchat_cli.main import main

from ...plugins.plugin_utils.test_https import certificate
from ..test_runner import wait_for
from .conftest import CHOICES, EXPORTED, Ansible, changed

ROOT = Path(__file__).parents[4]
TURN = "livchat.setup.turn"
# Settings that say where something is.
PLACES = ("COLLECTIONS_PATHS", "CONFIG_FILE", "DEFAULT_HOST_LIST", "LOCALHOST_WARNING")


def test_a_second_export_changes_nothing_and_leaves_alone_what_is_the_teams(folder: Path, tmp_path: Path) -> None:
    (folder / "settings.yml").write_text("dns: {zone: example.org}\n")
    (folder / "own.yml").write_text("- hosts: localhost\n")
    gone = [folder / "server_gone.yml", folder / "schemas" / "server_gone.json"]
    gone[0].write_text(f"---\n# {wrappers.NOTE}\n")
    gone[1].write_text("{}")
    again = export("awx", folder, CHOICES, tmp_path / "home")
    assert sorted(again["removed"]) == ["schemas/server_gone.json", "server_gone.yml"]
    # The README says how the last target is loaded.
    assert again["written"] == ["README.md"]
    assert not export("awx", folder, CHOICES, tmp_path / "home")["changed"]
    assert (folder / "settings.yml").read_text() == "dns: {zone: example.org}\n" and (folder / "own.yml").exists()


@pytest.mark.parametrize("name", ["README.md", "ansible.cfg", "collections/requirements.yml", "schemas/status.json"])
def test_what_somebody_else_wrote_is_neither_replaced_nor_removed(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "ops"
    for one in (name, "schemas/own.json", "latin.yml"):
        (folder / one).parent.mkdir(parents=True, exist_ok=True)
        (folder / one).write_bytes(b"theirs \xe9")
    with pytest.raises(LivchatError, match=name) as refused:
        export("awx", folder, CHOICES, tmp_path / "home")
    assert refused.value.code == "EXPORT_FAILED"
    assert {str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file()} == {
        name,
        "schemas/own.json",
        "latin.yml",
    }
    assert (folder / name).read_bytes() == b"theirs \xe9"
    # Where nothing is in the way, what is theirs stays.
    (folder / name).unlink()
    export("awx", folder, CHOICES, tmp_path / "home")
    assert (folder / "schemas" / "own.json").exists() and (folder / "latin.yml").exists()


def test_settings_of_the_operator_go_along_without_what_is_this_machines(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    config: dict[str, Any] = {
        "dns": {"zone": "example.com"},
        "providers": {"hetzner": {"api_endpoint": "http://127.0.0.1:1/v1"}},
    }
    local = {
        "vault": {"password_file": "/root/password"},
        "webhooks": {"urls": ["https://hooks.example.com/x"]},
        "api": {"jobs_at_once": 5},
        "mcp": {"model_may_destroy": True},
    }
    (tmp_path / "home" / "config.yaml").write_text(yaml.safe_dump(config | local))
    export("semaphore", tmp_path / "folder", CHOICES, tmp_path / "home")
    written = yaml.safe_load((tmp_path / "folder" / "settings.yml").read_text())
    assert written == config
    inventory = yaml.safe_load((tmp_path / "folder" / "livchat.yml").read_text())
    assert inventory == {"plugin": "livchat.setup.hetzner", "api_endpoint": "http://127.0.0.1:1/v1"}


def test_certificates_that_settings_name_go_along_and_no_key_beside_them(tmp_path: Path, ansible: Ansible) -> None:
    home, folder, lasting = tmp_path / "home", tmp_path / "folder", tmp_path / "lasting"
    for one in (home, lasting):
        one.mkdir()
    public, private = certificate(tmp_path, "authority")
    both = tmp_path / "both.pem"
    both.write_text(private.read_text() + public.read_text())
    (home / "config.yaml").write_text(yaml.safe_dump({"acme": {"ca_file": str(both), "root_file": str(public)}}))
    export("semaphore", folder, CHOICES, home)
    assert str(tmp_path) not in (folder / "settings.yml").read_text()
    for each in (both, public):
        each.unlink()
    place = {"LIVCHAT_HOME": str(lasting), "LIVCHAT_VAULT_PASSWORD": "a password"}
    assert changed(ansible("playbook", "catalog_list.yml", cwd=folder, **place)) == 1
    assert changed(ansible("playbook", "catalog_list.yml", cwd=folder, **place)) == 0
    settings = yaml.safe_load((lasting / "config.yaml").read_text())["acme"]
    assert sorted(settings) == ["ca_file", "root_file"]
    for path in map(Path, settings.values()):
        assert path.is_relative_to(lasting)
        assert path.read_text().startswith("-----BEGIN CERTIFICATE-----") and "KEY" not in path.read_text()


@pytest.mark.parametrize("target", ["awx", "semaphore"])
def test_the_command_writes_a_folder(target: str, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setenv("LIVCHAT_HOME", str(tmp_path / "home"))
    more = ["--image", "example.com/ee:1"] if target == "awx" else []
    line = ["export", target, "--to", str(tmp_path / "out"), "--repository", "/srv/ops.git", *more, "--json"]
    assert main(line) == 0
    assert json.loads(capsys.readouterr().out)["changed"]
    assert main([*line, "--home", "relative"]) == 2
    assert json.loads(capsys.readouterr().out)["code"] == "INPUT_INVALID"


GIT = "git+https://git.example.com/team/livchat-setup.git"
TARBALL = "https://files.example.com/livchat-setup-1.2.3.tar.gz"


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("livchat.setup:1.2.3", {"name": "livchat.setup", "version": "1.2.3"}),
        (GIT, {"name": GIT, "type": "git"}),
        (f"{GIT},v1.2.3", {"name": GIT, "type": "git", "version": "v1.2.3"}),
        ("git+ssh://git@example.com:22/a.git", {"name": "git+ssh://git@example.com:22/a.git", "type": "git"}),
        (TARBALL, {"name": TARBALL, "type": "url"}),
        ("./collections/a-1.0.0.tar.gz", {"name": "collections/a-1.0.0.tar.gz", "type": "file"}),
    ],
)
def test_the_collection_comes_from_where_it_is_said(source: str, wanted: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    export("awx", folder, replace(CHOICES, collection=source), tmp_path / "home")
    assert yaml.safe_load((folder / "collections/requirements.yml").read_text()) == {"collections": [wanted]}
    definition = yaml.safe_load((folder / "execution-environment.yml").read_text())
    validate_schema(definition)
    assert definition["dependencies"]["galaxy"] == "collections/requirements.yml"
    if wanted.get("type") == "file":
        (folder / wanted["name"]).touch()
    command = [sys.executable, "-m", "ansible_builder", "create", "--output-filename", "Containerfile"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    # The file is where the requirement looks for it.
    assert (folder / "context/_build" / wanted["name"]).exists() is (wanted.get("type") == "file")
    written = (folder / "context/Containerfile").read_text()
    assert ("install -y git-core" in written) is (wanted.get("type") == "git")


@pytest.mark.parametrize(
    "source",
    [
        "other.setup:1.0.0",
        "livchat.setup:>=1",
        "git+https://me:canary@git.example.com/a.git",
        "http://files.example.com/a.tar.gz",
        "https://files.example.com/a.zip",
        "../a.tar.gz",
        "/srv/a.tar.gz",
        "a b.tar.gz",
        f"{GIT},--upload-pack=x y",
        "livchat.setup\n",
    ],
)
def test_a_source_that_is_not_allowed_writes_nothing(source: str, tmp_path: Path) -> None:
    with pytest.raises(LivchatError) as refused:
        export("awx", tmp_path / "folder", replace(CHOICES, collection=source), tmp_path / "home")
    assert refused.value.code == "INPUT_INVALID" and "canary" not in str(refused.value.to_dict())
    assert not (tmp_path / "folder").exists()


def test_every_playbook_is_one_that_ansible_takes(folder: Path, ansible: Ansible) -> None:
    playbooks = [path.name for path in folder.glob("*.yml") if isinstance(yaml.safe_load(path.read_text()), list)]
    assert len(playbooks) == len(EXPORTED)
    ansible("playbook", "--syntax-check", *playbooks, cwd=folder)


def test_the_folders_settings_are_those_of_every_run(folder: Path, ansible: Ansible) -> None:
    def shown(**extra: str) -> dict[str, Any]:
        found: list[Any] = []
        for kind in ("base", "connection"):
            dump = ("config", "dump", "--only-changed", "--format", "json", "-t", kind)
            printed = ansible(*dump, cwd=folder, **extra)
            found += json.JSONDecoder().raw_decode(printed, printed.index("["))[0]
        settings = [one for part in found for one in part.get("ssh", [part])]
        return {one["name"]: str(one["value"]) for one in settings if one.get("name") not in (None, *PLACES)}

    from_file = shown(ANSIBLE_CONFIG=str(folder / "ansible.cfg"))
    from_runs = shown(**{one.variable: one.value for one in SETTINGS})
    # Without it, a job of Semaphore would have no result.
    assert from_file.pop("SHOW_CUSTOM_STATS") == "True"
    # The command line waits for its turn before it starts Ansible.
    assert from_file.pop("CALLBACKS_ENABLED") == str([*ast.literal_eval(from_runs["CALLBACKS_ENABLED"]), TURN])
    # Inventories that are programs are AWX's way, and not one of ours.
    assert "script" in from_file.pop("INVENTORY_ENABLED") and "script" not in from_runs["INVENTORY_ENABLED"]
    # The environment's variable for pipelining reaches further, to other connections than SSH.
    assert from_file.items() <= from_runs.items()
    assert len(from_file) >= len(SETTINGS) - 1


def test_a_job_waits_for_another_one_that_changes_its_server(folder: Path, tmp_path: Path, ansible: Ansible) -> None:
    (folder / "settings.yml").write_text("dns: {provider: none}\n")
    # Nobody listens there: what is looked for is what happens before.
    (tmp_path / "hosts").write_text("[livchat]\nprod ansible_host=127.0.0.1 ansible_port=1\nother\n")
    lasting = tmp_path / "lasting"
    lasting.mkdir()
    turns = Turns(Home(str(lasting)))
    before = turns.draw("20260102T030405-a1b2c3", "app.install", ["prod"])
    aside = turns.draw("20260102T030405-a1b2c4", "app.install", ["other"])
    environment = {
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_SSH_RETRIES": "0",
        "LIVCHAT_HOME": str(lasting),
        "LIVCHAT_VAULT_PASSWORD": "a password",
    }
    line = ("playbook", "server_setup.yml", "-i", str(tmp_path / "hosts"), "-e", "survey_target=prod")
    with ThreadPoolExecutor() as pool:
        running = pool.submit(ansible, *line, cwd=folder, failing=True, **environment)
        with before:
            assert wait_for(lambda: len(list((lasting / "turns").iterdir())) == 3, 60)
            assert not running.done()
        printed = running.result(60)
    aside.give_up()
    waits = "turn: waits for app.install (job 20260102T030405-a1b2c3"
    assert waits in printed and "a1b2c4" not in printed
    assert printed.index("Read the answers") < printed.index(waits) < printed.index("UNREACHABLE")
    assert not list((lasting / "turns").iterdir())


def test_ansible_builder_takes_the_execution_environment(folder: Path) -> None:
    for definition in (folder / "execution-environment.yml", ROOT / "meta/execution-environment.yml"):
        validate_schema(yaml.safe_load(definition.read_text()))
    command = [sys.executable, "-m", "ansible_builder", "create", "--output-filename", "Containerfile"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    context = folder / "context"
    assert "ansible-core>=" in (context / "Containerfile").read_text()
    assert (
        yaml.safe_load((context / "_build/requirements.yml").read_text())["collections"][0]["name"] == "livchat.setup"
    )


def test_the_collection_asks_for_what_its_plugins_import() -> None:
    python, system = introspect.process_collection(str(ROOT))
    assert any(line.startswith("openssh-client ") for line in system)
    project = (ROOT / "pyproject.toml").read_text()
    assert python and all(f'"{line}"' in project for line in python), "as pyproject.toml has them"
    imported = {
        line.split()[1].partition(".")[0]
        for path in (ROOT / "plugins").rglob("*.py")
        for line in path.read_text().splitlines()
        if re.match(r"\s*(import|from) \w", line)
    }
    # The keyring is a person's, and so are the jobs and tokens of our own package; a machine that runs jobs has none.
    own = {"ansible", "ansible_collections", "keyring", "livchat_cli"}
    foreign = imported - set(sys.stdlib_module_names) - own
    packages = {"dns": "dnspython", "yaml": "PyYAML"}
    asked = {line.partition(">")[0] for line in python}
    assert {packages.get(one, one) for one in foreign} <= asked
