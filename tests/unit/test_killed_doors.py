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

ROUNDS = 3
# Seconds within which a request has become a job that sleeps.
WINDOW = 3.0
NAP = {"target": ["prod"], "apps": ["nap"], "variables": {"nap": {"seconds": "3"}}}


@pytest.fixture
def moment(request: pytest.FixtureRequest) -> float:
    seed = os.environ.get("LIVCHAT_TEST_SEED", str(time.time_ns()))
    drawn = random.Random(f"{seed} {request.node.name}").uniform(0, WINDOW)
    print(f"LIVCHAT_TEST_SEED={seed}: killed after {drawn:.2f} s")
    return drawn


def found(home: Path) -> list[dict[str, Any]]:
    """The jobs of the home once they have ended: one that ran once, or none that had begun."""
    deadline = time.monotonic() + 120
    while Jobs(home).all(status=["waiting", "running"]):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    listed = Jobs(home).all()
    assert len(listed) <= 1
    for job in listed:
        slept = [one["kind"] for one in Jobs(home).get(job["id"]).events() if one["task"] == "Sleep"]
        # Killed: who asked died between making the job's record and handing the request over, and was told of no job.
        assert (job["status"], slept) in (("successful", ["started", "changed"]), ("killed", []))
    return listed


@pytest.mark.parametrize("number", range(ROUNDS))
def test_the_command(tree: Tree, tmp_path: Path, moment: float, number: int) -> None:
    home = tmp_path / "home"
    words = ("server", "nap", "prod", "--apps", "nap", "--var", "nap.seconds=3", "--yes", "--json")
    process = subprocess.Popen(tree.command(*words), env=tree.environment(home), stdout=subprocess.DEVNULL)
    time.sleep(moment)
    process.kill()
    process.wait()
    for job in found(home):
        # Whoever comes later finds it, and what it ended with.
        shown = subprocess.run(
            tree.command("jobs", "show", job["id"], "--json"),
            env=tree.environment(home),
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(shown.stdout)["result"] == Jobs(home).show(job["id"])["result"]


@pytest.mark.parametrize("number", range(ROUNDS))
def test_the_api(another: Callable[..., Running], moment: float, number: int) -> None:
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
    time.sleep(moment)
    api.stop(signal.SIGKILL)
    asking.join(60)
    api.start()
    # Who was not told asks once more, and gets the job that there is, or the first one.
    again = httpx.post(f"{api.url}/v1/server/nap", json=NAP, headers=headers, timeout=60)
    assert again.status_code in (200, 202), again.text
    (job,) = found(api.home)
    assert again.json()["id"] == job["id"]
    shown = httpx.get(f"{api.url}/v1/jobs/{job['id']}", headers=headers, timeout=60)
    assert shown.json()["status"] == job["status"]
    api.stop()


@pytest.mark.parametrize("number", range(ROUNDS))
def test_the_gateway(tree: Tree, tmp_path: Path, moment: float, number: int) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
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
    time.sleep(moment)
    process.kill()
    process.communicate()
    found(home)
