"""How many servers a token may make: every door counts the same jobs, and no two take the same room."""

from __future__ import annotations

import contextlib
import datetime
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home

from livchat_cli import jobs, spawn
from livchat_cli.access import Principal, Tokens
from livchat_cli.client import Client
from livchat_cli.errors import LivchatError
from livchat_cli.jobs import JobFolder, Jobs
from livchat_cli.operations import get

CI = Principal("token:ci", frozenset({"admin"}), token="1a2b3c4d", family="1a2b3c4d")
CREATE = get("server.create")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose jobs are written down and never run."""

    def start(home: Path, folder: JobFolder, *_: Any, **__: Any) -> dict[str, Any]:
        return folder.update(status="failed")

    monkeypatch.setattr(spawn, "start", start)
    return tmp_path / "home"


def make(home: Path, *names: str, who: Principal = CI) -> LivchatError | None:
    """Asks for these servers; what it was refused for."""
    try:
        Client(home, who).start(get("launch"), {"names": list(names)})
    except LivchatError as error:
        return error
    return None


def ago(home: Path, minutes: int, creates: int, token: str = CI.token) -> None:
    """A job of then."""
    moment = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=minutes)
    folder = JobFolder(home / "jobs", f"{moment:%Y%m%dT%H%M%S}-{creates:06}")
    folder.path.mkdir(mode=0o700, parents=True)
    folder.update(operation="launch", token=token, family=token, creates=creates, status="successful")


def test_what_was_made_within_the_hour_counts(home: Path) -> None:
    for minutes, number in ((50, 1), (10, 3), (70, 1)):
        ago(home, minutes, number)
    ago(home, 5, 4, token="another")
    assert make(home, "a") is None
    refused = make(home, "b")
    assert refused and refused.code == "RATE_LIMITED"
    # That of fifty minutes ago is over in ten, those of ten minutes ago in fifty.
    assert 500 < (refused.retry_after or 0) <= 600
    two = make(home, "b", "c")
    assert two and 2900 < (two.retry_after or 0) <= 3000
    # What was refused takes nothing.
    assert len(Jobs(home).all()) == 5


def test_more_at_once_than_there_is_ever_room_for_is_no_matter_of_waiting(home: Path) -> None:
    refused = make(home, *"abcdef")
    assert refused and (refused.code, refused.retry_after) == ("INPUT_INVALID", None)
    assert "api.server_creations_per_hour" in refused.message and refused.details["field"] == "names"
    assert make(home, *"abcde") is None


def know(home: Path, *names: str) -> None:
    """Puts these servers into the index."""
    home.mkdir(exist_ok=True)
    (home / "state.json").write_text(
        json.dumps({"version": 1, "servers": {one: {} for one in names}, "applications": {}, "deployments": []})
    )


def test_a_server_that_is_known_is_not_made(home: Path) -> None:
    know(home, "a")
    for _again in range(6):
        assert make(home, "a") is None
    assert make(home, "a", *"bcdef") is None
    assert make(home, "a", "g")


@pytest.mark.parametrize("status", ["waiting", "running"])
def test_a_server_that_a_job_is_about_to_destroy_is_made_anew(home: Path, status: str) -> None:
    know(home, "a", "b")
    folder = JobFolder.make(home / "jobs")
    with folder.lock():
        # Whoever destroys it.
        folder.update(operation="server.destroy", effect="destroy", servers=["a"], status=status)
        assert [make(home, "a") for _again in range(5)] == [None] * 5
        refused = make(home, "a")
        assert refused and refused.code == "RATE_LIMITED"
        assert make(home, "b") is None
        folder.update(operation="app.uninstall")
        assert make(home, "a") is None
    folder.update(operation="server.destroy", status="failed")
    assert make(home, "a") is None


def test_the_index_is_read_when_nobody_else_is_taking_room(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    know(home, "a")

    @contextlib.contextmanager
    def lock(self: Home, *_: Any) -> Iterator[None]:
        if self.path == str(home):
            # Who had the lock before has destroyed it.
            know(home)
        yield

    monkeypatch.setattr(Home, "lock", lock)
    assert make(home, "a") is None
    assert [one["creates"] for one in Jobs(home).all()] == [1]


def test_those_who_descend_from_one_token_have_one_allowance(home: Path) -> None:
    tokens = Tokens(home)
    first, second, other = (tokens.create(name, ["admin"]) for name in ("first", "second", "other"))

    def child(key: str) -> dict[str, Any]:
        made: dict[str, Any] = Client(home, tokens.principal(key)).run("token.create", name="child", scopes=["admin"])
        return made

    one = child(first[1])
    grandchild = child(one["key"])
    assert [made["family"] for made in (one, grandchild)] == [first[0].id] * 2
    assert make(home, "a", "b", who=tokens.principal(one["key"])) is None
    assert make(home, "c", "d", who=tokens.principal(grandchild["key"])) is None
    # Who is gone has made them all the same.
    Client(home, tokens.principal(first[1])).run("token.revoke", token=one["id"])
    assert make(home, "e", "f", who=tokens.principal(first[1]))
    assert make(home, "e", who=tokens.principal(first[1])) is None
    assert make(home, "f", who=tokens.principal(child(grandchild["key"])["key"]))
    assert make(home, "f", who=tokens.principal(tokens.rotate(grandchild["id"])[1]))
    # What the operator makes is of no family but its own.
    by_hand = Client(home).run("token.create", name="by-hand", scopes=["admin"])
    for key in (second[1], other[1], by_hand["key"]):
        assert make(home, "f", who=tokens.principal(key)) is None


def test_the_operator_has_no_limit(home: Path) -> None:
    assert make(home, *"abcdef", who=Principal("root", frozenset({"admin"}))) is None


def test_who_asks_at_the_same_time_takes_no_room_twice(home: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: make(home, f"s{number}"), range(8)))
    assert [one.code for one in found if one] == ["RATE_LIMITED"] * 3
    assert len(Jobs(home).all()) == 5


def test_many_other_jobs_make_nobody_forget_what_was_made(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "CHANGES_KEPT", 3)
    ago(home, 70, 1)
    ago(home, 50, 5)
    for _job in range(5):
        JobFolder.make(home / "jobs").update(operation="app.install", token=CI.token, status="successful")
    Jobs(home).forget_old()
    assert sorted(one["creates"] for one in Jobs(home).all()) == [0, 0, 0, 5]
    assert make(home, "a")
