"""What state.json says, at once, in the shapes that playbooks answer in when they ask the servers and the provider.

It knows the servers of this home and what was installed through it. What changed elsewhere only a live look tells.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livchat_cli import collection
from livchat_cli.errors import LivchatError

if TYPE_CHECKING:
    from livchat_cli.parameters import DeploymentsList, NoParameters, OneServer, Watched

collection.activate()

from ansible_collections.livchat.setup.plugins.plugin_utils._deployments import chosen  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._state import FILE, State  # noqa: E402

# The status of an application that was removed and left its data.
_LEFT = "uninstalled"
_RESOURCES = ("cpu_cores", "memory_mb", "disk_gb")


class Index:
    """The state file of one home, parsed once for each change of it."""

    def __init__(self, home: Path) -> None:
        self._path = home / FILE
        self._state = State(Home(str(home)))
        self._read: tuple[tuple[int, int, int], Mapping[str, Any]] | None = None

    def tree(self) -> Mapping[str, Any]:
        """The whole of it, for reading only.

        Raises:
            LivchatError: HOME_DAMAGED
        """
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return self._state.load()
        version = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
        known = self._read
        if known is None or known[0] != version:
            self._read = known = (version, self._state.load())
        return known[1]


@functools.cache
def of(home: Path) -> Index:
    """The index of that home, one for all who ask."""
    return Index(home)


def servers(home: Path, _parameters: NoParameters) -> list[dict[str, Any]]:
    """The operation server.list."""
    return [_server(name, one) for name, one in sorted(of(home).tree()["servers"].items())]


def server(home: Path, parameters: OneServer) -> dict[str, Any]:
    """The operation server.show."""
    tree, name = of(home).tree(), parameters.name
    _must_know(tree["servers"], [name])
    known = _server(name, tree["servers"][name])
    set_up = known["metadata"].get("setup_at") or ""
    return {
        **known,
        "domain": known["metadata"].get("domain") or "",
        "reachable": None,
        "unreachable": "",
        "setup": {"state": "done" if set_up else "none", "at": set_up},
        "facts": {},
        "docker": {},
        "installed": [_instance(one) for server, one in _running(tree) if server == name],
    }


def apps(home: Path, parameters: Watched) -> list[dict[str, Any]]:
    """The operation app.list."""
    tree = of(home).tree()
    _must_know(tree["servers"], parameters.target)
    return [
        {"server": server, **_instance(one)}
        for server, one in _running(tree)
        if not parameters.target or server in parameters.target
    ]


def left(home: Path, servers: Collection[str]) -> dict[str, dict[str, Any]]:
    """Applications that were removed from these servers and left their data, by SERVER/INSTANCE."""
    return {
        key: {"server": key.partition("/")[0], **_instance(one)}
        for key, one in of(home).tree()["applications"].items()
        if one.get("status") == _LEFT and key.partition("/")[0] in servers
    }


def deployments(home: Path, parameters: DeploymentsList) -> list[dict[str, Any]]:
    """The operation deployments.list."""
    kept = of(home).tree()["deployments"]
    found: list[dict[str, Any]] = chosen(
        kept, parameters.server, parameters.status, parameters.limit, parameters.before
    )
    return found


def _must_know(known: Mapping[str, Any], names: list[str]) -> None:
    if unknown := [name for name in names if name not in known]:
        message = f"there is no server {', '.join(unknown)} in the index; `livchat-setup server list` shows all"
        raise LivchatError("SERVER_UNKNOWN", message, {"target": ",".join(unknown)})


def _server(name: str, kept: Mapping[str, Any]) -> dict[str, Any]:
    resources = kept.get("resources") or {}
    return {
        "id": str(kept.get("id", "")),
        "name": name,
        "provider": kept.get("provider", "hetzner"),
        "ip_address": kept.get("ip_address", ""),
        # Only setting it up writes one down.
        "status": kept.get("status", "created"),
        "resources": {key: resources.get(key) for key in _RESOURCES},
        "created_at": kept.get("created_at", ""),
        "ssh_key_id": str(kept.get("ssh_key_id", "")),
        "applications": list(kept.get("applications", [])),
        "metadata": {"labels": {}, **kept.get("metadata", {})},
    }


def _running(tree: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Servers with their applications, without those that were removed and left their data."""
    for key, one in sorted(tree["applications"].items()):
        if one.get("status") != _LEFT:
            yield key.partition("/")[0], one


def _instance(kept: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "instance": kept.get("instance", ""),
        "app": kept.get("name", ""),
        "version": str(kept.get("version", "")),
        "services": None,
        "running": None,
        "wanted": None,
        "volumes": list(kept.get("volumes") or []),
        "domains": [kept["domain"]] if kept.get("domain") else [],
        "dependencies": list(kept.get("dependencies") or []),
    }
