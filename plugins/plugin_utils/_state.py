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
            tree = json.loads(text)
            if tree["version"] != 1 or any(not isinstance(tree[kind], dict) for kind in KINDS):
                raise ValueError("it has another form")
        except (ValueError, KeyError, TypeError) as error:
            raise self._home.damaged(FILE, str(error)) from error
        return tree  # type: ignore[no-any-return]

    def put(self, kind: str, key: str, value: dict[str, t.Any]) -> bool:
        return self._change(lambda tree: tree[kind].__setitem__(key, {**tree[kind].get(key, {}), **value}))

    def remove(self, kind: str, key: str) -> bool:
        return self._change(lambda tree: tree[kind].pop(key, None))

    def remove_server(self, name: str) -> bool:
        """Forgets a server with its applications."""

        def forget(tree: dict[str, t.Any]) -> None:
            tree["servers"].pop(name, None)
            for key in [one for one in tree["applications"] if one.startswith(f"{name}/")]:
                del tree["applications"][key]

        return self._change(forget)

    def add_deployment(self, deployment: dict[str, t.Any]) -> None:
        def add(tree: dict[str, t.Any]) -> None:
            tree["deployments"] = [*tree["deployments"], deployment][-DEPLOYMENTS:]

        self._change(add)

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
        for name, server in tree["servers"].items():
            mine = (key.split("/", 1)[1] for key in tree["applications"] if key.startswith(f"{name}/"))
            server["applications"] = sorted(mine)
