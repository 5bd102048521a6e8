"""A stranger's tool tries the whole description, with all its checks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from livchat_cli.access import Tokens
from livchat_cli.api.document import document
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


def run(api: Running, folder: Path, key: str, seconds: int, *options: str) -> None:
    """Runs it with all checks, and fails with what it printed."""
    described = folder / "openapi.json"
    described.write_text(json.dumps(document()))
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            "run",
            str(described),
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


def test_the_whole_description_holds(api: Running, tmp_path: Path) -> None:
    api.start()
    token, key = Tokens(api.home).create("everything", ["admin", "exec", "report"])
    # What ends tokens ends the tool's own as well, once it has seen a list of them: it gets these two alone.
    own = [f"^{path}$" for path in ("/v1/tokens/{token}", "/v1/tokens/{token}/rotate")]
    pattern = "|".join(one.replace("{", r"\{").replace("}", r"\}") for one in own)
    try:
        run(api, tmp_path, key, SECONDS, "--exclude-path-regex", pattern)
        run(api, tmp_path, key, SECONDS // 6, "--include-path-regex", pattern)
        calls = api.calls()
        assert len(calls) > 500
        assert not [call for call in calls if call.get("status", 0) >= 500 or "defect" in call]
        assert {200, 202, 304, 404, 405, 409, 422} <= {call["status"] for call in calls}
        # It worked to the end with a token that was good.
        assert httpx.get(f"{api.url}/v1/servers", headers={"Authorization": f"Bearer {key}"}).status_code == 200
        assert token.id in [one.id for one in Tokens(api.home).all()]
    finally:
        api.stop()
