"""One server for all end-to-end tests: made, set up and given n8n once."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import testinfra

from tests.e2e.story import Story
from tests.e2e.stranger import Stranger
from tests.e2e.watch import ProcessWatch
from tests.lab import config

# This checkout's, and in it this worker's: two that test on one lab at once must not take each other's server for one
# that was left over.
TESTER = f"{Path(__file__).resolve()} {os.environ.get('PYTEST_XDIST_WORKER', '')}"
SERVER = f"e2e-{hashlib.sha256(TESTER.encode()).hexdigest()[:6]}"


@pytest.fixture(scope="session")
def story() -> Iterator[Story]:
    with a_home(SERVER) as told:
        yield told


@contextmanager
def a_home(name: str) -> Iterator[Story]:
    """A new home for the running lab; at the end its servers are destroyed."""
    lab = config.load()
    # In the lab's folder, so that tests which were interrupted can be cleaned up after: the home lasts as long as
    # the server it made.
    told = Story(lab, lab.folder / name / "home")
    if told.home.exists():
        told.leave()
        shutil.rmtree(told.home.parent)
    told.init()
    yield told
    told.leave()
    shutil.rmtree(told.home.parent)


@pytest.fixture(scope="session")
def watch() -> ProcessWatch:
    """What processes were started with while the server was made, set up and given n8n."""
    return ProcessWatch()


@pytest.fixture(scope="session")
def installed(story: Story, watch: ProcessWatch) -> dict[str, Any]:
    """The server's address, what installing n8n said, and what a stranger was told who wanted to own it first."""
    with watch:
        created = story.create(SERVER)
        story.setup(SERVER)
        owner = {"email": "a@stranger.test", "firstName": "A", "lastName": "Stranger", "password": "Stranger-2026"}
        host, root = f"n8n.{SERVER}.{story.lab.zone}", str(story.lab.acme_root_file)
        with Stranger(created["ip_address"], root, host, "/rest/owner/setup", owner) as stranger:
            (result,) = story.install(SERVER, "n8n")
    return {"address": created["ip_address"], "result": result, "stranger": stranger.told}


@pytest.fixture(scope="session")
def target(story: Story, installed: dict[str, Any]) -> Any:
    """The server as testinfra sees it, over the SSH the operator has."""
    return connect(story, SERVER, installed["address"])


def connect(story: Story, name: str, address: str) -> Any:
    config_file = story.home / f"{name}.ssh_config"
    number = story.index()["servers"][name]["id"]
    config_file.write_text(
        f"Host {name}\n HostName {address}\n User root\n IdentityFile {story.home / 'ssh_keys' / name}\n"
        f" UserKnownHostsFile {story.home / 'known_hosts'}\n HostKeyAlias hetzner-{number}\n"
    )
    return testinfra.get_host(f"ssh://{name}", ssh_config=str(config_file))


def container(target: Any, service: str) -> str:
    """The id of a Swarm service's running container."""
    name = f"label=com.docker.swarm.service.name={service}"
    return str(target.check_output("docker ps --quiet --filter %s", name).split()[0])
