"""What a call would do, in words, before it does it: what is created, changed and destroyed, which data, what money."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import accumulate
from typing import Any

import anyio.to_thread

from livchat_cli.errors import LivchatError
from livchat_cli.jobs import ALIVE
from livchat_cli.operations import Effect, Operation
from livchat_mcp import zone
from livchat_mcp.backend import Backend, Index
from livchat_mcp.clean import plain
from livchat_mcp.errors import ToolError
from livchat_mcp.texts import Texts
from livchat_mcp.tools import Call
from livchat_mcp.zone import Foreigners, Records

# Gives the result of an operation that reads, by its name and its parameters.
Read = Callable[[str, dict[str, Any]], Awaitable[Any]]
# The parts of a plan, in the order in which people read them.
LISTS = ("cria", "muda", "destroi", "dados_perdidos")
PARTS = (*LISTS, "custo_mensal")
# Characters of one line's names, so that all lines of a plan find room in a result.
_ROOM = 1_100
_LIVE = [one.value for one in ALIVE]
# What an application is, of all that the module loss tells of it.
_APPLICATION = ("instance", "app", "version", "volumes", "domains", "databases")


@dataclass
class Blast:
    """What would happen: parts of a plan with their lines, and a hash of what that was read from."""

    # What a person types to confirm: the servers' names, or the name of what is destroyed.
    name: str
    fingerprint: str
    parts: dict[str, list[str]] = field(default_factory=dict)
    foreign: Foreigners = field(default_factory=Foreigners)

    def add(self, part: str, *lines: str) -> None:
        if said := [line for line in lines if line]:
            self.parts.setdefault(part, []).extend(said)

    def lines(self, texts: Texts) -> list[str]:
        """The plan for a person."""
        lines = [f"{texts(part)}: {'; '.join(self.parts[part])}" for part in PARTS if self.parts.get(part)]
        others = [f"{number} {json.dumps(one, ensure_ascii=False)}" for number, one in self.foreign.texts.items()]
        return [*lines, texts("texts_of_others", texts="; ".join(others))] if others else lines


@dataclass(frozen=True)
class _Seen:
    """The servers that a call is about: as they are known, and as they themselves say, when that could be read."""

    servers: Mapping[str, Mapping[str, Any]]
    applications: Mapping[str, Mapping[str, Any]]
    live: dict[str, dict[str, Any]]
    # Why they, or the records, could not be read.
    problem: str = ""
    # Of a call that is about DNS records, those that it may touch.
    records: Records = field(default_factory=Records)
    # Of a server that is to go, what goes with it; see the module loss.
    loss: Mapping[str, Any] = field(default_factory=dict)
    # Jobs that change one of them now, or wait for their turn to, by id: what they change is not seen yet.
    jobs: Mapping[str, str] = field(default_factory=dict)

    def fingerprint(self) -> str:
        live = {
            name: {
                "reachable": one.get("reachable"),
                "services": sorted(
                    [str(service.get("name")), str((service.get("labels") or {}).get("livchat.version"))]
                    for service in one.get("services") or []
                ),
                "volumes": sorted(map(str, one.get("volumes") or [])),
            }
            for name, one in self.live.items()
        }
        # How many of its containers run is no change.
        loss = {key: value for key, value in self.loss.items() if key not in ("applications", "summary")}
        applications = [[one.get(key) for key in _APPLICATION] for one in self.loss.get("applications") or []]
        lost = [loss, applications]
        everything = [
            self.servers,
            self.applications,
            live,
            self.problem,
            self.records.state(),
            lost,
            sorted(self.jobs),
        ]
        text = json.dumps(everything, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def instances(self, server: str) -> list[str]:
        """Applications on a server, from both sources."""
        known = {key.partition("/")[2] for key in self.applications if key.startswith(f"{server}/")}
        services = (self.live.get(server) or {}).get("services") or []
        return sorted(known | {str(one["stack"]) for one in services if one.get("stack")})

    def volumes(self, server: str, prefix: str = "") -> list[str]:
        found = (self.live.get(server) or {}).get("volumes") or []
        return sorted(str(one) for one in found if str(one).startswith(prefix))


class Planner:
    """Describes calls of one caller."""

    def __init__(self, backend: Backend, read: Read, texts: Texts) -> None:
        self._backend = backend
        self._read = read
        self._texts = texts

    async def check(self, call: Call, fingerprint: str) -> bool:
        """Whether all that the plan of this call depends on is as it was.

        Raises:
            ToolError: SERVER_BUSY, where the call destroys something that a job still changes.
        """
        seen = await self._look(call)
        if seen.jobs and call.operation.effect is Effect.DESTROY:
            job, operation = min(seen.jobs.items())
            busy = LivchatError("SERVER_BUSY", self._texts("job_live", job=job, operation=operation))
            raise ToolError(busy, self._texts("next_busy", job=job))
        return seen.fingerprint() == fingerprint

    async def describe(self, call: Call) -> Blast:
        operation, seen = call.operation, await self._look(call)
        blast = Blast(_name(call), seen.fingerprint())
        servers = operation.servers(call.parameters)
        if operation.creates:
            await self._creates(call, seen, blast)
        elif operation.name == "server.destroy":
            for server in servers:
                self._destroys(server, seen, blast)
        elif operation.name == "app.uninstall":
            for server in servers:
                self._uninstalls(call, server, seen, blast)
        elif zone.changes(call) and not seen.problem:
            for part, lines in seen.records.parts(call, self._texts, blast.foreign).items():
                blast.add(part, *lines)
        else:
            part = "destroi" if operation.effect is Effect.DESTROY else "muda"
            blast.add(part, self._texts.pick(operation.summary_pt, operation.summary), _given(call.values))
            if servers and operation.deletes_data(call.parameters):
                blast.add("dados_perdidos", self._texts("all_data", name=blast.name), self._texts("no_backup"))
        for job, name in sorted(seen.jobs.items()):
            blast.add("muda", self._texts("job_live", job=job, operation=name))
        if seen.problem:
            missing = self._texts("unread", name=", ".join(servers), code=seen.problem) if servers else ""
            blast.add("muda", missing or self._texts("unread_zone", code=seen.problem))
        return blast

    # --- what is there
    async def _look(self, call: Call) -> _Seen:
        operation = call.operation
        names = set(operation.servers(call.parameters))
        index = await anyio.to_thread.run_sync(self._backend.index, names) if names else Index()
        live: dict[str, dict[str, Any]] = {}
        records, loss = Records(), {}
        jobs: dict[str, str] = {}
        for name in sorted(names):
            asked = {"server": name, "status": _LIVE, "limit": 200}
            found = await self._read("jobs.list", asked)
            jobs |= {str(one["id"]): str(one["operation"]) for one in found if one.get("effect") != Effect.READ}
        problem = ""
        try:
            if operation.name == "server.destroy":
                (name,) = names
                (loss,) = await self._read("server.loss", {"name": name})
                if not loss["reachable"]:
                    problem = "SERVER_UNREACHABLE" if loss["provider"] else "SERVER_UNKNOWN"
            elif names and operation.effect is Effect.DESTROY:
                found = await self._read("status", {"target": sorted(names)})
                live = {one["server"]: one for one in found}
                if not all(one.get("reachable") for one in found):
                    problem = "SERVER_UNREACHABLE"
            elif zone.changes(call):
                records = Records.of(call, await self._read("dns.list", zone.asked(call)))
        except LivchatError as error:
            if error.code == "ACCESS_FORBIDDEN":
                raise
            problem = error.code
        # What was removed may have left data that this call is about.
        return _Seen(index.servers, {**index.applications, **index.left}, live, problem, records, loss, jobs)

    # --- in words
    async def _creates(self, call: Call, seen: _Seen, blast: Blast) -> None:
        texts, names = self._texts, call.operation.servers(call.parameters)
        for name in names:
            known = name in seen.servers
            blast.add("cria" if not known else "muda", texts("exists" if known else "creates_server", name=name))
        offer = await self._offer(call)
        new = len(set(names) - set(seen.servers))
        machine = {
            key: call.values.get(name) or offer.get(name) or texts("default")
            for key, name in (("type", "server_type"), ("location", "location"), ("image", "image"))
        }
        blast.add("cria", texts("machine", **machine) if new else "")
        if apps := getattr(call.parameters, "apps", None):
            blast.add("cria", texts("installs", apps=", ".join(apps)))
        amount = str(Decimal(offer["monthly"]) * new) if offer.get("monthly") else ""
        known_price = texts("a_month", amount=amount, currency=offer["currency"]) if amount else texts("unknown")
        blast.add("custo_mensal", known_price)

    async def _offer(self, call: Call) -> Mapping[str, Any]:
        """What the provider sells; nothing where nobody tells: what is wrong then, the operation itself says better."""
        wanted = {name: call.values[name] for name in ("server_type", "location") if call.values.get(name)}
        try:
            found: Mapping[str, Any] = await self._read("catalog.server", wanted)
        except LivchatError:
            return {}
        return found

    def _destroys(self, server: str, seen: _Seen, blast: Blast) -> None:
        texts, loss = self._texts, seen.loss
        known = {**loss, **(seen.servers.get(server) or {})}
        address = known.get("ip_address")
        name = f"{server} ({address})" if address else server
        apps = loss.get("applications") or [{"instance": one} for one in seen.instances(server)]
        with_apps = texts("with_apps", apps=_list(map(_title, apps))) if apps else ""
        hosts = sorted({host for one in apps for host in one.get("domains") or []})
        strangers = loss.get("strangers") or {}
        adopted = known.get("provider") == "adopted"
        if adopted:
            # Somebody else's to remove: what runs on it goes on running.
            blast.add("muda", texts("forgets_server", name=name), with_apps)
        else:
            blast.add("destroi", texts("destroys_server", name=name), with_apps or texts("no_apps"))
            blast.add("destroi", texts("with_hosts", hosts=_list(map(_name_or, hosts))) if hosts else "")
            services = strangers.get("services") or []
            blast.add("destroi", texts("with_strangers", services=_list(map(_name_or, services))) if services else "")
        records = loss.get("dns_records") or []
        blast.add(
            "destroi",
            texts("with_records", records=_list(map(_name_or, records))) if records else "",
            texts("and_belongings"),
        )
        if adopted:
            return
        blast.add("dados_perdidos", texts("all_data", name=server))
        volumes = {one for app in apps for one in app.get("volumes") or []} | set(strangers.get("volumes") or [])
        blast.add("dados_perdidos", texts("volumes", volumes=_list(map(_name_or, sorted(volumes)))) if volumes else "")
        databases = [
            f"{_name_or(one['instance'])} ({', '.join(map(_name_or, one['databases']))})"
            for one in apps
            if one.get("databases")
        ]
        blast.add("dados_perdidos", texts("databases", databases=_list(databases)) if databases else "")
        blast.add("dados_perdidos", texts("no_backup"))

    def _uninstalls(self, call: Call, server: str, seen: _Seen, blast: Blast) -> None:
        texts, name = self._texts, str(getattr(call.parameters, "instance", ""))
        if name in seen.instances(server) or not seen.live:
            blast.add("destroi", texts("removes_app", name=name, server=server))
        else:
            blast.add("destroi", texts("nothing_known", name=name, server=server))
        needing = [
            key.partition("/")[2]
            for key, one in seen.applications.items()
            if key.startswith(f"{server}/") and name in (one.get("dependencies") or [])
        ]
        if needing:
            blast.add("destroi", texts("needed_by", apps=_list(sorted(needing))))
        if call.operation.deletes_data(call.parameters):
            blast.add("dados_perdidos", texts("app_data", name=name))
            if volumes := seen.volumes(server, f"{name}_"):
                blast.add("dados_perdidos", texts("volumes", volumes=_list(map(_name_or, volumes))))
            blast.add("dados_perdidos", texts("no_backup"))
        else:
            blast.add("muda", texts("data_stays"))


def _name(call: Call) -> str:
    """What to type: the servers' names; for what concerns no server, what the operation wants repeated."""
    operation: Operation = call.operation
    servers = operation.servers(call.parameters)
    return ", ".join(servers) if servers else str(getattr(call.parameters, operation.confirm or "name", operation.name))


def _title(application: Mapping[str, Any]) -> str:
    """An instance, its application where that is called otherwise, and its version, as far as they are known."""
    instance, app, version = (application.get(key) for key in ("instance", "app", "version"))
    title = _name_or(instance) if app in (None, instance) else f"{_name_or(instance)} ({_name_or(app)})"
    return f"{title} {_name_or(version)}" if version else title


def _name_or(text: Any) -> str:
    """A name that a server told. Whoever has Docker there writes labels: what is no name is not repeated."""
    return str(text) if plain(str(text)) else "?"


def _list(names: Iterable[str]) -> str:
    """Names, at most thirty of them, and as many as find room; those that cannot be shown push none away."""
    found = sorted(names, key=lambda one: one.startswith("?"))
    ends = accumulate(len(one) + 2 for one in found)
    shown = [one for one, end in zip(found, ends, strict=True) if end <= _ROOM][:30]
    return ", ".join(shown) + (f" … +{len(found) - len(shown)}" if len(found) > len(shown) else "")


def _given(values: dict[str, Any]) -> str:
    return ", ".join(
        f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in values.items() if key != "variables"
    )
