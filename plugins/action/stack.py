# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import typing as t

from ..module_utils._errors import LivchatError
from ..module_utils._stack_options import OPTIONS
from ..plugin_utils import _gate, _render
from ..plugin_utils._action import LivchatAction
from ..plugin_utils._https import read_authority

PASSED = ("state", "drop_volumes", "wait", "wait_for", "timeout")
BARE: dict[str, t.Any] = {
    "compose": {},
    "secrets": {},
    "configs": {},
    "backend": "docker",
    "volumes": [],
    "phases": [],
}


class ActionModule(LivchatAction):
    """See plugins/modules/stack.py. Here, on the controller, secrets get their values and their names."""

    ARGUMENTS: t.ClassVar = {
        **OPTIONS,
        "stacks": {"type": "list", "elements": "dict", "default": []},
    }

    def work(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        # Check mode shows what there will be in the end.
        closing = arguments["closed"] and not self.check_mode
        stacks = [self._from_entry(entry, closing and entry["closed"]) for entry in arguments["entries"]]
        stacks += [{**BARE, **stack} for stack in arguments["stacks"]]
        if arguments["state"] == "present":
            stacks = [self._named(stack) for stack in stacks]
        passed = {name: arguments[name] for name in PASSED}
        return self.module("stack", {"stacks": stacks, **passed, **self._portainer(arguments, stacks)})

    def _portainer(self, arguments: dict[str, t.Any], stacks: list[dict[str, t.Any]]) -> dict[str, t.Any]:
        """How the target reaches Portainer, where it may have to."""
        server = self.variables["inventory_hostname"]
        path = f"servers/{server}/portainer/token"
        token = self.vault.get(path) if arguments["portainer_host"] else None
        if token is not None:
            given = {
                "url": f"https://{arguments['portainer_host']}",
                "address": arguments["portainer_address"],
                "token": token,
                "authority": read_authority(arguments["ca_file"]),
                "server": server,
            }
            return {"portainer": given}
        wanting = [stack["name"] for stack in stacks if stack["backend"] == "portainer"]
        if wanting and arguments["state"] == "present":
            message = (
                f"{', '.join(wanting)}: Portainer is to deploy this, but the vault holds no {path}; "
                f"this makes one: livchat-setup server setup {server} --full"
            )
            raise LivchatError("PORTAINER_TOKEN_MISSING", message, {"path": path})
        return {}

    def _from_entry(self, entry: dict[str, t.Any], closed: bool) -> dict[str, t.Any]:
        # In check mode a secret may not exist yet; its name then shows that.
        read = self.vault.get if self.check_mode else self.secret
        values = {one["name"]: read(one["vault_path"]) or "" for one in entry["secrets"] if one["mounted"]}
        compose = _gate.closed(entry, self.secret) if closed else entry["compose"]
        kept = {key: entry[key] for key in ("phases", "backend")}
        return {**BARE, "name": entry["stack"], "compose": compose, "secrets": values, **kept}

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
            service["deploy"].setdefault("labels", {}).update(_render.backend_labels(stack["backend"]))
        compose = _render.label(compose, labels.get("livchat.deployment", ""))
        return {**stack, "compose": compose, **named}
