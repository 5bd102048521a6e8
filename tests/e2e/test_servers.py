"""Servers that come from elsewhere, what is shown of a server, and setups that must not begin."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home
from ansible_collections.livchat.setup.plugins.plugin_utils._vault import Vault

from tests.e2e.conftest import SERVER
from tests.e2e.story import StepError, Story
from tests.lab import vps
from tests.lab.config import LabConfig

# A user who may become root, and one who may not without a password; sshd listens on a second port as well.
USER_DATA = """#cloud-config
users:
  - name: admin
    sudo: "ALL=(ALL) NOPASSWD:ALL"
    shell: /bin/bash
    ssh_authorized_keys: ["{key}"]
  - name: plain
    sudo: "ALL=(ALL) ALL"
    shell: /bin/bash
    ssh_authorized_keys: ["{key}"]
write_files:
  - path: /etc/ssh/sshd_config.d/10-port.conf
    content: "Port 22\\nPort 2222\\n"
runcmd: [[systemctl, restart, ssh]]
"""


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The operator's own private key."""
    path = tmp_path_factory.mktemp("operator") / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


@pytest.fixture(scope="module")
def foreign(story: Story, key: Path) -> Iterator[str]:
    """The address of a Debian 12 machine that no cloud of ours knows."""
    public = key.with_suffix(".pub").read_text().strip()
    name = f"{SERVER}-old"
    vps.delete_plain(story.lab, name)
    address = vps.create_plain(story.lab, name, "debian-12", public, USER_DATA.format(key=public))
    wait_for_ssh(address, 2222)
    yield address
    vps.delete_plain(story.lab, name)


def wait_for_ssh(address: str, port: int) -> None:
    # cloud-init restarts sshd once it has read what it was given.
    subprocess.run(
        [
            "timeout",
            "90",
            "bash",
            "-c",
            f"until ssh-keyscan -T 2 -p {port} {address} 2>/dev/null | grep -q ssh-; do :; done",
        ],
        check=True,
    )


def adopt(story: Story, address: str, *more: str, name: str = "old") -> Any:
    return story.run("server", "adopt", name, address, *more)


def refused(story: Story, *arguments: str) -> dict[str, Any]:
    with pytest.raises(StepError) as failure:
        story.run(*arguments)
    return failure.value.error


def on(lab: LabConfig, *command: str) -> str:
    """Runs a command on the foreign machine, past all that is tested."""
    machine = f"{lab.network}_adopted_{SERVER}-old"
    return subprocess.run(["docker", "exec", machine, *command], capture_output=True, text=True, check=True).stdout


def kept(story: Story, name: str = "old") -> bool:
    """Whether anything of the server is in the home."""
    vault = Vault(Home(str(story.home)))
    state = (
        json.loads((story.home / "state.json").read_text()) if (story.home / "state.json").exists() else {"servers": {}}
    )
    return bool(vault.get(f"ssh_keys/{name}")) or name in state["servers"] or (story.home / "ssh_keys" / name).exists()


def test_a_server_that_cannot_be_adopted_leaves_nothing(story: Story, foreign: str, key: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    for arguments, code, said in (
        ((foreign, "--private-key", str(other)), "SERVER_UNREACHABLE", "Permission denied"),
        ((foreign, "--port", "2223", "--private-key", str(key)), "SERVER_UNREACHABLE", "refused"),
        ((foreign, "--user", "plain", "--private-key", str(key)), "SUDO_PASSWORD_REQUIRED", "NOPASSWD"),
    ):
        error = refused(story, "server", "adopt", "old", *arguments)
        assert (error["code"], said in error["message"]) == (code, True), error
        assert not kept(story)


def test_another_system_is_refused(story: Story, foreign: str, key: Path) -> None:
    on(story.lab, "sed", "-i.kept", 's/^VERSION_ID=.*/VERSION_ID="11"/', "/etc/os-release")
    on(story.lab, "sh", "-c", "echo 11.1 > /etc/debian_version")
    try:
        error = refused(story, "server", "adopt", "old", foreign, "--private-key", str(key))
    finally:
        on(story.lab, "mv", "/etc/os-release.kept", "/etc/os-release")
        on(story.lab, "sh", "-c", "echo 12.1 > /etc/debian_version")
    assert error["code"] == "SERVER_UNSUITABLE"
    assert "Debian 11" in error["message"] and "Debian 12" in error["message"]
    assert not kept(story)


@pytest.fixture(scope="module")
def adopted(story: Story, foreign: str, key: Path) -> Iterator[dict[str, Any]]:
    """Adopted as a user who is not root, on another port."""
    yield adopt(story, foreign, "--user", "admin", "--port", "2222", "--private-key", str(key))
    if kept(story):
        story.run("server", "destroy", "old", "--yes")


def test_an_adopted_server_is_reached_with_a_key_of_its_own(
    story: Story, adopted: dict[str, Any], foreign: str, key: Path
) -> None:
    assert adopted["changed"] is True
    assert adopted["domain"] == f"old.{story.lab.zone}"
    (ran,) = story.run("exec", "--target", "old", "--", "id", "-un")
    assert ran["stdout"] == "root"
    again = adopt(story, foreign, "--user", "admin", "--port", "2222", "--private-key", str(key))
    assert again["changed"] is False


def test_a_name_that_is_taken_is_refused(story: Story, adopted: dict[str, Any], installed: dict[str, Any]) -> None:
    for name, address in (("old", installed["address"]), (SERVER, adopted["ip_address"])):
        error = refused(story, "server", "adopt", name, address)
        assert error["code"] == "SERVER_NAME_CONFLICT"
        assert name in error["message"]


def test_a_setup_that_cannot_succeed_does_not_begin(story: Story, adopted: dict[str, Any]) -> None:
    before = on(story.lab, "ls", "/etc", "/etc/apt/apt.conf.d", "/etc/ssh/sshd_config.d")
    listener = "import socket, time; s = socket.socket(); s.bind(('', 443)); s.listen(); time.sleep(600)"
    subprocess.run(
        ["docker", "exec", "--detach", f"{story.lab.network}_adopted_{SERVER}-old", "python3", "-c", listener],
        check=True,
    )
    error = refused(story, "server", "setup", "old")
    on(story.lab, "pkill", "-f", "s.bind")
    assert error["code"] == "PORT_TAKEN"
    assert "python3" in error["message"] and "443" in error["message"]
    for given, said in (
        ({"base_min_memory_mb": 10**9}, "MB of memory"),
        ({"base_min_disk_gb": 10**6}, "GB of disk"),
    ):
        printed = setup_with(story, given)
        assert "SERVER_UNSUITABLE" in printed and said in printed
    assert on(story.lab, "ls", "/etc", "/etc/apt/apt.conf.d", "/etc/ssh/sshd_config.d") == before


def setup_with(story: Story, variables: dict[str, Any]) -> str:
    """What a bare ansible-playbook prints, with variables that no front door has."""
    inventory = story.home / "livchat.yml"
    inventory.write_text("plugin: livchat.setup.hetzner\n")
    given = json.dumps({"target": "old", **variables})
    command = ["ansible-playbook", "livchat.setup.setup", "-i", str(inventory), "-e", given]
    done = subprocess.run(command, env=story.environment(), capture_output=True, text=True, check=False)
    assert done.returncode != 0
    return " ".join(done.stdout.split())


def test_a_zone_that_is_not_ours_ends_a_setup_before_it_begins(story: Story, adopted: dict[str, Any]) -> None:
    config = story.home / "config.yaml"
    before = config.read_text()
    config.write_text(before.replace(f"zone: {story.lab.zone}", "zone: not-ours.example"))
    try:
        error = refused(story, "server", "setup", "old")
    finally:
        config.write_text(before)
    assert error["code"] == "DNS_ZONE_NOT_FOUND"
    assert "not-ours.example" in error["message"]


def test_an_adopted_server_of_another_release_is_set_up_and_runs_an_application(
    story: Story, adopted: dict[str, Any]
) -> None:
    story.setup("old")
    (installed,) = story.install("old", "redis")
    assert installed["changed"] is True
    (again,) = story.install("old", "redis")
    assert again["changed"] is False
    shown = story.run("server", "show", "old")
    assert shown["provider"] == "adopted" and shown["reachable"] is True
    assert shown["facts"]["os"]["version"] == "12"
    assert shown["setup_at"]
    (redis,) = (one for one in shown["installed"] if one["instance"] == "redis")
    assert (redis["app"], redis["running"], redis["wanted"], redis["volumes"]) == ("redis", 1, 1, ["redis_data"])


def test_what_is_shown_of_a_server(story: Story, installed: dict[str, Any]) -> None:
    shown = story.run("server", "show", SERVER)
    assert (shown["name"], shown["provider"], shown["status"]) == (SERVER, "hetzner", "running")
    assert shown["ip_address"] == installed["address"]
    assert shown["docker"]["swarm"]["active"] is True
    by_name = {one["instance"]: one for one in shown["installed"]}
    assert {"n8n", "postgres", "redis", "traefik", "portainer"} <= set(by_name)
    assert by_name["n8n"]["domains"] == [f"n8n-webhook.{SERVER}.{story.lab.zone}", f"n8n.{SERVER}.{story.lab.zone}"]
    listed = {one["name"]: one for one in story.run("server", "list")}
    assert listed[SERVER]["ip_address"] == installed["address"]


def test_a_server_that_is_off_is_shown_with_what_is_known(story: Story, adopted: dict[str, Any]) -> None:
    machine = f"{story.lab.network}_adopted_{SERVER}-old"
    subprocess.run(["docker", "pause", machine], check=True, capture_output=True)
    try:
        shown = story.run("server", "show", "old", extra={"ANSIBLE_TIMEOUT": "3"})
    finally:
        subprocess.run(["docker", "unpause", machine], check=True, capture_output=True)
    assert (shown["name"], shown["reachable"], shown["installed"]) == ("old", False, [])


def test_forgetting_an_adopted_server_leaves_it_running(story: Story, adopted: dict[str, Any], foreign: str) -> None:
    story.run("server", "destroy", "old", "--yes")
    assert not kept(story)
    assert "old" not in {one["name"] for one in story.run("server", "list")}
    assert "redis_redis" in on(story.lab, "docker", "service", "ls")


def test_a_server_with_an_rsa_key(story: Story) -> None:
    name = f"{SERVER}-rsa"
    try:
        story.run("server", "create", name, "--domain", f"{name}.{story.lab.zone}", "--key-type", "rsa")
        assert (story.home / "ssh_keys" / f"{name}.pub").read_text().startswith("ssh-rsa ")
        (ran,) = story.run("exec", "--target", name, "--", "true")
        assert ran["rc"] == 0
    finally:
        story.run("server", "destroy", name, "--yes")
