# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""What can be wrong with the records of a zone: as they are answered, and as the servers need them."""

from __future__ import annotations

import datetime
import functools
import itertools
import typing as t

from ..module_utils._cloudflare import OPERATOR, maker_of, owner_of, within
from ._check import Check, examine
from ._dns import Resolver, facts, promised

# Seconds for which resolvers remember that a name did not exist: the minimum in the SOA of zones at Cloudflare.
NEGATIVE_TTL = 1800
# Seconds that Cloudflare's "automatic" TTL stands for.
AUTOMATIC_TTL = 300
ROUTING = ("A", "AAAA", "CNAME")
# A name that nobody has made is what asks for a wildcard.
UNMADE = "livchat-dns-check"

Record = t.Dict[str, t.Any]


class RecordCheck:
    """Examines the records we made under a name, and all that are at it when `one` says that it is what matters."""

    def __init__(self, records: list[Record], zone: str, name: str, *, one: bool, resolver: Resolver) -> None:
        self._all = records
        self._zone = zone
        self._name = name
        self._one = one
        self._resolver = resolver
        self._mine = [one for one in records if within(one["name"], name) and owner_of(one) is not None]

    # --- what DNS servers answer
    def resolving(self) -> list[Check]:
        """Whether the names lead where Cloudflare says.

        Raises:
            LivchatError: nobody answers at all, see Resolver.
        """
        self._resolver.records(self._zone, "SOA")
        at_name = [one for one in self._all if one["name"] == self._name] if self._one else []
        keys = sorted({_key(one) for one in [*self._mine, *at_name]})
        groups = [[one for one in self._all if _key(one) == key] for key in keys]
        checks = examine([(_title(group[0]), functools.partial(self._resolves, group)) for group in groups])
        if self._one:
            return checks if at_name else [self._recordless(), *checks]
        wrong = [one for one in checks if one.status != "ok"]
        said = f"{len(checks) - len(wrong)} of {len(checks)} resolve as Cloudflare says" if checks else "none made yet"
        return [Check("dns records", "ok", said), *wrong]

    def _resolves(self, group: list[Record]) -> Check:
        """The records of one name and type."""
        name, kind = _key(group[0])
        asked = name.replace("*", UNMADE, 1)
        if any(one.get("proxied") for one in group) or (kind == "CNAME" and name == self._zone):
            # Cloudflare answers with addresses of its own.
            found = facts(itertools.chain(*(self._resolver.records(asked, one) for one in ("A", "AAAA"))))
            wanted, fits = {"an address"}, bool(found)
        else:
            found = facts(self._resolver.records(asked, kind))
            wanted = {promised(one) for one in group}
            fits = found == wanted
        title = _title(group[0])
        if fits:
            return Check(title, "ok", f"{joined(found)}, made by {joined(maker_of(one) for one in group)}")
        said = f"resolves to {joined(found) or 'nothing'}, Cloudflare says {joined(wanted)}"
        if (memory := max(_remembered(one) for one in group)) > 0:
            cure = f"wait: resolvers may remember what was there before for up to {memory // 60 + 1} minutes"
            return Check(title, "warning", said, cure)
        cure = "see dns delegation, and whether dns.resolvers names the right DNS servers"
        return Check(title, "failed", said, cure)

    def _recordless(self) -> Check:
        """A name that was asked for and has no record of its own."""
        title = f"dns record {self._name}"
        if found := self._resolver.addresses(self._name):
            return Check(title, "ok", f"no record of its own; resolves to {joined(found)}")
        cure = f"livchat-setup dns set {self._name} A ADDRESS"
        return Check(title, "failed", "no record, and resolves to nothing", cure)

    # --- what the servers need
    def leading(self, servers: t.Mapping[str, t.Any]) -> list[Check]:
        """Whether the names of each server lead to its address."""
        checks = []
        for name, server in sorted(servers.items()):
            address = server.get("ip_address")
            owned = [one for one in self._mine if one["type"] == "A" and _server_of(one) == name]
            astray = [one for one in owned if one["content"] != address]
            if astray and address:
                said = joined(f"{one['name']} ({one['content']})" for one in astray)
                cure = f"set them to {address} in Cloudflare's dashboard"
                checks.append(Check(f"dns server {name}", "failed", f"not led to {address}: {said}", cure))
            elif owned and address:
                checks.append(Check(f"dns server {name}", "ok", f"{len(owned)} names lead to {address}"))
        return checks

    def missing(self, applications: t.Mapping[str, t.Any], servers: t.Mapping[str, t.Any]) -> list[Check]:
        """Applications whose name has no record."""
        names = {one["name"] for one in self._all if one["type"] in ROUTING}
        checks = []
        for key, application in sorted(applications.items()):
            host = application.get("domain") or ""
            covering = {host, *(f"*.{parent}" for parent in _parents(host))}
            if within(host, self._name) and not covering & names:
                address = servers.get(key.partition("/")[0], {}).get("ip_address") or "ADDRESS"
                cure = f"livchat-setup dns set {host} A {address}"
                checks.append(Check(f"dns record {host}", "failed", f"no record, though {key} needs it", cure))
        return checks

    def left_over(self, servers: t.Mapping[str, t.Any]) -> list[Check]:
        """Records of servers that this home does not know: they are gone, or another home's."""
        by_server: dict[str, list[str]] = {}
        for one in self._mine:
            if owner_of(one) != OPERATOR and _server_of(one) not in servers:
                by_server.setdefault(_server_of(one), []).append(one["name"])
        return [
            Check(
                f"dns server {server}",
                "warning",
                f"not known here, and has records: {joined(set(names))}",
                f"if no other home has it either: livchat-setup server destroy {server}",
            )
            for server, names in sorted(by_server.items())
        ]


def joined(names: t.Iterable[str]) -> str:
    return ", ".join(sorted(set(names)))


def _key(record: Record) -> tuple[str, str]:
    return record["name"], record["type"]


def _title(record: Record) -> str:
    return f"dns record {record['name']} {record['type']}"


def _server_of(record: Record) -> str:
    """The server of a record's owner: SERVER or SERVER/INSTANCE."""
    return str(owner_of(record)).partition("/")[0]


def _parents(name: str) -> t.Iterator[str]:
    while "." in name:
        name = name.partition(".")[2]
        yield name


def _remembered(record: Record) -> int:
    """Seconds for which a resolver may still answer what was true before the record's last change."""
    ttl = AUTOMATIC_TTL if record["ttl"] == 1 else record["ttl"]
    try:
        changed = datetime.datetime.fromisoformat(str(record.get("modified_on")))
        age = datetime.datetime.now(datetime.timezone.utc) - changed
    except (ValueError, TypeError):
        # Not in the API's form: nothing is known of it.
        return 0
    return int(max(ttl, NEGATIVE_TTL) - age.total_seconds())
