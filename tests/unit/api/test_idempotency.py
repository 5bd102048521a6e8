"""What was asked for with the same key is done once, whatever happens to who does it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from livchat_cli.api.idempotency import KEPT, Once
from livchat_cli.errors import LivchatError
from livchat_cli.jobs import JobFolder


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def test_a_key_is_kept_for_a_day_and_for_one_request(tmp_path: Path) -> None:
    clock = Clock()
    once = Once(tmp_path, clock)
    with once.key("ci", "k1", b"request") as attempt:
        assert attempt.done() is None
        attempt.begin()
        attempt.keep("job1")
    with once.key("ci", "k1", b"request") as attempt:
        assert attempt.done() == {"job": "job1"}
    with once.key("ci", "k1", b"another") as attempt, pytest.raises(LivchatError, match="another request"):
        attempt.done()
    # The same key of another caller is another key.
    with once.key("cd", "k1", b"request") as attempt:
        assert attempt.done() is None
    clock.now += KEPT + 1
    with once.key("ci", "k1", b"another") as attempt:
        assert attempt.done() is None
    kept = list((tmp_path / "idempotency").iterdir())
    assert all(one.stat().st_mode & 0o077 == 0 for one in (*kept, tmp_path / "idempotency"))


def test_a_request_that_came_to_nothing_frees_its_key(tmp_path: Path) -> None:
    once = Once(tmp_path)
    with once.key("ci", "k1", b"request") as attempt:
        attempt.begin()
        attempt.drop()
    with once.key("ci", "k1", b"another") as attempt:
        assert attempt.done() is None


def test_only_one_at_a_time_has_a_key(tmp_path: Path) -> None:
    once = Once(tmp_path)
    with (
        once.key("ci", "k1", b"request"),
        pytest.raises(LivchatError, match="still being worked on"),
        once.key("ci", "k1", b"request"),
    ):
        raise AssertionError


@pytest.mark.parametrize("started", [True, False])
def test_who_died_between_starting_and_writing_it_down_is_followed(tmp_path: Path, started: bool) -> None:
    once = Once(tmp_path)
    with once.key("ci", "k1", b"request") as attempt:
        attempt.begin()
        if started:
            folder = JobFolder.make(tmp_path / "jobs")
            folder.update(operation="status", servers=[], status="successful", idempotency=attempt.name)
    # As after kill -9: nothing was kept.
    with Once(tmp_path).key("ci", "k1", b"request") as attempt:
        assert attempt.done() == ({"job": folder.id} if started else None)
