# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""SSH keys on disk: copies of what the vault holds, where ssh finds them."""

from __future__ import annotations

import os

from ._home import Home
from ._vault import Vault

FOLDER = "ssh_keys"


def public(private: str) -> str:
    """The public key as OpenSSH writes it."""
    # Imported late: Ansible loads every action plugin, also where cryptography is not installed.
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    key = serialization.load_ssh_private_key(private.encode(), None)
    line = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return line.decode()


def lacking(home: Home, name: str) -> list[str]:
    """Which of its two halves are not on disk."""
    halves = [os.path.join(FOLDER, name), os.path.join(FOLDER, f"{name}.pub")]
    return [one for one in halves if not os.path.exists(home.file(one))]


def write(home: Home, name: str, private: str) -> None:
    """Puts what is lacking of both halves into the home."""
    with home.lock():
        for half in lacking(home, name):
            home.write(half, f"{public(private)} {name}\n" if half.endswith(".pub") else private)


def missing(home: Home, vault: Vault) -> list[str]:
    """Names of keys that the vault holds and the disk does not, or not whole."""
    return [name for name in vault.names(FOLDER) if lacking(home, name)]
