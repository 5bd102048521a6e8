"""Primary IPs: the public addresses of servers, which outlive a server or go with it."""

from __future__ import annotations

import ipaddress
from typing import Any

from . import bodies, catalogue
from .actions import Step, nothing
from .errors import ApiError, invalid
from .project import Project
from .store import Resource, now


class Addresses:
    def __init__(self, project: Project) -> None:
        self._project = project
        self._store = project.store

    def create(self, body: bodies.CreatePrimaryIp) -> dict[str, Any]:
        with self._store.changing():
            self._store.check_free("primary_ips", body.name)
            server = None if body.assignee_id is None else self._assignable(body.assignee_id, body.type)
            wanted = server["location"] if server else body.location
            if wanted is None:
                raise invalid("location", "location is needed without assignee_id")
            place = catalogue.find(catalogue.LOCATIONS, wanted)
            if not place:
                raise invalid("location", f"location {wanted} does not exist")
            made = self.make(body.type, place["name"], body.name, body.auto_delete, body.labels)
            answer: dict[str, Any] = {}
            if server:
                made["assignee_id"] = server["id"]
                answer["action"] = self._begin("assign_primary_ip", made, server)
            return {**self._project.show("primary_ips", made), **answer}

    def make(
        self, kind: str, location: str, name: str | None = None, auto_delete: bool = True, labels: Any = None
    ) -> Resource:
        """A new address; one that comes with a server goes with it and is named after its own id."""
        address = self._free4() if kind == "ipv4" else ""
        made = self._store.add(
            "primary_ips",
            {
                "name": name,
                "type": kind,
                "ip": address,
                "location": location,
                "assignee_id": None,
                "assignee_type": "server",
                "auto_delete": auto_delete,
                "blocked": False,
                "created": now(),
                "dns_ptr": [],
                "labels": labels or {},
                "protection": {"delete": False},
            },
        )
        if kind == "ipv4":
            made["dns_ptr"] = [{"ip": address, "dns_ptr": self._default_ptr(address)}]
        else:
            # The lab has no IPv6: an address of the range that is set aside for documentation, which leads nowhere.
            made["ip"] = f"2001:db8:{made['id'] >> 16:x}:{made['id'] & 0xFFFF:x}::/64"
        made["name"] = name or f"primary_ip-{made['id']}"
        return made

    def _free4(self) -> str:
        """From the upper half of the lab's network; the engine hands out its own from the lower end."""
        taken = {one["ip"] for one in self._store.all("primary_ips")} | self._project.host.taken_addresses()
        hosts = list(ipaddress.ip_network(self._project.config.subnet).hosts())
        for address in reversed(hosts[len(hosts) // 2 :]):
            if str(address) not in taken:
                return str(address)
        raise ApiError(412, "resource_unavailable", "the lab's network has no free address")

    def _default_ptr(self, address: str) -> str:
        return f"static.{'.'.join(reversed(address.split('.')))}.clients.{self._project.config.zone}"

    def of(self, server: Resource) -> list[Resource]:
        return [one for one in self._store.all("primary_ips") if one["assignee_id"] == server["id"]]

    def ipv4_of(self, server: Resource) -> str | None:
        return next((one["ip"] for one in self.of(server) if one["type"] == "ipv4"), None)

    def release(self, server: Resource) -> None:
        """Of a server that is no more."""
        for one in self.of(server):
            if one["auto_delete"]:
                self._store.remove("primary_ips", one["id"])
            else:
                one["assignee_id"] = None

    def delete(self, number: int) -> None:
        with self._store.changing():
            address = self._store.must("primary_ips", number)
            if address["protection"]["delete"]:
                raise ApiError(423, "protected", "primary IP deletion is protected")
            if address["assignee_id"] is not None:
                raise ApiError(422, "must_be_unassigned", "primary IP must be unassigned before it is deleted")
            self._store.remove("primary_ips", number)

    def assign(self, number: int, body: bodies.Assign) -> Resource:
        with self._store.changing():
            address = self._store.must("primary_ips", number)
            if address["assignee_id"] is not None:
                raise ApiError(422, "primary_ip_already_assigned", "primary IP is assigned to a server already")
            server = self._assignable(body.assignee_id, address["type"])
            if server["location"] != address["location"]:
                raise invalid("assignee_id", "server and primary IP are in different locations")
            address["assignee_id"] = server["id"]
            return self._begin("assign_primary_ip", address, server)

    def unassign(self, number: int, _: bodies.Nothing) -> Resource:
        with self._store.changing():
            address = self._store.must("primary_ips", number)
            if address["assignee_id"] is None:
                raise ApiError(422, "primary_ip_not_assigned", "primary IP is not assigned")
            server = self._stopped(address["assignee_id"])
            address["assignee_id"] = None
            return self._begin("unassign_primary_ip", address, server)

    def _assignable(self, number: int, kind: str) -> Resource:
        server = self._stopped(number)
        if any(one["type"] == kind for one in self.of(server)):
            raise ApiError(422, f"server_has_{kind}", f"server has an {kind} address already")
        return server

    def _stopped(self, number: int) -> Resource:
        server = self._store.get("servers", number)
        if server is None:
            raise invalid("assignee_id", f"server {number} does not exist")
        if server["status"] != "off":
            raise ApiError(422, "server_not_stopped", "the server must be powered off")
        return server

    def protect(self, number: int, body: bodies.Protection) -> Resource:
        with self._store.changing():
            address = self._store.must("primary_ips", number)
            if body.delete is not None:
                address["protection"]["delete"] = body.delete
            return self._begin("change_protection", address)

    def name_back(self, number: int, body: bodies.DnsPtr) -> Resource:
        with self._store.changing():
            address = self._store.must("primary_ips", number)
            self.set_ptr(address, body)
            return self._begin("change_dns_ptr", address)

    def set_ptr(self, address: Resource, body: bodies.DnsPtr) -> None:
        wanted = ipaddress.ip_address(body.ip)
        if wanted not in ipaddress.ip_network(address["ip"]):
            raise invalid("ip", f"{body.ip} is not of this primary IP")
        others = [one for one in address["dns_ptr"] if one["ip"] != str(wanted)]
        name = body.dns_ptr or (self._default_ptr(str(wanted)) if wanted.version == 4 else None)
        address["dns_ptr"] = [*others, {"ip": str(wanted), "dns_ptr": name}] if name else others

    def _begin(self, command: str, address: Resource, server: Resource | None = None) -> Resource:
        about = (("primary_ip", address["id"]), *((("server", server["id"]),) if server else ()))
        return self._project.actions.begin(Step(command, about, nothing))[0]
