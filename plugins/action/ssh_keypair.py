# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import typing as t

from ..plugin_utils import _keys
from ..plugin_utils._action import LivchatAction


class ActionModule(LivchatAction):
    """See plugins/modules/ssh_keypair.py."""

    ARGUMENTS: t.ClassVar = {
        "name": {"type": "str", "required": True},
        "type": {"type": "str", "choices": ["ed25519", "rsa"], "default": "ed25519"},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    }

    def work(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        name = arguments["name"]
        path = self.home.file("ssh_keys", name)
        if arguments["state"] == "absent":
            return {"changed": self._forget(name, path), "path": path}
        kept = self.vault.get(f"ssh_keys/{name}")
        private = kept or self._make(arguments["type"])
        public = _keys.public(private)
        missing = _keys.lacking(self.home, name)
        if not self.check_mode:
            # First the vault, then the disk: a key that was registered somewhere can then always be had again.
            self.vault.set(f"ssh_keys/{name}", private)
            _keys.write(self.home, name, private)
        made = kept is None
        return {"changed": made or bool(missing), "created": made, "public_key": public, "path": path}

    def _forget(self, name: str, path: str) -> bool:
        there = os.path.exists(path) or self.vault.get(f"ssh_keys/{name}") is not None
        if there and not self.check_mode:
            for one in (path, f"{path}.pub"):
                if os.path.exists(one):
                    os.unlink(one)
            self.vault.delete(f"ssh_keys/{name}")
        return there

    @staticmethod
    def _make(kind: str) -> str:
        # Imported late: Ansible loads every action plugin, also where cryptography is not installed.
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric import ed25519, rsa  # noqa: PLC0415

        key = ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else rsa.generate_private_key(65537, 4096)
        return key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        ).decode()
