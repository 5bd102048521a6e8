# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ..plugin_utils._action import LivchatAction


class ActionModule(LivchatAction):
    """See plugins/modules/database.py. Here, on the controller, passwords are read from the vault."""

    ARGUMENTS: t.ClassVar = {
        "entries": {"type": "list", "elements": "dict", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "only": {"type": "list", "elements": "str"},
        "timeout": {"type": "int", "default": 120},
    }

    def work(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        # In check mode secrets may not exist yet, and are not used.
        read = (lambda path: self.vault.get(path) or "unknown") if self.check_mode else self.secret
        # To remove a user nobody needs its password; a run that was interrupted may have forgotten it already.
        read_own = read if arguments["state"] == "present" else lambda _path: ""
        databases = [
            {
                **{key: database[key] for key in ("engine", "service", "database", "user", "extensions")},
                "password": read_own(database["password_path"]),
                "admin_password": read(database["admin_password_path"]),
            }
            for entry in arguments["entries"]
            for database in entry["databases"]
        ]
        passed = {name: arguments[name] for name in ("only", "state", "timeout")}
        return self.module("database", {"databases": databases, **passed})
