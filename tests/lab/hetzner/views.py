"""How resources are shown: what the store holds, with everything that follows from other resources worked out."""

from __future__ import annotations

import copy
from typing import Any

from . import catalogue, selector
from .faults import Faults
from .store import Resource, Store

TRAFFIC = 20 * 1024**4


class Views:
    """Answers are made here, and are copies: what they show can change while they are on their way."""

    def __init__(self, store: Store, faults: Faults) -> None:
        self._store = store
        self._faults = faults

    def show(self, kind: str, resource: Resource) -> Resource:
        with self._store.changing():
            made = getattr(self, f"_{kind}", dict)(resource)
        return copy.deepcopy(made)

    def all(self, kind: str) -> list[Resource]:
        return [self.show(kind, one) for one in self._store.all(kind)]

    def server_types(self) -> list[Resource]:
        types = copy.deepcopy(catalogue.SERVER_TYPES)
        for one in types:
            for place in one["locations"]:
                if self._faults.announced_sold_out(one["name"], place["name"]):
                    place.update(available=False, recommended=False)
        return types

    def firewalls_of(self, server: Resource) -> list[Resource]:
        return [wall for wall in self._store.all("firewalls") if server["id"] in self._covered(wall)]

    def _servers(self, server: Resource) -> Resource:
        group = server["placement_group"]
        return {
            "id": server["id"],
            "name": server["name"],
            "status": server["status"],
            "created": server["created"],
            "public_net": self._public_net(server),
            "private_net": server["private_net"],
            "server_type": next(one for one in self.server_types() if one["name"] == server["server_type"]),
            "location": catalogue.find(catalogue.LOCATIONS, server["location"]),
            "image": catalogue.find(catalogue.IMAGES, server["image"]),
            "iso": None,
            "rescue_enabled": server["rescue_enabled"],
            "locked": server["locked"],
            "backup_window": server["backup_window"],
            "outgoing_traffic": 0,
            "ingoing_traffic": 0,
            "included_traffic": TRAFFIC,
            "protection": server["protection"],
            "labels": server["labels"],
            "volumes": [],
            "load_balancers": [],
            "primary_disk_size": server["primary_disk_size"],
            "placement_group": self._placement_groups(self._store.must("placement_groups", group)) if group else None,
        }

    def _public_net(self, server: Resource) -> dict[str, Any]:
        mine = {one["type"]: one for one in self._store.all("primary_ips") if one["assignee_id"] == server["id"]}
        ipv4, ipv6 = mine.get("ipv4"), mine.get("ipv6")
        return {
            "ipv4": ipv4
            and {"id": ipv4["id"], "ip": ipv4["ip"], "blocked": False, "dns_ptr": ipv4["dns_ptr"][0]["dns_ptr"]},
            "ipv6": ipv6 and {"id": ipv6["id"], "ip": ipv6["ip"], "blocked": False, "dns_ptr": ipv6["dns_ptr"]},
            "floating_ips": [],
            "firewalls": [{"id": wall["id"], "status": "applied"} for wall in self.firewalls_of(server)],
        }

    def _firewalls(self, wall: Resource) -> Resource:
        return {**wall, "applied_to": [self._target(target) for target in wall["applied_to"]]}

    def _target(self, target: dict[str, Any]) -> dict[str, Any]:
        if target["type"] == "server":
            return target
        found = [{"type": "server", "server": {"id": number}} for number in self._selected(target)]
        return {**target, "applied_to_resources": found}

    def _covered(self, wall: Resource) -> set[int]:
        covered: set[int] = set()
        for target in wall["applied_to"]:
            covered |= {target["server"]["id"]} if target["type"] == "server" else set(self._selected(target))
        return covered

    def _selected(self, target: dict[str, Any]) -> list[int]:
        wanted = target["label_selector"]["selector"]
        return [one["id"] for one in self._store.all("servers") if selector.matches(wanted, one["labels"])]

    def _networks(self, network: Resource) -> Resource:
        attached = [
            server["id"]
            for server in self._store.all("servers")
            if any(one["network"] == network["id"] for one in server["private_net"])
        ]
        return {**network, "servers": attached, "load_balancers": []}

    def _placement_groups(self, group: Resource) -> Resource:
        members = [one["id"] for one in self._store.all("servers") if one["placement_group"] == group["id"]]
        return {**group, "servers": members}

    def _primary_ips(self, address: Resource) -> Resource:
        return {**address, "location": catalogue.find(catalogue.LOCATIONS, address["location"])}
