# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""A server of ours as a host of Ansible."""

from __future__ import annotations

import typing as t

from ._home import Home


def variables(home: Home, server: dict[str, t.Any]) -> dict[str, t.Any]:
    """What Ansible has to know of it, and what our playbooks ask of it."""
    metadata = server["metadata"]
    ssh = {"UserKnownHostsFile": home.file("known_hosts"), "StrictHostKeyChecking": "accept-new"}
    if server["provider"] == "hetzner":
        # By its number, not its address, which the provider gives to another server once this one is gone.
        ssh["HostKeyAlias"] = f"hetzner-{server['id']}"
    return {
        "livchat_server": server,
        "server_domain": metadata.get("domain", ""),
        "ansible_host": server["ip_address"],
        "ansible_user": metadata.get("user", "root"),
        "ansible_port": metadata.get("port", 22),
        # Where Debian and Ubuntu have it; finding out would cost each run a call.
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_private_key_file": home.file("ssh_keys", metadata["private_key"]),
        "ansible_ssh_common_args": " ".join(f"-o {name}={value}" for name, value in ssh.items()),
    }
