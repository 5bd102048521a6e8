"""The collection alone: built, installed into an empty path, and run where no Python package of ours is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import SERVER
from tests.e2e.elsewhere import Elsewhere
from tests.e2e.story import Story


@pytest.fixture(scope="module")
def ansible(tmp_path_factory: pytest.TempPathFactory, story: Story) -> Callable[..., str]:
    """Runs `ansible-SOMETHING` in a folder that holds an inventory, and no more."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "ansible.cfg").write_text("[defaults]\n")
    (folder / "livchat.yml").write_text("plugin: livchat.setup.hetzner\n")
    environment = {
        name: value for name, value in story.environment().items() if not name.startswith(("PYTHON", "ANSIBLE"))
    }
    return Elsewhere(folder, {**environment, "ANSIBLE_CONFIG": str(folder / "ansible.cfg")}).run


def recap(printed: str, host: str) -> dict[str, int]:
    (line,) = (one for one in printed.splitlines() if one.startswith(f"{host} ") and " ok=" in one)
    return {name: int(value) for name, value in (word.split("=") for word in line.split(":", 1)[1].split())}


def test_the_tarball_holds_what_a_playbook_needs_and_nothing_else(ansible: Callable[..., str]) -> None:
    listed: dict[str, Any] = json.loads(ansible("galaxy", "collection", "list", "livchat.setup", "--format", "json"))
    (place,) = listed
    folders = {path.name for path in (Path(place) / "livchat/setup").iterdir() if path.is_dir()}
    assert {"apps", "meta", "playbooks", "plugins", "roles"} <= folders
    assert not folders & {"tests", "livchat_cli", "tools", "build", ".venv", "molecule"}


def test_n8n_is_deployed_from_the_tarball(ansible: Callable[..., str], installed: dict[str, Any]) -> None:
    printed = ansible(
        "playbook", "livchat.setup.deploy", "-i", "livchat.yml", "-e", "apps=n8n", "-e", f"target={SERVER}"
    )
    counts = recap(printed, SERVER)
    assert counts["failed"] == counts["unreachable"] == counts["changed"] == 0


def test_another_application_is_installed_and_removed_from_the_tarball(
    ansible: Callable[..., str], installed: dict[str, Any], target: Any
) -> None:
    common = ("-i", "livchat.yml", "-e", f"target={SERVER}")
    ansible("playbook", "livchat.setup.deploy", *common, "-e", "apps=redis:spare")
    assert "redis-spare" in target.check_output("docker stack ls").split()
    ansible("playbook", "livchat.setup.uninstall", *common, "-e", "instance=redis-spare", "-e", "drop_data=true")
    assert "redis-spare" not in target.check_output("docker stack ls").split()
