"""A stranger's tool tries the whole description, with all its checks.

What it makes up meets nothing that exists. So that each operation does what it is for as well, it first gets examples
of what does: a server, a job that has ended, one that lives, tokens.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from ansible_collections.livchat.setup.plugins.plugin_utils import _processes as processes

from livchat_cli.access import Tokens
from livchat_cli.api.document import document
from livchat_cli.jobs import JobFolder
from tests.throwaway import plant
from tests.unit.api.running import Running, state

SECONDS = 60
# In place of a job's process, which would run playbooks by the hundred: what the API sees of a job is the same.
JOB = """
import json, os, sys
request = json.load(sys.stdin)
path = os.path.join(os.environ["LIVCHAT_HOME"], "jobs", request["job"], "job.json")
with open(path) as handle:
    record = json.load(handle)
record.update(status="successful", started_at=record["created_at"], finished_at=record["created_at"])
with open(path + ".new", "w") as handle:
    json.dump(record, handle)
os.replace(path + ".new", path)
"""


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Running:
    folder = tmp_path_factory.mktemp("tried")
    tree = plant(folder / "tree")
    job = folder / "job.py"
    job.write_text(JOB)
    worker = tree.path / "livchat_cli" / "spawn.py"
    text = worker.read_text()
    assert '"-P", "-m", "livchat_cli.worker"' in text
    worker.write_text(text.replace('"-P", "-m", "livchat_cli.worker"', f'"-I", "-S", {str(job)!r}'))
    running = Running(tree, folder / "home")
    running.write_state(state(3, 3))
    return running


@pytest.fixture
def alive(api: Running) -> Iterator[str]:
    """A job that lives until somebody cancels it."""
    folder = JobFolder.make(api.home / "jobs")
    with folder.lock() as lock:
        environment = {**os.environ, processes.VARIABLE: folder.id}
        process = subprocess.Popen(["sleep", "600"], env=environment, pass_fds=[lock.fileno()], start_new_session=True)
        folder.update(operation="server.setup", servers=["s0"], status="running", pid=process.pid)
    yield folder.id
    process.kill()
    process.wait()


def existing(api: Running, alive: str) -> dict[str, dict[str, Any]]:
    """What each operation is asked about that is to meet something, by parameter; the empty name is for all others."""
    over = JobFolder.make(api.home / "jobs")
    over.update(operation="server.setup", servers=["s0"], status="successful")
    tokens = Tokens(api.home)
    rotated, revoked = (tokens.create(name, ["read"])[0].id for name in ("rotated", "revoked"))
    return {
        "": {"name": "s0", "target": "s0", "app": "n8n", "apps": ["n8n"], "instance": "n8n", "job": over.id},
        "jobs.cancel": {"job": alive},
        "server.destroy": {"confirm_name": "s0"},
        "app.uninstall": {"confirm_name": "n8n"},
        "dns.remove": {"confirm_name": "blog.example.com"},
        "token.rotate": {"token": rotated},
        "token.revoke": {"token": revoked},
        "webhooks.health": {"server": "s0"},
        "webhooks.portainer": {"server": "s0"},
    }


def described(values: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The description, with these values as examples of parameters that are required or named for the operation."""
    found = document()
    for operation in operations(found):
        own = values.get(operation["operationId"], {})
        for one in operation["parameters"]:
            name = one.get("name", "")
            if name in own or (one.get("required") and name in values[""]):
                one["example"] = own.get(name, values[""].get(name))
        for content in operation.get("requestBody", {}).get("content", {}).values():
            content["example"] |= {name: own[name] for name in own.keys() & content["schema"]["properties"].keys()}
    return found


def operations(description: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [one for methods in description["paths"].values() for one in methods.values()]


def run(api: Running, folder: Path, description: Mapping[str, Any], key: str, seconds: int, *options: str) -> None:
    """Runs it with all checks, and fails with what it printed."""
    written = folder / "openapi.json"
    written.write_text(json.dumps(description))
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            "run",
            str(written),
            *("--url", api.url),
            *("--header", f"Authorization: Bearer {key}"),
            *("--checks", "all"),
            *("--max-time", str(seconds)),
            *("--request-timeout", "60"),
            *("--seed", "1"),
            "--continue-on-failure",
            "--no-color",
            *options,
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def test_the_whole_description_holds(api: Running, alive: str, tmp_path: Path) -> None:
    api.start()
    description = document()
    token, key = Tokens(api.home).create("everything", ["admin", "exec", "report"])
    # What ends tokens ends the tool's own as well, once it has seen a list of them: it gets these two alone.
    own = [f"^{path}$" for path in ("/v1/tokens/{token}", "/v1/tokens/{token}/rotate")]
    pattern = "|".join(one.replace("{", r"\{").replace("}", r"\}") for one in own)
    try:
        run(api, tmp_path, described(existing(api, alive)), key, SECONDS, "--phases", "examples")
        run(api, tmp_path, description, key, SECONDS, "--exclude-path-regex", pattern)
        run(api, tmp_path, description, key, SECONDS // 6, "--include-path-regex", pattern)
        calls = api.calls()
        assert len(calls) > 500
        assert not [call for call in calls if call.get("status", 0) >= 500 or "defect" in call]
        assert {200, 202, 304, 404, 405, 409, 422} <= {call["status"] for call in calls}
        # By route: each has its own name, which the API finds by the method and the path.
        methods = {
            one["operationId"]: name.upper() for path in description["paths"].values() for name, one in path.items()
        }
        assert set(methods.items()) <= {(call["operation"], call["method"]) for call in calls}
        # And each has done, at least once, what it is for.
        assert methods.keys() <= {call["operation"] for call in calls if call["status"] < 300}
        # It worked to the end with a token that was good.
        assert httpx.get(f"{api.url}/v1/servers", headers={"Authorization": f"Bearer {key}"}).status_code == 200
        assert token.id in [one.id for one in Tokens(api.home).all()]
    finally:
        api.stop()
