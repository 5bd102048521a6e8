"""Who asked for a deploy, or carried the request, is killed in the middle of it: the job goes on, and is found once.

`tests/unit/test_killed_doors.py` does the same around the moment at which a job begins, many times, without a server.
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import pytest

from livchat_cli.jobs import Jobs
from tests.e2e.conftest import SERVER
from tests.e2e.story import Story
from tests.throwaway import ROOT, Tree
from tests.unit.api.running import Running
from tests.unit.mcp.running import over_stdio

# Seconds that a deploy of Redis takes at least.
DEPLOY = 5.0
PATIENCE = 300


@contextmanager
def by_command(story: Story, app: str) -> Iterator[Callable[[], None]]:
    process = story.start("app", "install", app, "--target", SERVER, "--yes")

    def kill() -> None:
        process.kill()
        process.communicate()

    yield kill


@contextmanager
def by_api(story: Story, app: str) -> Iterator[Callable[[], None]]:
    api = Running(Tree(ROOT), story.home, settings=None)
    api.start()
    key, path = api.key("deploy"), f"{api.url}/v1/servers/{SERVER}/apps"

    def ask() -> None:
        with suppress(httpx.HTTPError):
            headers = {"Authorization": f"Bearer {key}"}
            httpx.post(path, params={"wait": 45}, json={"apps": [app]}, headers=headers, timeout=60)

    asking = threading.Thread(target=ask)
    asking.start()

    def kill() -> None:
        api.stop(signal.SIGKILL)
        asking.join()

    yield kill
    # One that is started again shows the job of the one that was killed.
    api.start()
    try:
        (job,) = jobs(story, app)
        shown = httpx.get(f"{api.url}/v1/jobs/{job['id']}", headers={"Authorization": f"Bearer {key}"}, timeout=60)
        assert shown.json()["status"] == "successful", shown.text
    finally:
        api.stop()


@contextmanager
def by_gateway(story: Story, app: str) -> Iterator[Callable[[], None]]:
    server = over_stdio(Tree(ROOT), story.home, password="")
    process = subprocess.Popen(
        [server.command, *server.args], env=server.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin and process.stdout
    about = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "by hand", "version": "1"}}
    call = {"name": "instalar-app", "arguments": {"apps": [app], "target": [SERVER]}}
    for message in (
        {"id": 1, "method": "initialize", "params": about},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": call},
    ):
        process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        process.stdin.flush()

    def kill() -> None:
        process.kill()
        process.communicate()

    yield kill


DOORS = {"command": by_command, "api": by_api, "gateway": by_gateway}


def jobs(story: Story, app: str) -> list[dict[str, Any]]:
    """The jobs that install it."""
    return [one for one in Jobs(story.home).all(operation="app.install") if app in one["parameters"]["apps"]]


def wait(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("door", DOORS)
def test_the_deploy_goes_on_and_is_found_once(story: Story, installed: dict[str, Any], door: str) -> None:
    seed = os.environ.get("LIVCHAT_TEST_SEED", str(time.time_ns()))
    moment = random.Random(f"{seed} {door}").uniform(0, DEPLOY)
    print(f"LIVCHAT_TEST_SEED={seed}: killed after {moment:.2f} s")
    app = f"redis:{door}"
    with DOORS[door](story, app) as kill:
        wait(lambda: any(one["status"] == "running" for one in jobs(story, app)))
        time.sleep(moment)
        (begun,) = jobs(story, app)
        assert begun["status"] == "running"
        kill()
        wait(lambda: jobs(story, app)[0]["finished_at"] is not None)
    (job,) = jobs(story, app)
    assert (job["id"], job["status"]) == (begun["id"], "successful"), job["error"]
    shown = story.run("jobs", "show", job["id"])
    assert [one["server"] for one in shown["result"]] == [SERVER]
    (again,) = story.install(SERVER, app)
    assert again["changed"] is False
    story.run("app", "uninstall", f"redis-{door}", "--target", SERVER, "--drop-data", "--yes")
