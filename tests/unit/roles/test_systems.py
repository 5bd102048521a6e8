"""What the roles make of the facts of each system: packages, Docker's repository, what they are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.livchat.setup.plugins.plugin_utils._settings import DEFAULTS

ROLES = Path(__file__).parents[3] / "roles"
SYSTEMS: dict[str, dict[str, Any]] = {
    "debian12": {"distribution": "Debian", "distribution_major_version": "12", "distribution_release": "bookworm"},
    "debian13": {"distribution": "Debian", "distribution_major_version": "13", "distribution_release": "trixie"},
    "ubuntu22": {"distribution": "Ubuntu", "distribution_major_version": "22", "distribution_release": "jammy"},
    "ubuntu24": {"distribution": "Ubuntu", "distribution_major_version": "24", "distribution_release": "noble"},
}


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text()) if path.exists() else {}


def trusted(value: Any) -> Any:
    """As Ansible reads it from a role's files, which may be templates."""
    if isinstance(value, dict):
        return {key: trusted(one) for key, one in value.items()}
    if isinstance(value, list):
        return [trusted(one) for one in value]
    return trust_as_template(value) if isinstance(value, str) else value


def templated(role: str, facts: dict[str, Any], value: Any, **more: Any) -> Any:
    """A value of the role's as it is on a server with these facts."""
    variables = {**read(ROLES / role / "defaults" / "main.yml"), **read(ROLES / role / "vars" / "main.yml")}
    known = {**trusted(variables), "ansible_facts": facts, **more}
    return Templar(loader=DataLoader(), variables=known).template(trusted(value))


def task(role: str, module: str) -> dict[str, Any]:
    """The arguments of the role's one task that uses the module."""
    found = [
        one[module]
        for path in sorted((ROLES / role / "tasks").glob("*.yml"))
        for one in read(path)
        if isinstance(one, dict) and module in one
    ]
    assert len(found) == 1
    arguments: dict[str, Any] = found[0]
    return arguments


@pytest.mark.parametrize(
    ("system", "docker", "distribution"),
    [
        ("debian12", ["docker-ce", "docker-ce-cli", "containerd.io"], ["docker.io"]),
        # Debian 13 packs the command line on its own; Ubuntu does not.
        ("debian13", ["docker-ce", "docker-ce-cli", "containerd.io"], ["docker.io", "docker-cli"]),
        ("ubuntu22", ["docker-ce", "docker-ce-cli", "containerd.io"], ["docker.io"]),
        ("ubuntu24", ["docker-ce", "docker-ce-cli", "containerd.io"], ["docker.io"]),
    ],
)
def test_dockers_packages(system: str, docker: list[str], distribution: list[str]) -> None:
    packages = templated("docker", SYSTEMS[system], "{{ __docker_packages }}")
    assert packages == {"docker": docker, "distribution": distribution}


@pytest.mark.parametrize(
    ("system", "address", "suite"),
    [
        ("debian12", "https://download.docker.com/linux/debian", "bookworm"),
        ("debian13", "https://download.docker.com/linux/debian", "trixie"),
        ("ubuntu22", "https://download.docker.com/linux/ubuntu", "jammy"),
        ("ubuntu24", "https://download.docker.com/linux/ubuntu", "noble"),
    ],
)
def test_dockers_repository(system: str, address: str, suite: str) -> None:
    asked = task("docker", "ansible.builtin.deb822_repository")
    repository = templated("docker", SYSTEMS[system], asked, docker_repository=DEFAULTS["docker.repository"])
    assert (repository["uris"], repository["suites"]) == (address, suite)
    assert repository["signed_by"] == f"{address}/gpg"


@pytest.mark.parametrize("role", sorted(path.name for path in ROLES.iterdir() if (path / "meta/main.yml").exists()))
def test_every_role_says_the_same_systems(role: str) -> None:
    platforms = {
        one["name"]: one["versions"] for one in read(ROLES / role / "meta/main.yml")["galaxy_info"]["platforms"]
    }
    assert platforms == {"Debian": ["bookworm", "trixie"], "Ubuntu": ["jammy", "noble"]}
