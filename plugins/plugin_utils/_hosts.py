# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""A server of ours as a host of Ansible."""

from __future__ import annotations

import hashlib
import typing as t

from ._home import Home


def variables(home: Home, server: dict[str, t.Any]) -> dict[str, t.Any]:
    """What Ansible has to know of it, and what our playbooks ask of it."""
    metadata = server["metadata"]
    user, port = metadata.get("user", "root"), metadata.get("port", 22)
    key = home.file("ssh_keys", metadata["private_key"])
    ssh = {
        "UserKnownHostsFile": home.file("known_hosts"),
        "StrictHostKeyChecking": "accept-new",
        # A connection whose other side is gone ends after 45 s, not after the quarter of an hour that TCP takes.
        "ServerAliveInterval": "15",
        "ServerAliveCountMax": "3",
        # By its number, not its address, which the provider gives to another server once this one is gone.
        "HostKeyAlias": f"{server['provider']}-{server['id']}",
        # An agent with many keys would use up the few tries that a hardened server allows.
        "IdentitiesOnly": "yes",
    }
    shared = (key, ssh["HostKeyAlias"], user, server["ip_address"], str(port))
    found = {
        "livchat_server": server,
        "server_domain": metadata.get("domain", ""),
        "ansible_host": server["ip_address"],
        "ansible_user": user,
        "ansible_port": port,
        # Where Debian and Ubuntu have it; finding out would cost each run a call.
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_private_key_file": key,
        "ansible_ssh_common_args": " ".join(f"-o {name}={value}" for name, value in ssh.items()),
        # Ansible shares one connection per address and user, though an address goes from one server to another and
        # a shared connection asks for neither key nor host key.
        "ansible_control_path": f"%(directory)s/{_digest(*shared)}",
    }
    return found if user == "root" else {**found, "ansible_become": True}


def _digest(*parts: str) -> str:
    """Short, since the path of a socket may have 108 bytes, of which ssh itself takes 17."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
