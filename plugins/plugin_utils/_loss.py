# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""What destroying a server would lose: a pure function, as the plan of a deploy is one."""

from __future__ import annotations

import typing as t

from ._applications import applications


class LossReport:
    """Says what goes with a server: read from the server itself, or, where it does not answer, what is remembered.

    `server` has the fields of ours, as far as they are known; `facts` are what M(livchat.setup.server_info) returned,
    or empty; `remembered` are the index' applications of the server, by instance; `databases` names the apps that
    keep data for others.
    """

    def __init__(
        self,
        server: dict[str, t.Any],
        facts: dict[str, t.Any],
        remembered: dict[str, dict[str, t.Any]],
        databases: t.Collection[str],
    ) -> None:
        self._server = server
        self._facts = facts
        self._remembered = remembered
        self._databases = databases
        self._reachable = "docker" in facts
        self._adopted = server.get("provider") == "adopted"

    def loss(self, dns_records: t.Sequence[str]) -> dict[str, t.Any]:
        lost = applications(self._facts) if self._reachable else [*map(self._recalled, sorted(self._remembered))]
        by_instance = {one["instance"]: one["app"] for one in lost}
        for one in lost:
            one["databases"] = [name for name in one["dependencies"] if by_instance.get(name) in self._databases]
        metadata = self._server.get("metadata") or {}
        result = {
            "server": self._server["name"],
            "domain": metadata.get("domain", ""),
            "provider": self._server.get("provider", ""),
            "ip_address": self._server.get("ip_address", ""),
            # An adopted server is somebody else's to remove.
            "removed": bool(self._server.get("provider")) and not self._adopted,
            "reachable": self._reachable,
            "applications": lost,
            "strangers": self._strangers(),
            "dns_records": sorted(set(dns_records)),
        }
        return {**result, "summary": [*self._summary(result)]}

    def _recalled(self, instance: str) -> dict[str, t.Any]:
        one = self._remembered[instance]
        return {
            "instance": instance,
            "app": one.get("name", instance),
            "version": one.get("version", ""),
            "volumes": one.get("volumes", []),
            "domains": [one["domain"]] if one.get("domain") else [],
            "dependencies": one.get("dependencies", []),
        }

    def _strangers(self) -> dict[str, list[str]]:
        """What is on the server and not of any application of ours."""
        services = self._facts.get("services") or []
        ours = {one["stack"] for one in services if "livchat.app" in one["labels"]}
        volumes = self._facts.get("volumes") or []
        return {
            "services": sorted(one["name"] for one in services if "livchat.app" not in one["labels"]),
            "volumes": sorted(one for one in volumes if one.split("_", 1)[0] not in ours),
        }

    # --- in words
    def _summary(self, result: dict[str, t.Any]) -> t.Iterator[str]:
        name = result["server"]
        if not result["provider"]:
            yield f"nothing is known of a server {name}; what an interrupted run left of it is removed"
        elif self._adopted:
            yield (
                f"{name} ({result['ip_address']}) is adopted, so it is only forgotten: it stays as it is, what runs on "
                "it goes on running, and its data stays"
            )
        else:
            yield f"{name} ({self._kind()}) is deleted with its disk: all data on it is lost for good"
        if result["provider"] and not self._reachable:
            yield "it does not answer: what follows is what is remembered, and there may be more on it"
        yield from map(self._application, result["applications"])
        for kind, names in result["strangers"].items():
            if names:
                yield f"also on it, and of no application here: {kind} {', '.join(names)}"
        if result["dns_records"]:
            yield f"DNS records that are removed: {', '.join(result['dns_records'])}"
        gone = ["its SSH key", *([] if self._adopted else ["its rules in the firewall"])]
        secrets = "the passwords in the vault"
        if self._adopted and result["applications"]:
            secrets += ", without which its applications cannot be managed or moved"
        yield f"removed too: {', '.join(gone)}, and {secrets}"

    def _kind(self) -> str:
        metadata = self._server.get("metadata") or {}
        words = [metadata.get("server_type"), metadata.get("location"), self._server.get("ip_address")]
        return ", ".join(word for word in words if word)

    @staticmethod
    def _application(one: dict[str, t.Any]) -> str:
        parts = []
        if one["volumes"]:
            parts.append(f"{_word('volume', one['volumes'])} {', '.join(one['volumes'])}")
        if one["databases"]:
            parts.append(f"its data in {', '.join(one['databases'])}")
        if one["domains"]:
            parts.append(", ".join(one["domains"]))
        title = one["instance"] if one["instance"] == one["app"] else f"{one['instance']} ({one['app']})"
        return f"{title} {one['version']}: {'; '.join(parts) or 'no data of its own'}"


def _word(word: str, things: t.Sized) -> str:
    return word if len(things) == 1 else f"{word}s"
