# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ..plugin_utils._action import LivchatAction


class ActionModule(LivchatAction):
    """See plugins/modules/secret.py."""

    ARGUMENTS: t.ClassVar = {
        "entries": {"type": "list", "elements": "dict", "default": []},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "paths": {"type": "list", "elements": "str", "default": []},
    }

    def work(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        if arguments["state"] == "absent":
            return self._forget(arguments["paths"])
        wanted = {
            secret["vault_path"]: secret["generate"] for entry in arguments["entries"] for secret in entry["secrets"]
        }
        if self.check_mode:
            created = sorted(path for path in wanted if self.vault.get(path) is None)
        else:
            created = self.vault.create_missing(wanted)
        return {"changed": bool(created), "created": created, "removed": []}

    def _forget(self, paths: list[str]) -> dict[str, t.Any]:
        removed = [f"{path}/{name}" for path in paths for name in self.vault.names(path)]
        if removed and not self.check_mode:
            for path in paths:
                self.vault.delete(path)
        return {"changed": bool(removed), "created": [], "removed": removed}
