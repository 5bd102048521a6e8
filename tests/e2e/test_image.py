"""The image of the REST API, built by its own Dockerfile, on the lab's Debian and from wheels that are fetched here."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from livchat_cli.operations import OPERATIONS
from tests.e2e.conftest import SERVER
from tests.e2e.story import Story
from tests.lab import base_image
from tests.lab.engine import docker

ROOT = Path(__file__).parents[2]
NAME = f"{SERVER}-api"
HOST_NAME = "api.example.com"
# Keys of the compose file that ask nothing of a container that lives for one test.
NOT_ASKED = {"image", "build", "restart"}


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
    """Where the API answers, run with what the compose file says and a home of its own."""
    folder = tmp_path_factory.mktemp("api")
    Story(story.lab, folder / "home").init()
    for path in (folder / "vault-password", folder / "home", *(folder / "home").rglob("*")):
        shutil.chown(path, 10001, 10001)
    given = {
        "LIVCHAT_VAULT_PASSWORD_FILE": str(folder / "vault-password"),
        "LIVCHAT_API_HOST_NAMES": f"other.example.com {HOST_NAME}",
        # What comes from the machine comes from an address of the network.
        "LIVCHAT_API_TRUSTED_PROXIES": story.lab.subnet,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given.items():
            patch.setenv(name, value)
        options = [*_options(_compose(), {"home": folder / "home"}), "--network", story.lab.network]
    docker("rm", "--force", NAME, check=False)
    docker("run", "--detach", "--name", NAME, *options, image)
    try:
        url = f"http://{docker('port', NAME, '8000/tcp').splitlines()[0]}"
        _wait(url)
        yield url
    finally:
        docker("rm", "--force", NAME, check=False)


def _compose() -> dict[str, Any]:
    """The compose file as Docker itself reads it, this environment's variables put in.

    `docker compose` is not packaged with every engine that the lab meets. Every `docker` reads such a file for stacks,
    but for the name of the project.
    """
    file = yaml.safe_load((ROOT / "docker/compose.yml").read_text())
    del file["name"]
    text = yaml.safe_dump({"version": "3.8", **file})
    found: dict[str, Any] = yaml.safe_load(docker("stack", "config", "--compose-file", "-", stdin=text.encode()))
    return found


def _options(compose: dict[str, Any], volumes: dict[str, Path]) -> list[str]:
    """What `docker run` is told for the one service of the file to be as it says, with these folders for its volumes.

    Raises:
        KeyError: the file says something that this function does not know.
    """
    flags = {"read_only": "--read-only"}
    values = {"cap_drop": "--cap-drop", "security_opt": "--security-opt", "tmpfs": "--tmpfs"}
    options: list[str] = []
    for key, said in compose["services"]["api"].items():
        if key in NOT_ASKED:
            continue
        if key in flags:
            options += [flags[key]] if said else []
        elif key == "environment":
            options += [word for name, value in said.items() for word in ("--env", f"{name}={value}")]
        elif key == "ports":
            options += [word for one in said for word in ("--publish", f"127.0.0.1:0:{one['target']}")]
        elif key == "volumes":
            options += [word for one in said for word in ("--volume", f"{volumes[one['source']]}:{one['target']}")]
        elif key == "secrets":
            for name in (one["source"] for one in said):
                options += ["--volume", f"{compose['secrets'][name]['file']}:/run/secrets/{name}:ro"]
        elif key == "stop_grace_period":
            options += ["--stop-timeout", str(_seconds(said))]
        else:
            options += [word for one in said for word in (values[key], one)]
    return options


def _seconds(duration: str) -> int:
    """Of `1h10m0s`."""
    units = {"h": 3600, "m": 60, "s": 1}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([hms])", duration))


def _wait(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            assert httpx.get(f"{url}/health", timeout=5).status_code == 200
            return
        except httpx.TransportError:
            assert time.monotonic() < deadline, _log()
            time.sleep(0.2)


def _log() -> str:
    """What the API said, which it says on its standard error."""
    command = ["docker", "logs", NAME]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True).stdout


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


def test_it_goes_by_the_names_it_is_given_and_believes_the_proxy_that_is_named(address: str) -> None:
    for name, status in ((HOST_NAME, 200), ("localhost", 200), ("example.com", 421)):
        headers = {"Host": name, "X-Forwarded-For": "198.51.100.7"}
        assert httpx.get(f"{address}/health", headers=headers).status_code == status
    assert _log().count('"client": "198.51.100.7"') == 3


def test_it_ends_when_it_is_told_to(address: str) -> None:
    # The file gives it the time that a job may take.
    assert int(docker("inspect", "--format", "{{.Config.StopTimeout}}", NAME)) > max(one.timeout for one in OPERATIONS)
    docker("stop", "--time", "20", NAME)
    assert docker("inspect", "--format", "{{.State.ExitCode}}", NAME) == "0"
