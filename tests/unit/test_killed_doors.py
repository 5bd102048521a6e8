"""Who asks for a job, or carries the request, is killed at a random moment: the job goes on and is there exactly once.

LIVCHAT_TEST_SEED repeats a run with the same moments: each test prints what it used.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from livchat_cli.jobs import Jobs
from tests.throwaway import Tree
from tests.unit.api.running import Running
from tests.unit.mcp.running import over_stdio

# From when on the moment counts: the request, or the job's record being there.
SINCE = ("request", "request", "job")
# Seconds within which a request has become a job that sleeps, and which no job ends within.
WINDOW = 3.0
PATIENCE = 120
NAP = {"target": ["prod"], "apps": ["nap"], "variables": {"nap": {"seconds": "3"}}}


class Moment:
    """When somebody is killed."""

    def __init__(self, since: str, seconds: float) -> None:
        self.since = since
        self._seconds = seconds

    def wait(self, home: Path) -> None:
        if self.since == "job":
            deadline = time.monotonic() + PATIENCE
            while not Jobs(home).all():
                assert time.monotonic() < deadline
                time.sleep(0.01)
        time.sleep(self._seconds)


@pytest.fixture(params=SINCE)
def moment(request: pytest.FixtureRequest) -> Moment:
    seed = os.environ.get("LIVCHAT_TEST_SEED", str(time.time_ns()))
    drawn = random.Random(f"{seed} {request.node.name}").uniform(0, WINDOW)
    print(f"LIVCHAT_TEST_SEED={seed}: killed {drawn:.2f} s after the {request.param}")
    return Moment(request.param, drawn)


def found(home: Path, moment: Moment) -> list[dict[str, Any]]:
    """The jobs of the home once they have ended: one at most ran, once, and no other one had begun."""
    deadline = time.monotonic() + PATIENCE
    while Jobs(home).all(status=["waiting", "running"]):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    listed = Jobs(home).all()
    assert listed or moment.since == "request"
    for job in listed:
        if job["status"] == "killed":
            # Who asked died between making the job's record and handing the request over, and was told of no job.
            assert (job["started_at"], sleeps(home, job)) == (None, [])
        else:
            assert (job["status"], sleeps(home, job)) == ("successful", ["started", "changed"])
    assert len([job for job in listed if job["status"] != "killed"]) <= 1
    return listed


def sleeps(home: Path, job: dict[str, Any]) -> list[str]:
    return [one["kind"] for one in Jobs(home).get(job["id"]).events() if one["task"] == "Sleep"]


def done(home: Path, moment: Moment, again: Callable[[], object]) -> dict[str, Any]:
    """The one job that ran: that of who was killed, else, where it had not begun, that of who asks the same again."""
    before = found(home, moment)
    if not any(job["status"] == "successful" for job in before):
        again()
    ran = [job for job in Jobs(home).all() if job["id"] not in {one["id"] for one in before} or sleeps(home, job)]
    assert [job["status"] for job in ran] == ["successful"]
    assert sleeps(home, ran[0]) == ["started", "changed"]
    return ran[0]


def test_the_command(tree: Tree, tmp_path: Path, moment: Moment) -> None:
    home = tmp_path / "home"
    words = ("server", "nap", "prod", "--apps", "nap", "--var", "nap.seconds=3", "--yes", "--json")
    process = subprocess.Popen(tree.command(*words), env=tree.environment(home), stdout=subprocess.DEVNULL)
    moment.wait(home)
    assert process.poll() is None
    process.kill()
    process.wait()
    job = done(home, moment, lambda: run(tree, home, *words))
    # Whoever comes later finds it, and what it ended with.
    shown = run(tree, home, "jobs", "show", job["id"], "--json")
    assert json.loads(shown)["result"] == Jobs(home).show(job["id"])["result"]


def run(tree: Tree, home: Path, *words: str) -> str:
    command = tree.command(*words)
    return subprocess.run(command, env=tree.environment(home), capture_output=True, text=True, check=True).stdout


def test_the_api(another: Callable[..., Running], moment: Moment) -> None:
    api = another()
    api.start()
    key = api.key()
    headers = {"Idempotency-Key": "the-one", "Authorization": f"Bearer {key}"}

    def ask() -> None:
        try:
            httpx.post(f"{api.url}/v1/server/nap?wait=45", json=NAP, headers=headers, timeout=60)
        except httpx.HTTPError:
            # It is killed while it answers.
            return

    asking = threading.Thread(target=ask)
    asking.start()
    moment.wait(api.home)
    api.stop(signal.SIGKILL)
    asking.join(60)
    known = {job["id"] for job in Jobs(api.home).all()}
    assert known or moment.since == "request"
    api.start()
    told: list[str] = []

    def again() -> None:
        answer = httpx.post(f"{api.url}/v1/server/nap?wait=45", json=NAP, headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text
        told.append(answer.json()["id"])

    # Who was not told asks once more, and gets the job that there is, or the first one that runs.
    again()
    job = done(api.home, moment, again)
    assert told[-1] == job["id"]
    shown = httpx.get(f"{api.url}/v1/jobs/{job['id']}", headers=headers, timeout=60)
    assert shown.json()["status"] == job["status"]
    api.stop()


def test_the_gateway(tree: Tree, tmp_path: Path, moment: Moment) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    process = ask_gateway(tree, home)
    moment.wait(home)
    assert process.poll() is None
    process.kill()
    process.communicate()

    def again() -> None:
        other = ask_gateway(tree, home)
        # It answers when the job has ended, and ends when nobody asks any more.
        assert other.stdout and any(json.loads(line).get("id") == 2 for line in other.stdout)
        other.communicate(timeout=PATIENCE)

    done(home, moment, again)


def ask_gateway(tree: Tree, home: Path) -> subprocess.Popen[str]:
    """A gateway that was asked for the nap, over its standard input."""
    server = over_stdio(tree, home)
    process = subprocess.Popen(
        [server.command, *server.args], env=server.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin and process.stdout
    about = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "by hand", "version": "1"}}
    call = {"name": "operacao", "arguments": {"nome": "server.nap", "parametros": NAP}}
    process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": about}) + "\n")
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["result"]
    for message in ({"method": "notifications/initialized"}, {"id": 2, "method": "tools/call", "params": call}):
        process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    process.stdin.flush()
    return process
