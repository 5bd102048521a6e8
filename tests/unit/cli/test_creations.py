"""How many servers a token may make: every door counts the same jobs, and no two take the same room."""

from __future__ import annotations

import datetime
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from livchat_cli import jobs, spawn
from livchat_cli.access import Principal
from livchat_cli.client import Client
from livchat_cli.errors import LivchatError
from livchat_cli.jobs import JobFolder, Jobs
from livchat_cli.operations import get

CI = Principal("token:ci", frozenset({"admin"}), token="1a2b3c4d")
CREATE = get("server.create")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose jobs are written down and never run."""

    def start(home: Path, folder: JobFolder, *_: Any) -> dict[str, Any]:
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
    folder.update(operation="launch", token=token, creates=creates, status="successful")


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


def test_more_at_once_than_there_is_ever_room_for(home: Path) -> None:
    refused = make(home, *"abcdef")
    assert refused and (refused.code, refused.retry_after) == ("RATE_LIMITED", 3600)
    assert make(home, *"abcde") is None


def test_a_server_that_is_known_is_not_made(home: Path) -> None:
    home.mkdir()
    (home / "state.json").write_text('{"version": 1, "servers": {"a": {}}, "applications": {}, "deployments": []}')
    for _again in range(6):
        assert make(home, "a") is None
    assert make(home, "a", *"bcdef") is None
    assert make(home, "a", "g")


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
