"""The Hetzner API as hetzner.hcloud's own modules and its inventory plugin see it: clients that nobody here wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.hetzner.loopback import TOKEN, HetznerLab

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8mTpd0oQbqHpz0ZlbAj0Cbq0S5mWnIhT9rZ4S8dYvA operator"
RULE = {"direction": "in", "protocol": "tcp", "port": "22", "source_ips": ["0.0.0.0/0", "::/0"]}
# In the order in which they need each other.
RESOURCES: list[dict[str, dict[str, Any]]] = [
    {"ssh_key": {"name": "operator", "public_key": KEY, "labels": {"team": "a"}}},
    {"network": {"name": "inner", "ip_range": "10.0.0.0/16"}},
    {
        "subnetwork": {
            "network": "inner",
            "ip_range": "10.0.1.0/24",
            "type": "cloud",
            "network_zone": "eu-central",
        }
    },
    {"firewall": {"name": "web", "rules": [RULE]}},
    {"primary_ip": {"name": "lasting", "type": "ipv4", "location": "nbg1"}},
    {
        "server": {
            "name": "one",
            "server_type": "cx23",
            "image": "debian-13",
            "location": "nbg1",
            "ssh_keys": ["operator"],
            "firewalls": ["web"],
            "labels": {"livchat": "managed"},
        }
    },
    {"server_network": {"server": "one", "network": "inner", "ip": "10.0.1.5"}},
]
READ = [f"{one}_info" for one in ("location", "server_type", "image", "ssh_key", "network", "firewall", "server")]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[HetznerLab]:
    lab = HetznerLab(tmp_path / "hetzner.json").start()
    yield lab
    lab.stop()


def run(lab: HetznerLab, folder: Path, program: str, *arguments: str) -> Any:
    """What a program of Ansible's prints as JSON."""
    (folder / "ansible.cfg").touch()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
        "HCLOUD_TOKEN": TOKEN,
        "HCLOUD_ENDPOINT": lab.url,
    }
    command = [sys.executable, "-m", "ansible", program, *arguments]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout[done.stdout.index("{") :])


def play(lab: HetznerLab, folder: Path, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The results of tasks, each a module of hetzner.hcloud with its arguments."""
    named = [{f"hetzner.hcloud.{name}": arguments} for task in tasks for name, arguments in task.items()]
    book = folder / "play.yml"
    here = {"ansible_python_interpreter": sys.executable}
    book.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "vars": here, "tasks": named}]))
    told = run(lab, folder, "playbook", "-i", "localhost,", "-c", "local", str(book))
    return [one["hosts"]["localhost"] for one in told["plays"][0]["tasks"]]


def test_resources_are_made_once_read_and_removed(lab: HetznerLab, tmp_path: Path) -> None:
    assert [one["changed"] for one in play(lab, tmp_path, RESOURCES)] == [True] * len(RESOURCES)
    assert [one["changed"] for one in play(lab, tmp_path, RESOURCES)] == [False] * len(RESOURCES)
    found = dict(zip(READ, play(lab, tmp_path, [{name: {}} for name in READ]), strict=True))
    assert {"nbg1", "fsn1"} <= {one["name"] for one in found["location_info"]["hcloud_location_info"]}
    assert "cx23" in {one["name"] for one in found["server_type_info"]["hcloud_server_type_info"]}
    assert "debian-13" in {one["name"] for one in found["image_info"]["hcloud_image_info"]}
    (server,) = found["server_info"]["hcloud_server_info"]
    assert (server["name"], server["status"], server["image"]) == ("one", "running", "debian-13")
    assert server["labels"] == {"livchat": "managed"} and server["private_networks_info"][0]["ip"] == "10.0.1.5"
    power = [{"server": {"name": "one", "state": state}} for state in ("stopped", "started")]
    stopped, started = play(lab, tmp_path, power)
    assert stopped["hcloud_server"]["status"] == "off" and started["hcloud_server"]["status"] == "running"
    gone = [{name: {**arguments, "state": "absent"}} for one in reversed(RESOURCES) for name, arguments in one.items()]
    assert all(one["changed"] for one in play(lab, tmp_path, gone))
    left = play(lab, tmp_path, [{"server_info": {}}, {"ssh_key_info": {}}, {"firewall_info": {}}, {"network_info": {}}])
    assert not any(one[key] for one in left for key in one if key.startswith("hcloud_"))


def test_the_inventory_plugin_groups_the_servers(lab: HetznerLab, tmp_path: Path) -> None:
    play(lab, tmp_path, [one for one in RESOURCES if {"ssh_key", "firewall", "server"} & set(one)])
    source = tmp_path / "hcloud.yml"
    source.write_text("plugin: hetzner.hcloud.hcloud\nkeyed_groups: [{key: hcloud_location, prefix: at}]\n")
    told = run(lab, tmp_path, "inventory", "-i", str(source), "--list")
    assert told["hcloud"]["hosts"] == ["one"] and told["at_nbg1"]["hosts"] == ["one"]
    # Marked as not to be templated, as all of an inventory is.
    variables = {key: _bare(one) for key, one in told["_meta"]["hostvars"]["one"].items()}
    assert (variables["hcloud_server_type"], variables["hcloud_labels"]) == ("cx23", {"livchat": "managed"})
    assert variables["ansible_host"] == variables["hcloud_ipv4"]


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        return value["__ansible_unsafe"] if "__ansible_unsafe" in value else {k: _bare(v) for k, v in value.items()}
    return value
