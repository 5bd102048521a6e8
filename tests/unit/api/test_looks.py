"""Who asks again for what a job looks at already gets that job, as long as nothing has changed since it began."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from livchat_cli.api import looks
from livchat_cli.api.looks import Looks
from livchat_cli.jobs import JOBS_KEPT, JobFolder, Jobs, Status
from tests.unit.api.running import PLENTY, Running, state
from tests.unit.api.test_jobs import ended, nap


class Begun:
    """Jobs that live until they are told to end."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.jobs: list[str] = []
        self._locks: dict[str, Any] = {}

    def __call__(self, effect: str = "read") -> str:
        folder = JobFolder.make(self.home / "jobs")
        self._locks[folder.id] = folder.lock()
        folder.update(operation="status", effect=effect, status="running")
        self.jobs.append(folder.id)
        return folder.id

    def end(self, job: str, status: str | None) -> None:
        """None: its process is killed, and nobody says so."""
        if status:
            JobFolder(self.home / "jobs", job).update(status=status)
        self._locks.pop(job).close()


@pytest.fixture
def begun(tmp_path: Path) -> Begun:
    return Begun(tmp_path / "home")


def test_a_look_is_joined_while_it_runs(begun: Begun) -> None:
    found = Looks(begun.home)
    first = found.job("ci", b"status", begun)
    assert [found.job("ci", b"status", begun) for _again in range(3)] == [first] * 3
    assert found.job("cd", b"status", begun) != first
    assert found.job("ci", b"status s1", begun) != first
    assert len(begun.jobs) == 3


@pytest.mark.parametrize("status", ["successful", "failed", "cancelled", None])
def test_one_that_has_ended_is_not(begun: Begun, status: str | None) -> None:
    found = Looks(begun.home)
    first = found.job("ci", b"status", begun)
    begun.end(first, status)
    second = found.job("ci", b"status", begun)
    assert second != first
    assert found.job("ci", b"status", begun) == second


@pytest.mark.parametrize("status", ["successful", "failed", "cancelled", None])
def test_one_that_began_before_a_change_is_not(begun: Begun, status: str | None) -> None:
    before = begun("write")
    begun.end(begun("write"), "successful")
    found = Looks(begun.home)
    first = found.job("ci", b"status", begun)
    change, other_look = begun("destroy"), begun()
    begun.end(other_look, "successful")
    # What still runs has changed nothing that is known, and what only looked never does.
    assert found.job("ci", b"status", begun) == first
    begun.end(change, status)
    second = found.job("ci", b"status", begun)
    assert second != first
    assert found.job("ci", b"status", begun) == second
    begun.end(before, status)
    assert found.job("ci", b"status", begun) not in (first, second)


def test_a_change_that_began_before_any_number_of_others_counts_as_well(begun: Begun) -> None:
    change = begun("write")
    # Those that are kept for a day since they were asked for with a key may be more than are kept otherwise.
    for number in range(JOBS_KEPT):
        later = JobFolder(begun.home / "jobs", f"29991231T235959-{number:06x}")
        later.path.mkdir()
        later.update(operation="status", effect="write", status="successful")
    found = Looks(begun.home)
    first = found.job("ci", b"status", begun)
    assert found.job("ci", b"status", begun) == first
    begun.end(change, "successful")
    assert found.job("ci", b"status", begun) != first


@pytest.mark.parametrize(
    ("line", "changes"),
    [
        ({"operation": "deploy", "changed": ["Apply the stack"]}, True),
        ({"operation": "token.create"}, True),
        ({"operation": "status", "changed": []}, False),
        ({"operation": "webhooks.health", "changed": []}, False),
        ({"operation": "job.failed", "job": "1", "changed": []}, False),
        ({"operation": "deploy", "changed": ["Apply the stack"], "check": True}, False),
        ("cut o", True),
    ],
)
def test_the_audit_log_tells_of_changes_by_other_doors(begun: Begun, line: Any, changes: bool) -> None:
    log = begun.home / "audit.jsonl"
    log.parent.mkdir()
    log.write_text('{"operation": "token.create"}\n')
    found = Looks(begun.home)
    first = found.job("ci", b"status", begun)
    with log.open("a") as handle:
        handle.write((line if isinstance(line, str) else json.dumps(line)) + "\n")
    second = found.job("ci", b"status", begun)
    assert (second != first) is changes
    assert found.job("ci", b"status", begun) == second
    # Put away, and begun anew.
    log.write_text("")
    assert found.job("ci", b"status", begun) != second


def test_who_comes_at_once_waits_for_the_one_that_begins(begun: Begun) -> None:
    found, all_there = Looks(begun.home), threading.Barrier(8)

    def ask(_number: int) -> str:
        all_there.wait()
        return found.job("ci", b"status", begun)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1
    assert len(begun.jobs) == 1


def test_what_could_not_begin_is_begun_by_the_next(begun: Begun) -> None:
    found = Looks(begun.home)

    def fails() -> str:
        raise OSError

    with pytest.raises(OSError):
        found.job("ci", b"status", fails)
    assert found.job("ci", b"status", begun) == begun.jobs[0]


def test_only_so_many_are_remembered(begun: Begun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "KEPT", 2)
    found = Looks(begun.home)
    first, second = (found.job("ci", asked, begun) for asked in (b"1", b"2"))
    assert found.job("ci", b"1", begun) == first
    found.job("ci", b"3", begun)
    assert found.job("ci", b"1", begun) == first
    assert found.job("ci", b"2", begun) != second


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and says nothing: who looks at it waits."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture
def waiting(another: Callable[..., Running], silent: int) -> Iterator[Callable[..., Running]]:
    """Starts an API, with settings, whose looks wait; they end with it."""
    started: list[Running] = []

    def start(**settings: int) -> Running:
        api = another({**PLENTY, **settings})
        known = state()
        for server in known["servers"].values():
            server["ip_address"] = "127.0.0.1"
            server["metadata"]["port"] = silent
        api.write_state(known)
        api.start()
        started.append(api)
        return api

    yield start
    for api in started:
        with api.client() as client:
            for job in Jobs(api.home).all(status=["waiting", "running"]):
                client.post(f"/v1/jobs/{job['id']}/cancel")


def test_over_http(waiting: Callable[..., Running]) -> None:
    api = waiting()

    def ask(client: httpx.Client, path: str = "/v1/status?target=s0") -> str:
        answer = client.get(path)
        assert answer.status_code == 202, answer.text
        assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
        return str(answer.json()["id"])

    with api.client() as client, api.client(name="other") as other, ThreadPoolExecutor() as pool:
        (first,) = set(pool.map(ask, [client] * 6))
        # By its other address, and with what it would have been without being said, it is the same.
        assert ask(client, "/v1/servers/s0/status") == first
        assert ask(client, "/v1/status?target=s0&wait=1&timeout=3600") == first
        other_jobs = {
            ask(other),
            *(ask(client, path) for path in ("/v1/status?target=s1", "/v1/status?target=s0&timeout=9", "/v1/status")),
            ask(client, "/v1/servers?live=true"),
        }
        assert len(other_jobs) == 5 and first not in other_jobs
        with api.client("read", ["s1"]) as limited:
            assert limited.get("/v1/status?target=s0").status_code == 403
        client.post("/v1/tokens", json={"name": "change"}).raise_for_status()
        # On a busy machine it may not run yet.
        assert Status(Jobs(api.home).record(first)["status"]).alive
        second = ask(client)
        assert second != first
        client.post(f"/v1/jobs/{second}/cancel").raise_for_status()
        third = ask(client)
        os.kill(Jobs(api.home).record(third)["pid"], signal.SIGKILL)
        while Status(Jobs(api.home).record(third)["status"]).alive:
            time.sleep(0.1)
        assert ask(client) not in (first, second, third)
        # What is asked for with POST is done each time.
        assert len({client.post("/v1/server/nap", json=nap()).json()["id"] for _nap in range(2)}) == 2


def test_reports_and_looks_that_fail_are_no_change(waiting: Callable[..., Running]) -> None:
    api = waiting()
    with api.client() as client, api.client("report") as reporter:
        path = "/v1/status?target=s0"
        first = client.get(path).json()["id"]
        report = {"server": "s0", "status": "down", "message": "HTTP 502"}
        reporter.post("/v1/webhooks/health", json=report).raise_for_status()
        event = {"server": "s0", "event": "stack.updated"}
        reporter.post("/v1/webhooks/portainer", json=event).raise_for_status()
        assert ended(client, client.get("/v1/status?target=gone").json()["id"])["status"] == "failed"
        told = (api.home / "audit.jsonl").read_text()
        for line in ("webhooks.health", "webhooks.portainer", "job.failed"):
            assert f'"{line}"' in told
        assert client.get(path).json()["id"] == first


def test_no_token_has_more_than_so_many_jobs_by_whatever_route(waiting: Callable[..., Running]) -> None:
    api = waiting(jobs_at_once=4)
    with api.client() as client, api.client("read") as reader, api.client("read", name="other") as other:
        asked = ["/v1/status?timeout=1000", "/v1/status?timeout=1001", "/v1/servers/s0/status", "/v1/servers?live=true"]
        begun = [reader.get(path).json()["id"] for path in asked]
        for path in ("/v1/status?timeout=1002", "/v1/servers/s1/status"):
            refused = reader.get(path)
            assert (refused.status_code, refused.json()["code"]) == (429, "RATE_LIMITED"), path
            assert "api.jobs_at_once" in refused.json()["message"]
            assert int(refused.headers["retry-after"]) == refused.json()["retry_after"] > 0
        # What runs is joined all the same, and so is what needs no job.
        assert reader.get(asked[0]).json()["id"] == begun[0]
        assert reader.get("/v1/apps").status_code == 200
        assert other.get(asked[0]).status_code == 202
        assert [client.post("/v1/server/nap", json=nap("600")).status_code for _nap in range(5)] == [202] * 4 + [429]
        reader.post(f"/v1/jobs/{begun[0]}/cancel").raise_for_status()
        assert reader.get("/v1/status?timeout=1002").status_code == 202
