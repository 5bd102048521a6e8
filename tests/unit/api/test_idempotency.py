"""What was asked for with the same key is done once, whatever happens to who does it."""

from __future__ import annotations

import datetime
import time
from pathlib import Path

import pytest

from livchat_cli import jobs as store
from livchat_cli.api.idempotency import KEPT, Once
from livchat_cli.errors import LivchatError
from livchat_cli.jobs import JOBS_KEPT, JobFolder, Jobs


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


@pytest.mark.parametrize("known", ["begun", "kept"])
@pytest.mark.parametrize(
    ("status", "started_at", "again"),
    [
        ("killed", None, True),
        ("killed", "2026-01-02T03:04:05+00:00", False),
        ("cancelled", None, False),
        ("failed", None, False),
        ("waiting", None, False),
    ],
)
def test_a_job_that_was_killed_before_it_ran_keeps_no_key(
    tmp_path: Path, known: str, status: str, started_at: str | None, again: bool
) -> None:
    folder = JobFolder.make(tmp_path / "jobs")
    with folder.lock(), Once(tmp_path).key("ci", "k1", b"request") as attempt:
        attempt.begin()
        folder.update(operation="any", status=status, started_at=started_at, idempotency=attempt.name)
        if known == "kept":
            attempt.keep(folder.id)
        with_job = attempt.done()
    assert with_job == (None if again else {"job": folder.id})
    if again:
        with (
            Once(tmp_path).key("ci", "k1", b"another") as attempt,
            pytest.raises(LivchatError, match="another request"),
        ):
            attempt.done()


def test_a_key_that_goes_with_no_job_any_more_is_still_used(tmp_path: Path) -> None:
    with Once(tmp_path).key("ci", "k1", b"request") as attempt:
        attempt.begin()
        attempt.keep("20260101T000000-000000")
    with Once(tmp_path).key("ci", "k1", b"request") as attempt:
        assert attempt.done() == {"job": "20260101T000000-000000"}


def test_the_job_of_a_key_is_found_behind_any_number_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "CHANGES_KEPT", 2)
    with Once(tmp_path).key("ci", "k1", b"request") as attempt:
        attempt.begin()
    moment = datetime.datetime.now(datetime.UTC)
    ages = {"key": 23, "old": 25, "plain": 22, "new": 1, "newer": 0}
    folders = {}
    for name, hours in ages.items():
        made = f"{moment - datetime.timedelta(hours=hours):%Y%m%dT%H%M%S}-000000"
        folders[name] = JobFolder(tmp_path / "jobs", made)
        folders[name].path.mkdir(parents=True)
        more = {"idempotency": attempt.name if name == "key" else "another"} if name in ("key", "old") else {}
        folders[name].update(operation="any", status="successful", **more)
    Jobs(tmp_path).forget_old()
    # Beyond the newest those stay whose key is still good.
    assert {name for name, folder in folders.items() if folder.path.exists()} == {"key", "new", "newer"}
    for _number in range(JOBS_KEPT):
        JobFolder.make(tmp_path / "jobs").update(operation="any", status="successful")
    with Once(tmp_path).key("ci", "k1", b"request") as attempt:
        assert attempt.done() == {"job": folders["key"].id}
