# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import datetime
import json
import typing as t

from ..plugin_utils._action import LivchatAction


class ActionModule(LivchatAction):
    """See plugins/modules/state.py."""

    ARGUMENTS: t.ClassVar = {
        "server": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "record": {"type": "dict"},
        "applications": {"type": "list", "elements": "dict", "default": []},
        "instances": {"type": "list", "elements": "str"},
        "removals": {"type": "list", "elements": "dict", "default": []},
        "deployment": {
            "type": "dict",
            "options": {
                "id": {"type": "str", "required": True},
                "operation": {"type": "str"},
                "apps": {"type": "list", "elements": "str"},
                "status": {"type": "str", "choices": ["running", "successful", "failed"], "required": True},
            },
        },
    }

    def work(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        server = arguments["server"]
        changed = False
        before = self._view(server)
        if arguments["state"] == "absent":
            after = None if arguments["instances"] is None else self._without(before, arguments["instances"])
            if not self.check_mode:
                self._forget(server, arguments["instances"])
        else:
            changes = self._changes(server, arguments)
            gone = [one["instance"] for one in arguments["removals"] if one["found"] and one["drop_data"]]
            after = self._without(_merged(before, changes), gone)
            if not self.check_mode:
                for kind, key, value in changes:
                    self.state.put(kind, key, value)
                for instance in gone:
                    self.state.remove("applications", f"{server}/{instance}")
                if arguments["deployment"]:
                    changed = self.state.put_deployment(self._deployment(server, arguments["deployment"]))
        texts = [json.dumps(one, indent=2, sort_keys=True) + "\n" if one else "" for one in (before, after)]
        diff = {"before_header": "state.json", "after_header": "state.json", "before": texts[0], "after": texts[1]}
        known = before["server"] if before else {}
        return {"changed": changed or texts[0] != texts[1], "known": known, "diff": diff}

    def _view(self, server: str) -> dict[str, t.Any] | None:
        """What the index says of this server."""
        tree = self.state.load()
        mine = {key: one for key, one in tree["applications"].items() if key.startswith(f"{server}/")}
        record = {key: value for key, value in tree["servers"].get(server, {}).items() if key != "applications"}
        return {"server": record, "applications": mine} if record or mine else None

    def _changes(self, server: str, arguments: dict[str, t.Any]) -> list[tuple[str, str, dict[str, t.Any]]]:
        changes: list[tuple[str, str, dict[str, t.Any]]] = []
        tree = self.state.load()
        if arguments["record"]:
            record = {"name": server, **arguments["record"]}
            if "metadata" in record:
                # Who sets one field of it does not know the others.
                record["metadata"] = {**tree["servers"].get(server, {}).get("metadata", {}), **record["metadata"]}
            changes.append(("servers", server, record))
        known = tree["applications"]
        for entry in arguments["applications"]:
            key = f"{server}/{entry['instance']}"
            changes.append(("applications", key, _application(server, entry, known.get(key, {}))))
        for removal in arguments["removals"]:
            if removal["found"] and not removal["drop_data"]:
                changes.append(("applications", f"{server}/{removal['instance']}", removal["record"]))
        return changes

    def _deployment(self, server: str, given: dict[str, t.Any]) -> dict[str, t.Any]:
        """The deployment with the time of what it says: that it began, or how it ended."""
        known = next((one for one in self.state.load()["deployments"] if one["id"] == given["id"]), {})
        said = {key: value for key, value in given.items() if value is not None}
        moment = "started_at" if given["status"] == "running" else "finished_at"
        told_before = known.get("status") == given["status"]
        return {"server": server, **said, **({} if told_before else {moment: _now()})}

    def _forget(self, server: str, instances: list[str] | None) -> None:
        if instances is not None:
            for instance in instances:
                self.state.remove("applications", f"{server}/{instance}")
            return
        # Its machine is gone, so nothing is left that these secrets open. The server itself goes last: a run that is
        # killed before can be repeated.
        if self.vault.exists():
            self.vault.delete(f"servers/{server}")
        self.state.remove_server(server)

    @staticmethod
    def _without(view: dict[str, t.Any] | None, instances: list[str]) -> dict[str, t.Any] | None:
        if view is None:
            return None
        left = {key: one for key, one in view["applications"].items() if key.split("/", 1)[1] not in instances}
        return {"server": view["server"], "applications": left} if view["server"] or left else None


def _merged(view: dict[str, t.Any] | None, changes: list[tuple[str, str, dict[str, t.Any]]]) -> dict[str, t.Any] | None:
    merged = copy.deepcopy(view or {"server": {}, "applications": {}})
    for kind, key, value in changes:
        place = merged["server"] if kind == "servers" else merged["applications"].setdefault(key, {})
        place.update(value)
    return merged if merged["server"] or merged["applications"] else None


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def _application(server: str, entry: dict[str, t.Any], known: dict[str, t.Any]) -> dict[str, t.Any]:
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
        "databases": entry["databases"],
        "dependencies": entry["dependencies"],
        "installed_at": known.get("installed_at") or _now(),
    }
