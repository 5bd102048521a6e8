# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import typing as t

from ..plugin_utils._action import LivchatAction


class ActionModule(LivchatAction):
    """See plugins/modules/state.py."""

    ARGUMENTS: t.ClassVar = {
        "server": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "record": {"type": "dict"},
        "applications": {"type": "list", "elements": "dict", "default": []},
        "instances": {"type": "list", "elements": "str", "default": []},
    }

    def work(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        before = self.state.load()
        if self.check_mode:
            return {"changed": False}
        server = arguments["server"]
        changed = False
        if arguments["state"] == "absent":
            if arguments["instances"]:
                for instance in arguments["instances"]:
                    changed |= self.state.remove("applications", f"{server}/{instance}")
            else:
                changed = self.state.remove_server(server)
                changed |= self.vault.exists() and self.vault.delete(f"servers/{server}")
        else:
            if arguments["record"]:
                record = {
                    "name": server,
                    "applications": [],
                    **before["servers"].get(server, {}),
                    **arguments["record"],
                }
                changed |= self.state.put("servers", server, record)
            for entry in arguments["applications"]:
                changed |= self.state.put("applications", f"{server}/{entry['instance']}", _application(server, entry))
        return {"changed": changed}


def _application(server: str, entry: dict[str, t.Any]) -> dict[str, t.Any]:
    services = entry["compose"]["services"].values()
    return {
        "name": entry["app"],
        "instance": entry["instance"],
        "version": entry["version"],
        "server_id": server,
        "status": "running",
        "domain": entry["urls"][0]["host"] if entry["urls"] else None,
        "ports": [],
        "volumes": sorted(volume["name"] for volume in entry["compose"].get("volumes", {}).values()),
        "environment": {key: value for service in services for key, value in service.get("environment", {}).items()},
        "dependencies": entry["dependencies"],
        "installed_at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }
