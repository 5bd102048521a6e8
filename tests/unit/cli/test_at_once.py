"""How many jobs of a token live at once: every door counts the same ones, and no two take the same room."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TextIO

import pytest

from livchat_cli import spawn
from livchat_cli.access import Principal
from livchat_cli.client import Client
from livchat_cli.errors import LivchatError
from livchat_cli.jobs import JobFolder, Jobs
from livchat_cli.operations import get

CI = Principal("token:ci", frozenset({"read"}), token="1a2b3c4d")
CD = Principal("token:ci", frozenset({"read"}), token="5e6f7a8b")


class Living:
    """A home whose jobs live until they are ended, and do nothing."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.locks: dict[str, int] = {}

    def start(self, _home: Path, folder: JobFolder, lock: TextIO, *_: Any, **__: Any) -> dict[str, Any]:
        self.locks[folder.id] = os.dup(lock.fileno())
        return folder.record()

    def ask(self, who: Principal = CI) -> LivchatError | None:
        """Asks for one more; what it was refused for."""
        try:
            Client(self.home, who).start(get("status"), {})
        except LivchatError as error:
            return error
        return None

    def die(self) -> None:
        """One of them is killed."""
        os.close(self.locks.popitem()[1])


@pytest.fixture
def living(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Living]:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "config.yaml").write_text("api: {jobs_at_once: 3}\n")
    made = Living(home)
    monkeypatch.setattr(spawn, "start", made.start)
    yield made
    while made.locks:
        made.die()


def test_only_so_many_live(living: Living) -> None:
    assert [living.ask() for _job in range(3)] == [None] * 3
    refused = living.ask()
    assert refused and (refused.code, refused.details) == ("RATE_LIMITED", {"limit": 3})
    assert refused.retry_after and "api.jobs_at_once" in refused.message
    # Neither another of that name, nor the operator, is held up.
    assert living.ask(CD) is None
    assert [living.ask(Principal("root", frozenset({"read"}))) for _job in range(5)] == [None] * 5
    # What was refused is no job.
    assert len(Jobs(living.home).all()) == 9


def test_a_job_that_ends_makes_room(living: Living) -> None:
    for _job in range(3):
        living.ask()
    living.die()
    assert living.ask() is None
    assert living.ask()


def test_who_asks_at_the_same_time_takes_no_room_twice(living: Living) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _number: living.ask(), range(8)))
    assert [one.code for one in found if one] == ["RATE_LIMITED"] * 5
