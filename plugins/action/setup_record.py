# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import json
import typing as t
from pathlib import Path

from ..plugin_utils._action import LivchatAction

COLLECTION = Path(__file__).parents[2]
ABOUT_HOST = ("ansible_host", "ansible_port", "inventory_hostname", "server_domain")
WORDS: dict[str, t.Any] = {"type": "list", "elements": "str", "default": []}


class ActionModule(LivchatAction):
    """See plugins/modules/setup_record.py."""

    ARGUMENTS: t.ClassVar = {
        "state": {"type": "str", "choices": ["read", "present", "absent"], "default": "read"},
        **dict.fromkeys(("files", "units", "packages", "nftables", "stacks", "roles", "secrets"), WORDS),
        "max_age": {"type": "int", "default": 86400},
    }

    def work(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        return self.module("setup_record", {**arguments, "wanted": self._wanted(arguments)})

    def _wanted(self, arguments: dict[str, t.Any]) -> str:
        """The hash of all that decides what a setup does. Only names and hashes of secrets go into it, in one hash."""
        prefixes = tuple(f"{role}_" for role in arguments["roles"])
        parts = (
            # The record is only as good as what it looks at.
            {name: value for name, value in arguments.items() if name != "state"},
            self._collection(arguments["roles"]),
            # Of inventory and command line; a role's own defaults are among its files.
            {
                name: str(value)
                for name, value in self.variables.items()
                if name in ABOUT_HOST or name.startswith(prefixes)
            },
            self.settings.all(),
            self._content(self.settings.get("acme.ca_file")),
            {path: self.vault.get(path) for path in arguments["secrets"]},
        )
        digest = hashlib.sha256()
        for part in parts:
            digest.update(json.dumps(part, sort_keys=True, default=str).encode())
        return digest.hexdigest()

    @staticmethod
    def _collection(roles: list[str]) -> dict[str, str]:
        places = [(COLLECTION / "plugins", "*.py"), *((COLLECTION / "roles" / role, "*") for role in roles)]
        files = (path for place, pattern in places for path in sorted(place.rglob(pattern)))
        return {
            str(path.relative_to(COLLECTION)): path.read_text()
            for path in files
            if path.is_file() and path.suffix in (".py", ".yml", ".j2")
        }

    @staticmethod
    def _content(path: str | None) -> str:
        try:
            return Path(path).expanduser().read_text() if path else ""
        except OSError:
            # The role that needs it says so better.
            return ""
