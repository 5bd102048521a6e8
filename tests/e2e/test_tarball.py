"""The collection alone: built, installed into an empty path, and run where no Python package of ours is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import SERVER
from tests.e2e.elsewhere import Elsewhere
from tests.e2e.story import Story

INVENTORIES = Path(__file__).parents[2] / "inventories"


@pytest.fixture(scope="module")
def ansible(tmp_path_factory: pytest.TempPathFactory, story: Story) -> Callable[..., str]:
    """Runs `ansible-SOMETHING` in a folder that holds an inventory, and no more."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "ansible.cfg").write_text("[defaults]\n")
    shutil.copy(INVENTORIES / "livchat.yml", folder)
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
    assert folders == {"apps", "changelogs", "docs", "inventories", "meta", "playbooks", "plugins", "roles"}


def test_n8n_is_deployed_from_the_tarball(ansible: Callable[..., str], installed: dict[str, Any]) -> None:
    printed = ansible(
        "playbook", "livchat.setup.deploy", "-i", "livchat.yml", "-e", "apps=n8n", "-e", f"target={SERVER}"
    )
    counts = recap(printed, SERVER)
    assert counts["failed"] == counts["unreachable"] == counts["changed"] == 0


def test_servers_named_by_hand_are_an_inventory_too(
    ansible: Callable[..., str], story: Story, installed: dict[str, Any], tmp_path: Path
) -> None:
    inventory = yaml.safe_load((INVENTORIES / "hosts.yml").read_text())
    variables = inventory["livchat"]["hosts"]["prod"]
    number = story.index()["servers"][SERVER]["id"]
    variables.update(
        ansible_host=installed["address"],
        ansible_ssh_private_key_file=str(story.home / "ssh_keys" / SERVER),
        # As the operator's own known_hosts would have it.
        ansible_ssh_common_args=f"-o UserKnownHostsFile={story.home}/known_hosts -o HostKeyAlias=hetzner-{number}",
        server_domain=f"{SERVER}.{story.lab.zone}",
    )
    inventory["livchat"]["hosts"] = {SERVER: variables}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(inventory))
    for playbook, given in (("setup", "full=true"), ("deploy", "apps=n8n")):
        options = ("-i", str(tmp_path / "hosts.yml"), "-e", f"target={SERVER}", "-e", given)
        counts = recap(ansible("playbook", f"livchat.setup.{playbook}", *options), SERVER)
        assert counts["ok"] > 2 and counts["failed"] == counts["unreachable"] == counts["changed"] == 0, counts


def test_an_n8n_more_is_installed_and_removed_from_the_tarball(
    ansible: Callable[..., str], installed: dict[str, Any], target: Any
) -> None:
    common = ("-i", "livchat.yml", "-e", f"target={SERVER}")
    ansible("playbook", "livchat.setup.deploy", *common, "-e", "apps=n8n:spare")
    assert "n8n-spare" in target.check_output("docker stack ls").split()
    ansible("playbook", "livchat.setup.uninstall", *common, "-e", "instance=n8n-spare", "-e", "drop_data=true")
    assert "n8n-spare" not in target.check_output("docker stack ls").split()
