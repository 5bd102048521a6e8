"""Portainer as the one who deploys: its own stacks, updated, rolled back, moved there and back, and removed."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.livchat.setup.plugins.module_utils._portainer import PortainerClient

from tests.e2e.conftest import SERVER, container
from tests.e2e.story import StepError, Story

ROOT = Path(__file__).parents[2]
APP = "keeper"
SERVICE = f"{APP}_redis"
Define = Callable[..., None]


def definition(version: str, image: str = "") -> dict[str, Any]:
    """A Redis with a second service that starts when it is healthy."""
    redis: dict[str, Any] = yaml.safe_load((ROOT / "apps/definitions/databases/redis.yml").read_text())
    main = redis["services"]["redis"]
    second = {
        "image": image or main["image"],
        "entrypoint": ["sleep", "infinity"],
        "environment": {"VERSION": version},
        "healthcheck": {"test": ["CMD", "true"], "interval": "1s", "start_period": "5s"},
        "resources": {"memory_mb": 32, "cpus": 0.1},
        "after": ["redis"],
    }
    kept = {key: redis[key] for key in ("description", "category", "homepage", "license", "requirements", "secrets")}
    services = {"redis": {**main, "environment": {"VERSION": version}}, "second": second}
    return {"name": APP, "title": "Keeper", "version": version, **kept, "services": services}


@pytest.fixture(scope="module")
def define(story: Story, installed: dict[str, Any]) -> Iterator[Define]:
    """Writes the definition of the operator's own app; at the end everything is as it was."""
    path = story.home / "apps" / f"{APP}.yml"
    path.parent.mkdir(exist_ok=True)

    def write(version: str, image: str = "") -> None:
        path.write_text(yaml.safe_dump(definition(version, image)))

    yield write
    choose(story, "docker")
    story.run("app", "uninstall", APP, "--target", SERVER, "--drop-data", "--yes")
    path.unlink()


@pytest.fixture(scope="module")
def portainer(story: Story, installed: dict[str, Any]) -> PortainerClient:
    return PortainerClient(
        f"https://portainer.{SERVER}.{story.lab.zone}",
        story.secret(f"servers/{SERVER}/portainer/token"),
        address=installed["address"],
        authority=story.lab.acme_root_file.read_text(),
    )


def choose(story: Story, backend: str) -> None:
    story.run("init", "--non-interactive", "--stack-backend", backend)


def file(portainer: PortainerClient) -> dict[str, Any] | None:
    """What Portainer lets people edit of the app, or None when it is no stack of its own."""
    found = [one for one in portainer.stacks(1) if one["Name"] == APP]
    if not found:
        return None
    parsed: dict[str, Any] = yaml.safe_load(portainer.file(found[0]["Id"]))
    return parsed


def redis(target: Any, command: str) -> str:
    said = (
        f'{{ printf "AUTH default "; cat /run/secrets/redis_password; echo; echo {shlex.quote(command)}; }} | redis-cli'
    )
    return str(target.check_output(f"docker exec {container(target, SERVICE)} sh -c %s", said)).splitlines()[-1]


def test_a_new_app_is_portainers_own_stack(
    story: Story, define: Define, portainer: PortainerClient, target: Any
) -> None:
    choose(story, "portainer")
    define("1")
    (installed,) = story.install(SERVER, APP)
    assert installed["changed"] is True
    kept = file(portainer)
    assert kept and set(kept["services"]) == {"redis", "second"}
    assert redis(target, "SET word first") == "OK"
    # Nothing of n8n, which Docker deployed, and its shared services has moved.
    assert [one["Name"] for one in portainer.stacks(1)] == [APP]
    (again,) = story.install(SERVER, APP)
    assert again["changed"] is False


def test_an_update_reaches_portainers_file(
    story: Story, define: Define, portainer: PortainerClient, target: Any
) -> None:
    define("2")
    story.install(SERVER, APP)
    kept = file(portainer)
    assert kept and kept["services"]["redis"]["environment"] == {"VERSION": "2"}
    labels = target.check_output("docker service inspect %s --format '{{json .Spec.Labels}}'", SERVICE)
    assert '"livchat.version":"2"' in labels
    assert redis(target, "GET word") == "first"


def test_an_update_that_fails_leaves_portainers_file_as_it_was(
    story: Story, define: Define, portainer: PortainerClient, target: Any
) -> None:
    before = (file(portainer), target.check_output("docker service inspect %s --format '{{json .Spec}}'", SERVICE))
    define("3", image="nobody/nothing:1.0.0")
    with pytest.raises(StepError) as failure:
        story.install(SERVER, APP)
    assert failure.value.error["code"] == "STACK_ROLLED_BACK"
    after = (file(portainer), target.check_output("docker service inspect %s --format '{{json .Spec}}'", SERVICE))
    assert after == before
    define("2")


def test_it_moves_to_docker_and_back_with_its_data(
    story: Story, define: Define, portainer: PortainerClient, target: Any
) -> None:
    choose(story, "docker")
    (plan,) = story.run("app", "plan", APP, "--target", SERVER)
    assert "deployed by docker instead of portainer" in plan["summary"][0]
    story.install(SERVER, APP)
    assert file(portainer) is None
    assert redis(target, "GET word") == "first"
    assert story.install(SERVER, APP)[0]["changed"] is False
    choose(story, "portainer")
    story.install(SERVER, APP)
    assert file(portainer) is not None
    assert redis(target, "GET word") == "first"
    assert story.install(SERVER, APP)[0]["changed"] is False


def test_removal_takes_it_from_portainer_whatever_the_setting_says(
    story: Story, define: Define, portainer: PortainerClient, target: Any
) -> None:
    choose(story, "docker")
    (removed,) = story.run("app", "uninstall", APP, "--target", SERVER, "--drop-data", "--yes")
    assert removed["volumes"] == [f"{APP}_data"]
    assert portainer.stacks(1) == []
    assert f"{APP}_" not in target.check_output(
        "docker service ls --format '{{.Name}}'; docker volume ls -q; docker secret ls"
    )


def test_the_contract_holds_on_a_server(story: Story, installed: dict[str, Any]) -> None:
    """Where Portainer stands in front of a Swarm, no case of the contract is left out."""
    command = [
        *(sys.executable, "-m", "pytest", "tests/contract/portainer", "-q", "-p", "no:cacheprovider"),
        *("--portainer-url", f"https://portainer.{SERVER}.{story.lab.zone}"),
        *("--portainer-address", installed["address"]),
        *("--portainer-ca-file", str(story.lab.acme_root_file)),
    ]
    password = story.secret(f"servers/{SERVER}/portainer/password")
    environment = {**os.environ, "LIVCHAT_PORTAINER_PASSWORD": password}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "skipped" not in done.stdout.splitlines()[-1], done.stdout[-3000:]
