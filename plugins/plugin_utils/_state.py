# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""state.json: an index of servers, applications and deployments. The servers and the cloud are the truth."""

from __future__ import annotations

import json
import typing as t

from ._home import Home

FILE = "state.json"
KINDS = ("servers", "applications")
# How many deployments are remembered.
DEPLOYMENTS = 500
# Status of an application that was uninstalled and kept its data.
UNINSTALLED = "uninstalled"


class State:
    """Reads and changes the index, one change at a time.

    Raises:
        LivchatError: HOME_DAMAGED, when the file cannot be read.
    """

    def __init__(self, home: Home) -> None:
        self._home = home

    def load(self) -> dict[str, t.Any]:
        text = self._home.read(FILE)
        if text is None:
            return {"version": 1, "servers": {}, "applications": {}, "deployments": []}
        try:
            return _parsed(text)
        except ValueError as error:
            raise self._home.damaged(FILE, str(error), _parsed) from error

    def applications(self, server: str) -> dict[str, dict[str, t.Any]]:
        """The server's applications by instance, those that were uninstalled and kept their data included."""
        found = self.load()["applications"].items()
        return {key.split("/", 1)[1]: one for key, one in found if key.split("/", 1)[0] == server}

    def put(self, kind: str, key: str, value: dict[str, t.Any]) -> bool:
        """Sets fields of a server (key NAME) or an application (key NAME/INSTANCE); whether that changed anything."""
        return self._change(lambda tree: tree[kind].__setitem__(key, {**tree[kind].get(key, {}), **value}))

    def remove(self, kind: str, key: str) -> bool:
        """Forgets one; whether it was there."""
        return self._change(lambda tree: tree[kind].pop(key, None))

    def remove_server(self, name: str) -> bool:
        """Forgets a server with its applications."""

        def forget(tree: dict[str, t.Any]) -> None:
            tree["servers"].pop(name, None)
            for key in [one for one in tree["applications"] if one.startswith(f"{name}/")]:
                del tree["applications"][key]

        return self._change(forget)

    def put_deployment(self, deployment: dict[str, t.Any]) -> bool:
        """Adds a deployment (`id`, `server`, `status`), or changes the one with its id; whether that changed anything.

        One that still runs when the next one of its server begins was killed: it becomes `interrupted`.
        """

        def put(tree: dict[str, t.Any]) -> None:
            known = {one["id"]: one for one in tree["deployments"]}
            if deployment["id"] not in known:
                for other in known.values():
                    if other["server"] == deployment["server"] and other["status"] == "running":
                        other["status"] = "interrupted"
            known[deployment["id"]] = {**known.get(deployment["id"], {}), **deployment}
            tree["deployments"] = list(known.values())[-DEPLOYMENTS:]

        return self._change(put)

    def unfinished(self, server: str) -> set[str]:
        """Instances whose last change was interrupted. One that failed is put back, unless it was a removal."""
        last = {
            app: one for one in self.load()["deployments"] if one["server"] == server for app in one.get("apps", [])
        }
        return {
            app
            for app, one in last.items()
            if one["status"] != "successful" and (one["status"], one.get("operation")) != ("failed", "app.install")
        }

    def _change(self, work: t.Callable[[dict[str, t.Any]], t.Any]) -> bool:
        with self._home.lock():
            tree = self.load()
            before = json.dumps(tree, sort_keys=True)
            work(tree)
            self._list_applications(tree)
            if json.dumps(tree, sort_keys=True) == before:
                return False
            self._home.write(FILE, json.dumps(tree, indent=2, sort_keys=True) + "\n")
        return True

    @staticmethod
    def _list_applications(tree: dict[str, t.Any]) -> None:
        """A server's list of applications follows from the applications."""
        installed = [key for key, one in tree["applications"].items() if one.get("status") != UNINSTALLED]
        for name, server in tree["servers"].items():
            server["applications"] = sorted(key.split("/", 1)[1] for key in installed if key.startswith(f"{name}/"))


def _parsed(text: str) -> dict[str, t.Any]:
    """The tree in the text; ValueError when it is not one of ours."""
    tree = json.loads(text)
    whole = (
        isinstance(tree, dict)
        and tree.get("version") == 1
        and all(isinstance(tree.get(kind), dict) for kind in KINDS)
        and isinstance(tree.get("deployments"), list)
    )
    if not whole:
        raise ValueError("it has another form than version 1 of it")
    return tree  # type: ignore[no-any-return]
