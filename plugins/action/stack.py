# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import typing as t

from ..plugin_utils import _render
from ..plugin_utils._action import LivchatAction


class ActionModule(LivchatAction):
    """See plugins/modules/stack.py. Here, on the controller, secrets get their values and their names."""

    ARGUMENTS: t.ClassVar = {
        "entries": {"type": "list", "elements": "dict", "default": []},
        "stacks": {"type": "list", "elements": "dict", "default": []},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "wait": {"type": "bool", "default": True},
        "wait_for": {"type": "list", "elements": "str", "default": []},
        "timeout": {"type": "int", "default": 600},
    }

    def work(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        stacks = [self._from_entry(entry) for entry in arguments["entries"]] + [
            {"compose": {}, "secrets": {}, "configs": {}, "phases": [], **stack} for stack in arguments["stacks"]
        ]
        if arguments["state"] == "present":
            stacks = [self._named(stack) for stack in stacks]
        passed = {name: arguments[name] for name in ("state", "wait", "wait_for", "timeout")}
        return self.module("stack", {"stacks": stacks, **passed})

    def _from_entry(self, entry: dict[str, t.Any]) -> dict[str, t.Any]:
        # In check mode a secret may not exist yet; its name then shows that.
        read = self.vault.get if self.check_mode else self.secret
        values = {one["name"]: read(one["vault_path"]) or "" for one in entry["secrets"] if one["mounted"]}
        compose, phases = entry["compose"], entry["phases"]
        return {"name": entry["stack"], "compose": compose, "secrets": values, "configs": {}, "phases": phases}

    @staticmethod
    def _named(stack: dict[str, t.Any]) -> dict[str, t.Any]:
        """The stack with its secrets and configs under names that carry their hash, and its own on its services."""
        compose = copy.deepcopy(stack["compose"])
        named: dict[str, dict[str, str]] = {}
        for kind in ("secrets", "configs"):
            named[kind] = {}
            for key, value in stack[kind].items():
                name = _render.secret_name(stack["name"], key, _render.digest(value))
                named[kind][name] = value
                compose.setdefault(kind, {})[key] = {"external": True, "name": name}
        labels = next(iter(compose["services"].values()))["deploy"].setdefault("labels", {})
        for service in compose["services"].values():
            service["deploy"].setdefault("labels", {})
        compose = _render.label(compose, labels.get("livchat.deployment", ""))
        return {"name": stack["name"], "compose": compose, "phases": stack["phases"], **named}
