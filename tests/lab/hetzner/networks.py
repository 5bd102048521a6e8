"""Private networks: kept and shown as Hetzner does; the lab's servers get no second interface."""

from __future__ import annotations

import ipaddress
from typing import Any

from . import bodies, catalogue
from .actions import Step, nothing
from .errors import ApiError, invalid
from .project import Project
from .store import Resource, now

_PRIVATE = [ipaddress.IPv4Network(one) for one in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
_ZONES = sorted({place["network_zone"] for place in catalogue.LOCATIONS})
# Hetzner's default size of a subnet.
_SUBNET_BITS = 24


class Networks:
    def __init__(self, project: Project) -> None:
        self._project = project
        self._store = project.store

    def create(self, body: bodies.CreateNetwork) -> dict[str, Any]:
        with self._store.changing():
            self._store.check_free("networks", body.name)
            network: Resource = {
                "name": body.name,
                "ip_range": _private(body.ip_range),
                "labels": body.labels,
                "created": now(),
                "subnets": [],
                "routes": [],
                "protection": {"delete": False},
                "expose_routes_to_vswitch": body.expose_routes_to_vswitch,
            }
            for subnet in body.subnets:
                network["subnets"].append(_subnet(network, subnet))
            for route in body.routes:
                network["routes"].append(_route(network, route))
            return self._project.show("networks", self._store.add("networks", network))

    def delete(self, number: int) -> None:
        with self._store.changing():
            network = self._store.must("networks", number)
            if network["protection"]["delete"]:
                raise ApiError(423, "protected", "network deletion is protected")
            for server in self._store.all("servers"):
                server["private_net"] = [one for one in server["private_net"] if one["network"] != number]
            self._store.remove("networks", number)

    def add_subnet(self, number: int, body: bodies.Subnet) -> Resource:
        with self._store.changing():
            network = self._store.must("networks", number)
            network["subnets"].append(_subnet(network, body))
            return self._begin("add_subnet", network)

    def delete_subnet(self, number: int, body: bodies.IpRange) -> Resource:
        with self._store.changing():
            network = self._store.must("networks", number)
            kept = [one for one in network["subnets"] if one["ip_range"] != body.ip_range]
            if len(kept) == len(network["subnets"]):
                raise ApiError(404, "not_found", f"subnet {body.ip_range} not found")
            gone = ipaddress.ip_network(body.ip_range)
            for server in self._store.all("servers"):
                for one in server["private_net"]:
                    if one["network"] == number and ipaddress.ip_address(one["ip"]) in gone:
                        raise ApiError(422, "resource_in_use", "the subnet has servers in it")
            network["subnets"] = kept
            return self._begin("delete_subnet", network)

    def add_route(self, number: int, body: bodies.Route) -> Resource:
        with self._store.changing():
            network = self._store.must("networks", number)
            network["routes"].append(_route(network, body))
            return self._begin("add_route", network)

    def delete_route(self, number: int, body: bodies.Route) -> Resource:
        with self._store.changing():
            network = self._store.must("networks", number)
            route = body.model_dump()
            if route not in network["routes"]:
                raise ApiError(404, "not_found", f"route {body.destination} not found")
            network["routes"].remove(route)
            return self._begin("delete_route", network)

    def change_range(self, number: int, body: bodies.IpRange) -> Resource:
        with self._store.changing():
            network = self._store.must("networks", number)
            new = ipaddress.IPv4Network(_private(body.ip_range))
            if not new.supernet_of(ipaddress.IPv4Network(network["ip_range"])):
                raise invalid("ip_range", "can only be extended")
            network["ip_range"] = body.ip_range
            return self._begin("change_ip_range", network)

    def protect(self, number: int, body: bodies.Protection) -> Resource:
        with self._store.changing():
            network = self._store.must("networks", number)
            if body.delete is not None:
                network["protection"]["delete"] = body.delete
            return self._begin("change_protection", network)

    def place(
        self, network: Resource, present: list[dict[str, Any]], wanted: str | None, aliases: list[str]
    ) -> dict[str, Any]:
        """A further entry for the `private_net` of a server, with a free address.

        Raises:
            ApiError: the network or the address cannot be had (422).
        """
        if any(one["network"] == network["id"] for one in present):
            raise ApiError(422, "server_already_attached", "server is already attached to this network")
        self.check_free(network, [*([wanted] if wanted else []), *aliases])
        taken = self._taken(network) | set(aliases)
        subnets = [ipaddress.IPv4Network(subnet["ip_range"]) for subnet in network["subnets"]]
        free = (str(address) for subnet in subnets for address in subnet.hosts() if str(address) not in taken)
        chosen = wanted or next(free, None)
        if not chosen:
            raise ApiError(422, "no_subnet_available", "no subnet or address is available in the network")
        mac = "86:00:" + ipaddress.ip_address(chosen).packed.hex(":")
        return {"network": network["id"], "ip": chosen, "alias_ips": aliases, "mac_address": mac}

    def check_free(self, network: Resource, wanted: list[str]) -> None:
        """Raises:
        ApiError: an address is taken, outside the subnets, or named twice (422).
        """
        taken = self._taken(network)
        subnets = [ipaddress.IPv4Network(subnet["ip_range"]) for subnet in network["subnets"]]
        for address in wanted:
            if address in taken or not any(ipaddress.ip_address(address) in subnet for subnet in subnets):
                raise ApiError(422, "ip_not_available", f"{address} is not available in the network")
            taken.add(address)

    def _taken(self, network: Resource) -> set[str]:
        entries = (one for server in self._store.all("servers") for one in server["private_net"])
        mine = [one for one in entries if one["network"] == network["id"]]
        return {address for one in mine for address in (one["ip"], *one["alias_ips"])} | {
            subnet["gateway"] for subnet in network["subnets"]
        }

    def _begin(self, command: str, network: Resource) -> Resource:
        return self._project.actions.begin(Step(command, (("network", network["id"]),), nothing))[0]


def _private(ip_range: str) -> str:
    network = ipaddress.IPv4Network(ip_range)
    if network.prefixlen > _SUBNET_BITS or not any(network.subnet_of(private) for private in _PRIVATE):
        raise invalid("ip_range", f"{ip_range} is not a private network of at least /{_SUBNET_BITS}")
    return ip_range


def _subnet(network: Resource, body: bodies.Subnet) -> dict[str, Any]:
    whole = ipaddress.IPv4Network(network["ip_range"])
    if body.network_zone not in _ZONES:
        raise invalid("network_zone", f"{body.network_zone} is not one of {', '.join(_ZONES)}")
    if (body.type == "vswitch") != (body.vswitch_id is not None):
        raise invalid("vswitch_id", "is needed for type vswitch, and only for it")
    others = [ipaddress.IPv4Network(one["ip_range"]) for one in network["subnets"]]
    if body.ip_range:
        chosen = ipaddress.IPv4Network(body.ip_range)
        if not chosen.subnet_of(whole):
            raise invalid("ip_range", f"{chosen} is not inside {whole}")
        if any(chosen.overlaps(other) for other in others):
            raise ApiError(422, "networks_overlap", f"{chosen} overlaps another subnet")
    else:
        free = (one for one in whole.subnets(new_prefix=_SUBNET_BITS) if not any(one.overlaps(o) for o in others))
        found = next(free, None)
        if found is None:
            raise ApiError(422, "no_subnet_available", f"{whole} has no room for another subnet")
        chosen = found
    return {
        "type": body.type,
        "ip_range": str(chosen),
        "network_zone": body.network_zone,
        "gateway": str(whole.network_address + 1),
        "vswitch_id": body.vswitch_id,
    }


def _route(network: Resource, body: bodies.Route) -> dict[str, str]:
    gateway = ipaddress.ip_address(body.gateway)
    if not any(gateway in ipaddress.ip_network(one["ip_range"]) for one in network["subnets"]):
        raise invalid("gateway", f"{gateway} is in no subnet of the network")
    route = {"destination": body.destination, "gateway": body.gateway}
    if route in network["routes"]:
        raise invalid("destination", "the route exists already")
    return route
