"""Jobs that change one server take turns; what a killed one has left is ended before the next begins."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.livchat.setup.plugins.plugin_utils import _processes as processes

from livchat_cli import collection
from livchat_cli.errors import LivchatError
from livchat_cli.events import Kind, Progress
from livchat_cli.operations import OPERATIONS, Effect, get
from tests.direct import DirectJob

from .test_runner import LOCALHOST, PLAYBOOKS, wait_for

ROOT = Path(__file__).parents[3]


# Seconds that a step of a test may take on a machine that has much else to do.
PATIENCE = 60


class Notes:
    """Jobs that note in one file when they begin and end, which they do when they are let."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.file = folder / "notes"
        self.said: list[Progress] = []

    def job(self, seconds: float | None = None) -> DirectJob:
        return DirectJob(self.home, self.said.append, seconds=seconds)

    def let(self, mark: str) -> None:
        (self.file.parent / f"notes.{mark}").touch()

    def variables(self, mark: str) -> dict[str, str]:
        return {"mark": mark, "file": str(self.file), "server": "one"}

    def run(self, mark: str, servers: tuple[str, ...] = ("one",), job: DirectJob | None = None) -> None:
        (job or self.job()).run(str(PLAYBOOKS / "note.yml"), self.variables(mark), LOCALHOST, servers)

    def elsewhere(self, mark: str) -> subprocess.Popen[bytes]:
        """A job of another process."""
        program = (
            "from pathlib import Path\nfrom tests.direct import DirectJob\n"
            f"DirectJob(Path({str(self.home)!r})).run({str(PLAYBOOKS / 'note.yml')!r}, "
            f"{self.variables(mark)!r}, {LOCALHOST!r}, ('one',))\n"
        )
        return subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)

    def bare(self, mark: str) -> subprocess.Popen[bytes]:
        """The same playbook by ansible-playbook alone."""
        options = [word for name, value in self.variables(mark).items() for word in ("-e", f"{name}={value}")]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "LIVCHAT_"))}
        environment = {
            **kept,
            "LIVCHAT_HOME": str(self.home),
            "ANSIBLE_COLLECTIONS_PATH": str(collection.find()),
            "ANSIBLE_CALLBACKS_ENABLED": "livchat.setup.turn",
        }
        command = [sys.executable, "-m", "ansible", "playbook", "-i", LOCALHOST, *options, str(PLAYBOOKS / "note.yml")]
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)

    def lines(self) -> list[str]:
        return self.file.read_text().splitlines() if self.file.exists() else []

    def begun(self, mark: str) -> bool:
        return wait_for(lambda: f"begin {mark}" in self.lines(), PATIENCE)

    def told(self) -> str:
        return "\n".join(one.task for one in list(self.said) if one.kind is Kind.NOTE)

    def tickets(self) -> int:
        return len(list((self.home / "turns").iterdir()))


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    return Notes(tmp_path)


@pytest.fixture
def side(notes: Notes) -> Iterator[Callable[..., Future[Any]]]:
    """Runs something at the same time."""
    with ThreadPoolExecutor() as pool:
        yield pool.submit
        # Also when the test has failed, all that it began comes to its end.
        for mark in ("first", "second", "third", "bare", "last", "next"):
            notes.let(mark)


def test_who_wants_the_same_server_waits_in_the_order_of_coming(notes: Notes, side: Callable[..., Future[Any]]) -> None:
    jobs = {mark: notes.job() for mark in ("first", "second", "third")}
    running = [side(notes.run, "first", job=jobs["first"])]
    assert notes.begun("first")
    for mark, before, servers in (("second", "first", ("two", "one")), ("third", "second", ("two",))):
        running.append(side(notes.run, mark, servers, jobs[mark]))
        said = f"waits for test (job {jobs[before].id}"
        assert wait_for(lambda said=said: said in notes.told(), PATIENCE)
    assert notes.lines() == ["begin first"]
    for mark in reversed(jobs):
        notes.let(mark)
    for one in running:
        one.result(PATIENCE)
    assert notes.lines() == [f"{what} {mark}" for mark in jobs for what in ("begin", "end")]
    assert notes.tickets() == 0


def test_other_servers_and_those_who_only_read_do_not_wait(notes: Notes, side: Callable[..., Future[Any]]) -> None:
    running = side(notes.run, "first")
    assert notes.begun("first")
    for mark, servers in (("read", ()), ("other", ("two",))):
        notes.let(mark)
        notes.run(mark, servers)
    assert notes.told() == ""
    notes.let("first")
    running.result(PATIENCE)
    assert notes.lines()[-1] == "end first"


def test_what_a_killed_job_left_is_ended_before_the_next_begins(notes: Notes) -> None:
    process = notes.elsewhere("killed")
    assert notes.begun("killed")
    (job,) = (notes.home / "jobs").iterdir()
    process.kill()
    process.wait()
    assert processes.of_job(job.name)
    notes.let("next")
    notes.run("next")
    assert not processes.of_job(job.name)
    assert f"test (job {job.name}) was killed; ended" in notes.told()
    assert notes.lines() == ["begin killed", "begin next", "end next"]
    assert notes.tickets() == 0


def test_a_job_that_is_killed_makes_room_for_who_waits(notes: Notes, side: Callable[..., Future[Any]]) -> None:
    process = notes.elsewhere("killed")
    assert notes.begun("killed")
    waiting = side(notes.run, "next")
    assert wait_for(lambda: "waits for test" in notes.told(), PATIENCE)
    process.kill()
    process.wait()
    notes.let("next")
    waiting.result(PATIENCE)
    assert "was killed; ended" in notes.told()
    assert notes.lines() == ["begin killed", "begin next", "end next"]


def test_who_is_interrupted_while_waiting_has_done_nothing(notes: Notes, side: Callable[..., Future[Any]]) -> None:
    running = side(notes.run, "first")
    assert notes.begun("first")
    job = notes.job()
    threading.Thread(target=lambda: wait_for(lambda: "waits for" in notes.told(), PATIENCE) and job.cancel()).start()
    with pytest.raises(LivchatError, match="had not begun yet") as caught:
        notes.run("second", job=job)
    assert caught.value.code == "INTERRUPTED"
    notes.let("first")
    running.result(PATIENCE)
    assert notes.lines() == ["begin first", "end first"]


def test_waiting_takes_nothing_of_the_time_that_a_job_may_take(notes: Notes, side: Callable[..., Future[Any]]) -> None:
    # More than the playbook takes alone, and less than it waits.
    seconds = 12
    running = side(notes.run, "first")
    assert notes.begun("first")
    notes.let("second")
    second = side(notes.run, "second", job=notes.job(seconds))
    assert wait_for(lambda: "waits for" in notes.told(), PATIENCE)
    time.sleep(seconds + 1)
    assert not second.done()
    notes.let("first")
    running.result(PATIENCE)
    second.result(PATIENCE)
    assert notes.lines() == ["begin first", "end first", "begin second", "end second"]


def test_a_run_that_takes_too_long_is_ended(notes: Notes) -> None:
    job = notes.job(8)
    with pytest.raises(LivchatError, match="took too long and was ended; what it had begun may be half done") as caught:
        notes.run("first", job=job)
    assert caught.value.code == "JOB_TIMEOUT"
    assert notes.lines() == ["begin first"]
    assert not processes.of_job(job.id)
    assert notes.tickets() == 0


def test_a_bare_playbook_waits_and_is_waited_for(notes: Notes, side: Callable[..., Future[Any]]) -> None:
    running = side(notes.run, "first")
    assert notes.begun("first")
    bare = notes.bare("bare")
    assert wait_for(lambda: notes.tickets() == 2, PATIENCE)
    last = side(notes.run, "last")
    assert wait_for(lambda: notes.tickets() == 3, PATIENCE)
    for mark in ("last", "bare", "first"):
        notes.let(mark)
    running.result(PATIENCE)
    assert bare.wait(PATIENCE) == 0
    last.result(PATIENCE)
    assert notes.lines() == [f"{what} {mark}" for mark in ("first", "bare", "last") for what in ("begin", "end")]


def test_what_a_killed_bare_playbook_left_is_ended(notes: Notes) -> None:
    bare = notes.bare("bare")
    assert notes.begun("bare")
    bare.kill()
    bare.wait()
    notes.let("next")
    notes.run("next")
    assert "was killed; ended" in notes.told()
    assert notes.lines() == ["begin bare", "begin next", "end next"]


def test_a_ticket_that_a_crash_left_empty_stops_nobody(notes: Notes) -> None:
    (notes.home / "turns").mkdir(parents=True)
    (notes.home / "turns" / "1").touch()
    notes.let("next")
    notes.run("next")
    assert notes.tickets() == 0


def test_an_operation_names_the_servers_it_changes() -> None:
    for name, values, servers in (
        ("server.create", {"name": "one", "domain": "one.example.com"}, ("one",)),
        ("app.install", {"apps": ["n8n"], "target": ["one", "two"]}, ("one", "two")),
        ("status", {"target": ["one"]}, ()),
    ):
        operation = get(name)
        assert operation.servers(operation.parse(values)) == servers


def test_every_operation_that_changes_servers_takes_turns_and_so_does_its_playbook() -> None:
    changing = {one.name for one in OPERATIONS if one.effect is not Effect.READ and one.target in ("server", "app")}
    # A command is the operator's own, as over SSH: it may well be about the run that takes so long.
    assert {one.name for one in OPERATIONS if one.changes} == changing - {"exec"}
    for operation in OPERATIONS:
        plays = yaml.safe_load((ROOT / "playbooks" / f"{operation.playbook}.yml").read_text())
        said = [play["vars"]["livchat_changes"] for play in plays if "livchat_changes" in play.get("vars", {})]
        assert len(said) == bool(operation.changes)
        assert all(text.split()[1] == operation.mapping.get(operation.changes, operation.changes) for text in said)
