"""The image of the REST API, built by its own Dockerfile, on the lab's Debian and from wheels that are fetched here."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from tests.e2e.conftest import SERVER
from tests.e2e.story import Story
from tests.lab import base_image
from tests.lab.engine import docker

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker/compose.yml").read_text())
NAME = f"{SERVER}-api"


@pytest.fixture(scope="module")
def image(story: Story, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    context = tmp_path_factory.mktemp("image")
    # What the build may see, and no more: the rest of a checkout holds tests, and what somebody left lying about.
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        source = ROOT / line[1:]
        if line.startswith("!") and source.is_dir():
            shutil.copytree(source, context / source.name, ignore=shutil.ignore_patterns("__pycache__"))
        elif line.startswith("!") and source.exists():
            shutil.copy(source, context)
    fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(context / "wheels")]
    fetch += ["--only-binary", ":all:", "--python-version", "3.13"]
    locked = ["--require-hashes", "--no-deps", "--requirement", str(ROOT / "requirements/runtime.txt")]
    for what in (locked, ["hatchling"]):
        subprocess.run([*fetch, *what], check=True)
    base_image.make_base(story.lab)
    tag = f"{NAME}-image"
    given = ["--build-arg", f"SYSTEM={base_image.base_tag('debian-13')}", "--build-arg", "WHEELS=wheels"]
    docker("build", "--quiet", *given, "--file", str(ROOT / "docker/Dockerfile"), "--tag", tag, str(context))
    yield tag
    docker("rmi", "--force", tag)


@pytest.fixture(scope="module")
def address(story: Story, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the API answers, run as the compose file says, with a home of its own."""
    folder = tmp_path_factory.mktemp("api")
    Story(story.lab, folder / "home").init()
    for path in (folder / "vault-password", folder / "home", *(folder / "home").rglob("*")):
        shutil.chown(path, 10001, 10001)
    service = COMPOSE["services"]["api"]
    assert service["read_only"] and service["cap_drop"] == ["ALL"]
    options = ["--read-only", "--cap-drop", "ALL", "--network", story.lab.network, "--publish", "127.0.0.1:0:8000"]
    options += [word for one in service["security_opt"] for word in ("--security-opt", one)]
    options += [word for one in service["tmpfs"] for word in ("--tmpfs", one)]
    options += [word for name, value in service["environment"].items() for word in ("--env", f"{name}={value}")]
    options += ["--volume", f"{folder}/home:/home/livchat/.livchat"]
    options += ["--volume", f"{folder}/vault-password:/run/secrets/vault-password:ro"]
    docker("rm", "--force", NAME, check=False)
    docker("run", "--detach", "--name", NAME, *options, image)
    try:
        url = f"http://{docker('port', NAME, '8000/tcp').splitlines()[0]}"
        _wait(url)
        yield url
    finally:
        docker("rm", "--force", NAME, check=False)


def _wait(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            assert httpx.get(f"{url}/health", timeout=5).status_code == 200
            return
        except httpx.TransportError:
            assert time.monotonic() < deadline, docker("logs", NAME)
            time.sleep(0.2)


def test_it_answers_and_runs_playbooks_as_nobody_in_particular(address: str) -> None:
    assert docker("exec", NAME, "id", "--user") == "10001"
    token = json.loads(docker("exec", NAME, "livchat-setup", "token", "create", "test", "--scope", "read", "--json"))
    with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {token['key']}"}, timeout=60) as client:
        assert client.get("/v1/apps/n8n").json()["name"] == "n8n"
        listed = client.get("/v1/servers", params={"live": True, "wait": 45})
        assert listed.status_code == 200, listed.text
        (job,) = [one for one in client.get("/v1/jobs").json()["items"] if one["operation"] == "server.list"]
        assert job["status"] == "successful"
    assert httpx.get(f"{address}/v1/servers").status_code == 401


def test_it_ends_when_it_is_told_to(address: str) -> None:
    docker("stop", "--time", "20", NAME)
    assert docker("inspect", "--format", "{{.State.ExitCode}}", NAME) == "0"
