# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""What removing an application takes away, and what it leaves: a pure function, as the plan of a deploy is one."""

from __future__ import annotations

import dataclasses
import typing as t

from ..module_utils._errors import LivchatError
from ._catalog import Catalog
from ._plan import Planner, Request, hosts_of
from ._render import volume_names
from ._resolver import INSTANCE, Instance, instance_of
from ._state import UNINSTALLED


@dataclasses.dataclass(frozen=True)
class RemovalRequest:
    """What is to go from a server. Data are volumes, databases and the secrets in the vault."""

    server: str
    domain: str
    instance: str
    drop_data: bool


class RemovalPlanner:
    """Computes what belongs to an instance: of its services' labels, else of what is remembered, else of its name.

    Services come first, as the server is the truth. A run that was interrupted has removed them already; `remembered`
    (state.json's applications of the server, by instance) then says what is left to do. `secrets` are the names the
    vault has under the instance.

    Raises:
        LivchatError: it must not be removed, or not yet; the message says what to do first.
    """

    def __init__(
        self,
        request: RemovalRequest,
        facts: dict[str, t.Any],
        catalog: Catalog,
        remembered: dict[str, dict[str, t.Any]],
        secrets: list[str],
    ) -> None:
        self._request = request
        self._facts = facts
        self._catalog = catalog
        self._remembered = remembered
        self._secrets = secrets
        self._services = [one for one in facts["services"] if one["stack"] == request.instance]
        self._record = remembered.get(request.instance, {})

    def plan(self) -> dict[str, t.Any]:
        self._check_ours()
        instance = self._instance()
        self._check_unused()
        known = self._belongings(instance)
        databases = self._databases(instance, known["databases"])
        there = sorted(set(known["volumes"]) & set(self._facts["volumes"]))
        drop = self._request.drop_data
        found = bool(self._services or self._record or there or self._secrets)
        # A name that belongs to nothing may still look like an app whose database somebody else has.
        databases = databases if found else []
        return {
            "server": self._request.server,
            "instance": self._request.instance,
            "app": self._app(),
            "found": found,
            "drop_data": drop,
            "hosts": known["hosts"] if found else [],
            "volumes": known["volumes"],
            "databases": databases if drop else [],
            "secrets": self._path() if drop else "",
            "record": self._kept(known),
            "changed": bool(self._services) or (drop and bool(there or databases or self._secrets)),
            "items": self._items(known["hosts"], there, databases) if found else {"remove": [], "keep": []},
        }

    def _app(self) -> str:
        """Of which app it is an instance; an empty text when nothing tells."""
        for service in self._services:
            if app := service["labels"].get("livchat.app"):
                return str(app)
        name = self._request.instance
        return str(self._record.get("name") or (name if name in self._catalog.names() else ""))

    def _instance(self) -> Instance | None:
        """None when the definition is gone or broken: what is known otherwise can still be removed."""
        try:
            return instance_of(self._app(), self._request.instance, self._catalog)
        except LivchatError:
            return None

    def _check_ours(self) -> None:
        name = self._request.instance
        if not INSTANCE.fullmatch(name):
            message = f"instance {name!r} is no name of one: a lower case letter, then letters, digits or dashes"
            raise LivchatError("REQUEST_INVALID", message, {"instance": name})
        if any(one["labels"].get("livchat.instance") != name for one in self._services):
            message = f"{self._request.server} has a stack {name} that livchat.setup did not deploy; it is not removed"
            raise LivchatError("INSTANCE_CONFLICT", message, {"instance": name})
        infrastructure = self._catalog.overview["infrastructure"]
        if name in infrastructure:
            message = f"{name} is part of every server that was set up, and goes with the server only"
            raise LivchatError("APP_REQUIRED", message, {"instance": name})

    def _check_unused(self) -> None:
        name = self._request.instance
        running = {
            one["labels"]["livchat.instance"]
            for one in self._facts["services"]
            if name in one["labels"].get("livchat.dependencies", "").split(",")
        }
        if running:
            message = f"{name} is needed by {', '.join(sorted(running))}; remove them first"
            raise LivchatError("APP_IN_USE", message, {"instances": sorted(running)})
        kept = [
            other
            for other, one in self._remembered.items()
            if one.get("status") == UNINSTALLED and name in one.get("dependencies", [])
        ]
        if self._request.drop_data and kept:
            message = (
                f"{name} holds data of {', '.join(sorted(kept))}, which was uninstalled and kept it; drop that first: "
                f"livchat-setup app uninstall {kept[0]} --drop-data --target {self._request.server}"
            )
            raise LivchatError("APP_IN_USE", message, {"instances": sorted(kept)})

    def _belongings(self, instance: Instance | None) -> dict[str, t.Any]:
        """Hosts, volumes and databases, of every source that tells of them."""
        defined: dict[str, t.Any] = {"hosts": [], "volumes": [], "databases": self._record.get("databases", [])}
        if instance:
            planner = self._planner()
            # Without a number that is known, whose logical database would be emptied?
            numbered = instance.name in planner.redis_numbers()
            defined = planner.belongings(instance)
            defined["databases"] = [one for one in defined["databases"] if one["engine"] != "redis" or numbered]
        remembered = [self._record["domain"]] if self._record.get("domain") else []
        others = [one for one in self._facts["services"] if one["stack"] != self._request.instance]
        hosts = {*defined["hosts"], *hosts_of(self._services), *remembered} - set(hosts_of(others))
        return {
            "hosts": sorted(hosts),
            "volumes": sorted({*defined["volumes"], *self._record.get("volumes", [])}),
            "databases": defined["databases"],
        }

    def _planner(self) -> Planner:
        request = Request(self._request.server, self._request.domain, "", [], {}, "")
        return Planner(request, self._facts, self._catalog, lambda _path: None, self._remembered)

    def _databases(self, instance: Instance | None, known: list[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
        """Those that are still there. Those of a service that is gone with its volumes are gone as well.

        Raises:
            LivchatError: DATABASE_UNREACHABLE, while the service's data is there and it does not run.
        """
        there = []
        running = {one["name"] for one in self._facts["services"] if one["running"] > 0}
        for database in known:
            if database["service"] in running:
                there.append(database)
            elif self._request.drop_data and self._volumes_of(database["provider_instance"], instance):
                provider, server = database["provider_instance"], self._request.server
                message = (
                    f"{self._request.instance} has a database in {provider}, which does not run on {server}: install "
                    f"it first (livchat-setup app install {provider} --target {server}), or keep the data for now"
                )
                raise LivchatError("DATABASE_UNREACHABLE", message, {"instance": provider})
        return there

    def _volumes_of(self, provider: str, instance: Instance | None) -> list[str]:
        """What is there of the data of the service that has the instance's database."""
        names = set(self._remembered.get(provider, {}).get("volumes", []))
        for app, name in instance.providers.items() if instance else ():
            if name == provider:
                names |= set(volume_names(instance_of(app, provider, self._catalog)).values())
        return sorted(names & set(self._facts["volumes"]))

    def _path(self) -> str:
        return f"servers/{self._request.server}/apps/{self._request.instance}"

    def _kept(self, known: dict[str, t.Any]) -> dict[str, t.Any]:
        """What to remember of an instance whose data stays."""
        labels: dict[str, str] = next((one["labels"] for one in self._services), {})
        dependencies = [one for one in labels.get("livchat.dependencies", "").split(",") if one]
        return {
            "name": self._app(),
            "instance": self._request.instance,
            "version": labels.get("livchat.version") or self._record.get("version", ""),
            "server_id": self._request.server,
            "status": UNINSTALLED,
            "volumes": known["volumes"],
            "databases": known["databases"],
            "dependencies": dependencies or self._record.get("dependencies", []),
        }

    def _items(self, hosts: list[str], volumes: list[str], databases: list[dict[str, t.Any]]) -> dict[str, list[str]]:
        """In words, what goes and what stays."""
        name = self._request.instance
        remove = [f"stack {name}, its services and their secrets"] if self._services else []
        remove += [f"DNS record {host}, if it was made here" for host in hosts]
        data = [f"volume {volume}" for volume in volumes]
        data += [f"database {one['database']} of {one['user']} in {one['provider_instance']}" for one in databases]
        data += [f"secret {one} in the vault" for one in self._secrets]
        drop = self._request.drop_data
        return {"remove": remove + (data if drop else []), "keep": [] if drop else data}
