"""The controller is killed at random moments of a creation, a setup and a deploy; the next run finishes the job."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hcloud import Client

from livchat_cli import processes
from tests.e2e.conftest import connect
from tests.e2e.https import get
from tests.e2e.story import Story
from tests.lab.config import LabConfig

SERVER = "killed"
KILLS = 5
# What each takes, in seconds, on a machine of two cores: moments are drawn from it.
CREATION, SETUP, DEPLOY = 5, 30, 60


@pytest.fixture(scope="module")
def moments() -> random.Random:
    """Random, and the same again with the seed that a failed run prints."""
    seed = os.environ.get("LIVCHAT_TEST_SEED", str(time.time_ns()))
    print(f"LIVCHAT_TEST_SEED={seed}")
    return random.Random(seed)


@pytest.fixture(scope="module")
def server(story: Story) -> Iterator[dict[str, Any]]:
    created: dict[str, Any] = story.create(SERVER)
    yield created
    story.run("server", "destroy", SERVER, "--yes")


def kill(story: Story, after: float, whole: bool, *arguments: str) -> None:
    """Runs a command and kills it: all its processes at once, or only the first, whose children then notice."""
    print(f"kill {'all' if whole else 'the first'} of {' '.join(arguments)} after {after:.1f} s")
    process = story.start(*arguments)
    time.sleep(after)
    victims = processes.descendants(process.pid) if whole else set()
    for pid in (process.pid, *victims):
        processes.send(pid, signal.SIGKILL)
    process.communicate()


def ours(lab: LabConfig) -> dict[str, list[str]]:
    """What of the killed server is at the provider."""
    client = Client(lab.hetzner_token, api_endpoint=lab.hetzner_url)
    return {
        "servers": [str(one.name) for one in client.servers.get_all() if one.name == SERVER],
        "keys": [str(one.name) for one in client.ssh_keys.get_all() if one.name == f"livchat-{SERVER}"],
        "firewalls": [str(one.name) for one in client.firewalls.get_all()],
    }


def check_home(story: Story) -> None:
    """The index can be read, and nothing half written lies about."""
    state = json.loads((story.home / "state.json").read_text())
    assert set(state["servers"]) >= {SERVER}
    leftovers = [path for path in story.home.rglob("*") if path.name.endswith(".tmp") or path.name == "extra-vars.json"]
    assert not leftovers


def test_a_creation(story: Story, moments: random.Random) -> None:
    for number in range(KILLS):
        domain = f"{SERVER}.{story.lab.zone}"
        kill(story, moments.uniform(0, CREATION), number % 2 == 0, "server", "create", SERVER, "--domain", domain)
        story.create(SERVER)
        (ran,) = story.run("exec", "--target", SERVER, "--", "true")
        assert ran["rc"] == 0
        assert ours(story.lab) == {
            "servers": [SERVER],
            "keys": [f"livchat-{SERVER}"],
            "firewalls": ["livchat-setup"],
        }
        check_home(story)
        story.run("server", "destroy", SERVER, "--yes")
        left = ours(story.lab)
        assert (left["servers"], left["keys"]) == ([], [])
        assert not list((story.home / "ssh_keys").glob(f"{SERVER}*"))


def test_a_setup(story: Story, moments: random.Random, server: dict[str, Any]) -> None:
    for number in range(KILLS):
        kill(story, moments.uniform(1, SETUP), number % 2 == 0, "server", "setup", SERVER)
    story.setup(SERVER)
    check_home(story)
    target = connect(story, SERVER, server["ip_address"])
    for unit in ("docker", "livchat-firewall", "ssh"):
        assert target.service(unit).is_running, unit
    assert "livchat-ssh-revert" not in target.check_output("systemctl list-units --all 'livchat-*'")
    answer = get(f"portainer.{server['domain']}", server["ip_address"], story.lab.acme_root_file, "/api/system/status")
    assert answer.status == 200
    # A second, whole run finds nothing to do, so nothing was left half done.
    story.run("server", "setup", SERVER, "--full")
    audited = json.loads((story.home / "audit.jsonl").read_text().splitlines()[-1])
    assert (audited["operation"], audited["target"], audited["changed"]) == ("setup", SERVER, [])


def test_a_deploy(story: Story, moments: random.Random, server: dict[str, Any]) -> None:
    for number in range(KILLS):
        kill(
            story,
            moments.uniform(1, DEPLOY),
            number % 2 == 0,
            *("app", "install", "n8n", "--target", SERVER, "--yes"),
        )
    story.install(SERVER, "n8n")
    check_home(story)
    (again,) = story.install(SERVER, "n8n")
    assert again["changed"] is False
    answer = get(f"n8n.{server['domain']}", server["ip_address"], story.lab.acme_root_file)
    assert answer.status == 200
    target = connect(story, SERVER, server["ip_address"])
    secrets = target.check_output("docker secret ls --format '{{.Name}}'").split()
    # One for each that is used: a second one of the same name would carry another hash.
    names = [name.rpartition("_")[0] for name in secrets]
    assert sorted(names) == sorted(set(names))
    postgres = target.check_output("docker ps -q --filter label=com.docker.swarm.service.name=postgres_postgres")
    databases = target.check_output(
        f"docker exec {postgres} psql -U postgres -Atc %s", "SELECT datname FROM pg_database"
    )
    assert set(databases.split()) == {"postgres", "template0", "template1", "n8n"}
    state = json.loads((story.home / "state.json").read_text())
    mine = {key for key in state["applications"] if key.startswith(f"{SERVER}/")}
    assert mine == {f"{SERVER}/{name}" for name in ("postgres", "redis", "n8n")}
