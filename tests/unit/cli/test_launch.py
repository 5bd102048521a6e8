"""Launching over an inventory that is fixed when the job starts: what it lacks is reached as what it names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.livchat.setup.plugins.plugin_utils import _hosts
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home

from livchat_cli import collection
from tests.unit.api.running import state

LAUNCH = Path(__file__).parents[3] / "playbooks/launch.yml"
# What the playbook knows of a server after these plays is what the next ones connect with.
PLAYS = ("See the new servers", "Learn of these what the inventory says of the others")
HERE = {"hosts": "localhost", "connection": "local", "gather_facts": False}


def test_a_server_that_the_inventory_lacks_is_reached_as_any_other(tmp_path: Path) -> None:
    remembered = state(2, 0)
    server = remembered["servers"]["s1"]
    # Whoever is not root becomes it.
    server["metadata"]["user"] = "admin"
    (tmp_path / "home").mkdir(mode=0o700)
    (tmp_path / "home" / "state.json").write_text(json.dumps(remembered))
    wanted = _hosts.variables(Home(str(tmp_path / "home")), server)
    found = _variables(tmp_path, {"s0": {"livchat_server": {}, "server_domain": "the.inventory.says"}}, list(wanted))
    assert found["s1"] == wanted
    assert found["s0"] == {"livchat_server": {}, "server_domain": "the.inventory.says"}


def _variables(folder: Path, inventory: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """These variables of the hosts s0 and s1 after the plays, over that inventory."""
    (folder / "fixed.yml").write_text(yaml.safe_dump({"livchat": {"hosts": inventory}}))
    plays = [play for play in yaml.safe_load(LAUNCH.read_text()) if play["name"] in PLAYS]
    assert len(plays) == len(PLAYS)
    added = {"ansible.builtin.add_host": {"name": "{{ item }}", "groups": "livchat_launch"}, "loop": ["s0", "s1"]}
    one = "{{ hostvars[item] | dict2items | selectattr('key', 'in', wanted) | items2dict }}"
    told = {
        "ansible.builtin.set_stats": {"data": {"told": "{{ {item: one} }}"}, "per_host": False},
        "vars": {"one": one, "wanted": names},
        "loop": "{{ groups.livchat | sort }}",
    }
    playbook = [{**HERE, "tasks": [added]}, *plays, {**HERE, "tasks": [told]}]
    (folder / "play.yml").write_text(yaml.safe_dump(playbook))
    environment = {
        **{name: one for name, one in os.environ.items() if not name.startswith(("ANSIBLE", "LIVCHAT"))},
        "ANSIBLE_COLLECTIONS_PATH": str(collection.find()),
        "ANSIBLE_SHOW_CUSTOM_STATS": "true",
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
        "LIVCHAT_HOME": str(folder / "home"),
    }
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "fixed.yml", "-e", "names=s0,s1", "play.yml"]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout)["global_custom_stats"]["told"]
    return result
