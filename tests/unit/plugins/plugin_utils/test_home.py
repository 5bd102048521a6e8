from __future__ import annotations

import json
import multiprocessing
import os
import stat
from pathlib import Path

import pytest
from ansible_collections.livchat.setup.plugins.module_utils._errors import LivchatError
from ansible_collections.livchat.setup.plugins.plugin_utils._home import BACKUPS, Home
from ansible_collections.livchat.setup.plugins.plugin_utils._state import State


def mode(path: str) -> int:
    return stat.S_IMODE(Path(path).stat().st_mode)


def test_the_variable_wins_over_the_environment_over_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVCHAT_HOME", "/from/environment")
    assert Home("/given").path == "/given"
    assert Home(None).path == "/from/environment"
    monkeypatch.delenv("LIVCHAT_HOME")
    assert Home().path == str(Path("~/.livchat").expanduser())


def test_nobody_else_can_read_what_is_written(home: Home) -> None:
    Path(home.path).mkdir(mode=0o755)
    home.write("state.json", "{}")
    home.write("state.json", "{ }")
    assert mode(home.path) == 0o700
    assert mode(home.file("state.json")) == 0o600
    assert mode(home.file("backups")) == 0o700


def test_a_write_that_fails_leaves_the_old_text_and_no_rubbish(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.write("state.json", "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        LivchatError, match=r"state\.json cannot be written: No space left on device; make room"
    ) as caught:
        home.write("state.json", "new")
    assert caught.value.code == "HOME_UNWRITABLE"
    assert home.read("state.json") == "old"
    assert not list(Path(home.path).glob("*.tmp"))


def test_what_a_killed_writer_left_is_swept_away(home: Home) -> None:
    for name in ("state.json", "ssh_keys/prod"):
        home.write(name, "old")
        Path(f"{home.file(name)}.4711.tmp").write_text("ol")
    with home.lock():
        pass
    assert not list(Path(home.path).rglob("*.tmp"))
    assert (home.read("state.json"), home.read("ssh_keys/prod")) == ("old", "old")


def test_a_backup_is_not_changed_by_what_comes_after(home: Home) -> None:
    for text in ("1", "2", "3"):
        home.write("state.json", text)
    # As an editor does it that writes into the file itself.
    Path(home.file("state.json")).write_text("edited")
    assert [Path(path).read_text() for path in home.backups("state.json")] == ["1", "2"]


def test_a_line_that_was_cut_off_does_not_swallow_the_next(home: Home) -> None:
    home.append("audit.jsonl", "first")
    with Path(home.file("audit.jsonl")).open("a") as handle:
        handle.write("sec")
    home.append("audit.jsonl", "third")
    home.append("audit.jsonl", "fourth")
    assert (home.read("audit.jsonl") or "").splitlines() == ["first", "sec", "third", "fourth"]


def test_only_the_newest_backups_are_kept(home: Home) -> None:
    for number in range(BACKUPS + 5):
        home.write("state.json", str(number))
    kept = [Path(path).read_text() for path in home.backups("state.json")]
    assert kept == [str(number) for number in range(4, BACKUPS + 4)]


def test_a_file_whose_name_begins_like_anothers_has_its_own_backups(home: Home) -> None:
    for name in ("state.json", "state.json.old"):
        home.write(name, "1")
        home.write(name, "2")
    assert len(home.backups("state.json")) == 1


def test_a_damaged_state_names_the_newest_good_backup_and_stays_as_it_is(home: Home) -> None:
    state = State(home)
    state.put("servers", "one", {"ip_address": "203.0.113.1"})
    state.put("servers", "two", {"ip_address": "203.0.113.2"})
    good = home.backups("state.json")[-1]
    # The newest backup is damaged as well, as after a bad disk.
    Path(home.file("backups", f"state.json.{10**20}")).write_text('{"version": 1, "serv')
    damaged = '{"version": 1, "servers": {"one"'
    Path(home.file("state.json")).write_text(damaged)
    with pytest.raises(LivchatError) as caught:
        state.put("servers", "three", {})
    assert caught.value.code == "HOME_DAMAGED"
    assert caught.value.details["backup"] == good
    assert f"cp {good} {home.file('state.json')}" in caught.value.message
    assert home.read("state.json") == damaged


@pytest.mark.parametrize(
    "text", ["[]", '{"version": 2}', '{"version": 1, "servers": [], "applications": {}}', "\xff\xfe"]
)
def test_a_state_of_another_form_is_refused(home: Home, text: str) -> None:
    home.make()
    Path(home.file("state.json")).write_bytes(text.encode("latin-1"))
    with pytest.raises(LivchatError, match="HOME_DAMAGED"):
        State(home).load()


def add_servers(path: str, worker: int) -> None:
    for number in range(10):
        State(Home(path)).put("servers", f"server-{worker}-{number}", {"id": str(number)})


def test_many_writers_at_once_lose_nothing(home: Home) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=add_servers, args=(home.path, worker)) for worker in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(json.loads(home.read("state.json") or "")["servers"]) == 40


def test_who_waits_too_long_for_the_lock_is_told(home: Home) -> None:
    with home.lock(), pytest.raises(LivchatError) as caught, Home(home.path).lock(patience=0.05):
        pass
    assert caught.value.code == "HOME_LOCKED"
    assert caught.value.retry_after


def test_forgetting_a_server_forgets_its_applications_only(home: Home) -> None:
    state = State(home)
    for server in ("prod", "prod2"):
        state.put("servers", server, {"name": server})
        state.put("applications", f"{server}/n8n", {"name": "n8n"})
    assert state.load()["servers"]["prod"]["applications"] == ["n8n"]
    assert state.remove_server("prod")
    assert list(state.load()["applications"]) == ["prod2/n8n"]
    assert not state.remove_server("prod")


def test_a_deployment_is_changed_by_its_id(home: Home) -> None:
    state = State(home)
    assert state.put_deployment({"id": "d1", "status": "running", "server": "prod"})
    assert state.put_deployment({"id": "d1", "status": "success"})
    assert not state.put_deployment({"id": "d1", "status": "success"})
    assert state.load()["deployments"] == [{"id": "d1", "status": "success", "server": "prod"}]


def test_an_instance_is_unfinished_until_its_last_change_has_ended_well(home: Home) -> None:
    state = State(home)

    def deployment(number: int, status: str, *apps: str, operation: str = "app.install", server: str = "prod") -> None:
        told = {"id": f"d{number}", "server": server, "operation": operation, "apps": list(apps), "status": status}
        state.put_deployment(told)

    deployment(1, "running", "postgres", "n8n")
    deployment(2, "running", "n8n", server="other")
    assert state.unfinished("prod") == {"postgres", "n8n"}
    # A run that begins later knows that the one before was killed.
    deployment(3, "running", "postgres")
    deployment(3, "successful", "postgres")
    assert state.unfinished("prod") == {"n8n"}
    # What failed was put back, but for a removal.
    deployment(4, "failed", "n8n")
    assert state.unfinished("prod") == set()
    deployment(5, "failed", "n8n", operation="app.uninstall")
    assert state.unfinished("prod") == {"n8n"}
