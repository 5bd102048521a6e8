"""A server that is set up otherwise than the others: Docker from its own repository, and certificates by HTTP-01.

The repository is simulated: what is in its packages is the distribution's Docker (tests/lab/docker_repository).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home
from ansible_collections.livchat.setup.plugins.plugin_utils._settings import Settings

from tests.e2e.conftest import SERVER, a_home, connect
from tests.e2e.https import get
from tests.e2e.story import Story
from tests.lab.docker_repository import repository

NAME = f"{SERVER}-repo"
PACKAGES = ["docker-ce", "docker-ce-cli", "containerd.io"]


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    with a_home(NAME) as told:
        repository.make(told.lab)
        address = told.lab.docker_repository_url
        docker = {"docker.source": "docker", "docker.repository": address}
        Settings(Home(str(told.home))).update({**docker, "acme.challenge": "http-01"})
        yield told


@pytest.fixture(scope="module")
def target(story: Story) -> Any:
    created = story.create(NAME)
    story.setup(NAME)
    return connect(story, NAME, created["ip_address"])


def test_packages_come_from_the_repository_and_are_held(story: Story, target: Any) -> None:
    for package in PACKAGES:
        policy = target.check_output("apt-cache policy %s", package)
        assert f"{story.lab.docker_repository_url}/debian trixie/stable" in policy
    assert version(target) == repository.NEWEST
    assert sorted(target.check_output("apt-mark showhold").split()) == sorted(PACKAGES)
    assert not target.package("docker.io").is_installed
    source = target.file("/etc/apt/sources.list.d/docker.sources").content_string
    (key,) = (line.split(": ")[1] for line in source.splitlines() if line.startswith("Signed-By: "))
    assert "BEGIN PGP PUBLIC KEY BLOCK" in target.file(key).content_string
    assert target.service("docker").is_running and target.service("docker").is_enabled


def test_a_second_setup_changes_nothing(story: Story, target: Any) -> None:
    assert changes(story, {"full": True}) == 0


def test_a_version_that_is_asked_for_is_installed_and_stays(story: Story, target: Any) -> None:
    assert changes(story, {"docker_version": repository.OLDER}) > 0
    assert version(target) == repository.OLDER
    assert sorted(target.check_output("apt-mark showhold").split()) == sorted(PACKAGES)
    assert target.service("docker").is_running
    # Nobody asks for one any more: that which is there stays, though a newer one is to be had.
    changes(story, {})
    assert version(target) == repository.OLDER


def test_a_version_that_is_not_there_is_refused_and_nothing_is_changed(story: Story, target: Any) -> None:
    before = version(target)
    done = story.bare("setup", {"target": NAME, "docker_version": "5:99.9"})
    assert done.returncode == 2 and "docker-ce=5:99.9" in done.stdout, done.stdout
    assert version(target) == before and target.service("docker").is_running


def test_a_name_has_a_certificate_of_its_own_by_http_01(story: Story, target: Any) -> None:
    host = f"portainer.{NAME}.{story.lab.zone}"
    answer = get(host, server_address(story), story.lab.acme_root_file, "/api/system/status")
    assert (answer.status, answer.subject) == (200, host)
    assert "Pebble" in answer.issuer


def server_address(story: Story) -> str:
    return str(story.index()["servers"][NAME]["ip_address"])


def version(target: Any) -> str:
    return str(target.check_output("dpkg-query --showformat='${Version}' --show docker-ce"))


def changes(story: Story, variables: dict[str, Any]) -> int:
    """How many changes a setup with the variables made."""
    done = story.bare("setup", {"target": NAME, **variables})
    assert done.returncode == 0, done.stdout
    (recap,) = (line for line in done.stdout.splitlines() if line.startswith(NAME))
    return int(recap.partition("changed=")[2].split()[0])
