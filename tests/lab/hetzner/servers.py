"""Servers: each is a machine of the lab's host."""

from __future__ import annotations

import contextlib
import datetime
import secrets
import threading
from collections.abc import Callable
from typing import Any

from tests.lab.engine import LabError
from tests.lab.vps import Machine

from . import bodies, catalogue
from .actions import Step, nothing
from .addresses import Addresses
from .errors import ApiError, invalid, unsupported
from .networks import Networks
from .project import Project
from .store import Resource, now


def _password() -> str:
    # Hetzner's are of this kind: letters and digits.
    return secrets.token_hex(10)


class Servers:
    def __init__(self, project: Project, addresses: Addresses, networks: Networks) -> None:
        self._project = project
        self._store = project.store
        self._host = project.host
        self._actions = project.actions
        self._addresses = addresses
        self._networks = networks

    def settle(self) -> None:
        """After a restart of the API: shows what the machines do, and ends what was under way."""
        self._actions.interrupt_unfinished()
        with self._store.changing():
            for server in self._store.all("servers"):
                server["locked"] = False
                server["status"] = "running" if self._host.runs(server["machine"]["name"]) else "off"

    def machine_ended(self, machine: str, rebooting: bool) -> None:
        """A machine ended by itself: it was shut down from inside, or wants to boot again."""
        server = next((one for one in self._store.all("servers") if one["machine"]["name"] == machine), None)
        if server is None or server["locked"]:
            return
        with contextlib.suppress(LabError):
            if rebooting:
                self._host.start(machine, self._addresses.ipv4_of(server))
        self._set(server, "running" if self._host.runs(machine) else "off")

    # --- create and delete
    def create(self, body: bodies.CreateServer) -> dict[str, Any]:
        server_type = self._server_type(body.server_type)
        image = self._image(body.image, server_type["architecture"])
        place = self._location(body.location, server_type)
        with self._store.changing():
            keys = [self._key(wanted) for wanted in body.ssh_keys]
            walls = [self._existing("firewalls", wall.firewall) for wall in body.firewalls]
            networks = [self._existing("networks", number) for number in body.networks]
            if body.volumes:
                raise invalid("volumes", "the volume does not exist")
            if body.placement_group is not None:
                self._existing("placement_groups", body.placement_group)
            wanted = body.public_net or bodies.PublicNet()
            chosen = self._chosen_addresses(wanted, place["name"])
            self._store.check_free("servers", body.name)
            self._check_supply(server_type["name"], place["name"])
            password = None if keys else _password()
            # Before the server: no half of one must stay when there is no address left.
            attached: list[dict[str, Any]] = []
            for network in networks:
                attached.append(self._networks.place(network, attached, None, []))
            given = [address or self._addresses.make(kind, place["name"]) for kind, address in chosen.items()]
            server = self._store.add(
                "servers", self._new(body, server_type, image, place, keys=keys, password=password)
            )
            server["machine"]["name"] = self._machine_name(server)
            for address in given:
                address["assignee_id"] = server["id"]
            for wall in walls:
                wall["applied_to"].append({"type": "server", "server": {"id": server["id"]}})
            server["private_net"] = attached
            steps = self._creation(server, networks, body.start_after_create)
            actions = self._actions.begin(*steps, lock=server, failed=lambda: self._end_failed(server))
            shown = self._project.show("servers", server)
        return {**shown, "action": actions[0], "next_actions": actions[1:], "root_password": password}

    def _creation(self, server: Resource, networks: list[Resource], start: bool) -> list[Step]:
        this = ("server", server["id"])

        def made() -> None:
            self._host.create(self._machine(server))
            if not start:
                self._set(server, "off")

        steps = [Step("create_server", (this, ("image", server["image"])), made)]
        steps += [Step("attach_to_network", (this, ("network", network["id"]))) for network in networks]
        if start:
            steps.append(Step("start_server", (this,), lambda: self._power_on(server)))
        return steps

    def _end_failed(self, server: Resource) -> None:
        server["status"] = "running" if self._host.runs(server["machine"]["name"]) else "off"

    def _new(
        self,
        body: bodies.CreateServer,
        server_type: Resource,
        image: Resource,
        place: Resource,
        *,
        keys: list[Resource],
        password: str | None,
    ) -> Resource:
        return {
            "name": body.name,
            "status": "initializing",
            "created": now(),
            "server_type": server_type["name"],
            "image": image["id"],
            "location": place["name"],
            "labels": body.labels,
            "private_net": [],
            "protection": {"delete": False, "rebuild": False},
            "rescue_enabled": False,
            "locked": False,
            "backup_window": None,
            "primary_disk_size": server_type["disk"],
            "placement_group": body.placement_group,
            # What the machine is made from, and made again at a rebuild; never shown.
            "machine": {
                "name": "",
                "hostname": body.name,
                "public_keys": [key["public_key"] for key in keys],
                "user_data": body.user_data or "",
                "root_password": password,
            },
        }

    def _machine_name(self, server: Resource) -> str:
        """Server names are unique in a project, but can change; machine names are unique on the engine, and stay.

        With `_` between lab and server, which no name of a server has, so that two labs never mean the same machine.
        """
        name = f"{self._project.config.network}_{server['name']}"
        if any(other["machine"]["name"] == name for other in self._store.all("servers")):
            return f"{name}-{server['id']}"
        return name

    def _machine(self, server: Resource) -> Machine:
        made = server["machine"]
        image = catalogue.find(catalogue.IMAGES, server["image"])
        server_type = self._server_type(server["server_type"])
        return Machine(
            name=made["name"],
            hostname=made["hostname"],
            release=image["name"] if image else "",
            public_keys=tuple(made["public_keys"]),
            user_data=made["user_data"],
            root_password=made["root_password"],
            # New with each rebuild, so that cloud-init takes the machine for a new one.
            instance_id=f"{server['id']}-{secrets.token_hex(4)}",
            address=self._addresses.ipv4_of(server),
            labels={
                "server-id": str(server["id"]),
                "cores": str(server_type["cores"]),
                "memory-gb": str(server_type["memory"]),
            },
        )

    def delete(self, number: int) -> Resource:
        with self._store.changing():
            server = self._store.must("servers", number)
            if server["protection"]["delete"]:
                raise ApiError(423, "protected", "server deletion is protected")
            before = server["status"]

            def removed() -> None:
                self._set(server, "deleting")
                self._host.remove(server["machine"]["name"])
                with self._store.changing():
                    self._store.remove("servers", number)
                    self._addresses.release(server)
                    for wall in self._store.all("firewalls"):
                        mine = {"type": "server", "server": {"id": number}}
                        wall["applied_to"] = [one for one in wall["applied_to"] if one != mine]

            return self._begin(server, "delete_server", removed, failed=lambda: server.update(status=before))

    # --- power
    def power_on(self, number: int, _: bodies.Nothing) -> Resource:
        server = self._store.must("servers", number)
        return self._begin(server, "start_server", lambda: self._power_on(server))

    def power_off(self, number: int, _: bodies.Nothing) -> Resource:
        server = self._store.must("servers", number)
        return self._begin(server, "stop_server", lambda: self._power_off(server, self._host.power_off))

    def shut_down(self, number: int, _: bodies.Nothing) -> Resource:
        """Asks the machine to shut down; the action ends before the machine does, as at Hetzner."""
        server = self._store.must("servers", number)

        def ended() -> None:
            with contextlib.suppress(LabError):
                self._host.shut_down(server["machine"]["name"])
            self._end_if_off(server)

        return self._begin(server, "shutdown_server", lambda: threading.Thread(target=ended, daemon=True).start())

    def _end_if_off(self, server: Resource) -> None:
        if not self._host.runs(server["machine"]["name"]):
            self._set(server, "off")

    def reboot(self, number: int, _: bodies.Nothing) -> Resource:
        server = self._store.must("servers", number)

        def work() -> None:
            self._power_off(server, self._host.shut_down)
            self._power_on(server)

        return self._begin(server, "reboot_server", work)

    def reset(self, number: int, _: bodies.Nothing) -> Resource:
        server = self._store.must("servers", number)

        def work() -> None:
            self._power_off(server, self._host.power_off)
            self._power_on(server)

        return self._begin(server, "reset_server", work)

    def _power_on(self, server: Resource) -> None:
        self._set(server, "starting")
        self._host.start(server["machine"]["name"], self._addresses.ipv4_of(server))
        self._set(server, "running")

    def _power_off(self, server: Resource, how: Callable[[str], None]) -> None:
        self._set(server, "stopping")
        how(server["machine"]["name"])
        self._set(server, "off")

    # --- other actions
    def rebuild(self, number: int, body: bodies.Rebuild) -> dict[str, Any]:
        with self._store.changing():
            server = self._store.must("servers", number)
            if server["protection"]["rebuild"]:
                raise ApiError(423, "protected", "server rebuild is protected")
            image = self._image(body.image, self._server_type(server["server_type"])["architecture"])
            made = server["machine"]
            password = None if made["public_keys"] else _password()

            def work() -> None:
                with self._store.changing():
                    server.update(status="rebuilding", image=image["id"])
                    made["root_password"] = password
                    if body.user_data is not None:
                        made["user_data"] = body.user_data
                self._host.remove(made["name"])
                self._host.create(self._machine(server))
                self._power_on(server)

            action = self._begin(server, "rebuild_server", work)
        return {"action": action, "root_password": password}

    def change_type(self, number: int, body: bodies.ChangeType) -> Resource:
        with self._store.changing():
            server = self._store.must("servers", number)
            new = self._server_type(body.server_type)
            self._must_be_off(server)
            small = new["disk"] < server["primary_disk_size"]
            other = new["architecture"] != self._server_type(server["server_type"])["architecture"]
            if small or other or new["name"] == server["server_type"]:
                raise ApiError(422, "invalid_server_type", "server type does not fit: same, smaller disk or other CPU")
            self._check_supply(new["name"], self._location(server["location"], new)["name"])

            def work() -> None:
                with self._store.changing():
                    server["server_type"] = new["name"]
                    if body.upgrade_disk:
                        server["primary_disk_size"] = new["disk"]

            return self._begin(server, "change_server_type", work)

    def reset_password(self, number: int, _: bodies.Nothing) -> dict[str, Any]:
        server = self._store.must("servers", number)
        if server["status"] != "running":
            raise ApiError(422, "server_not_running", "the server must be running")
        password = _password()

        def work() -> None:
            self._host.set_root_password(server["machine"]["name"], password)

        return {"action": self._begin(server, "reset_password", work), "root_password": password}

    def enable_rescue(self, number: int, body: bodies.EnableRescue) -> dict[str, Any]:
        """Kept and shown; the lab has no rescue system to boot."""
        with self._store.changing():
            server = self._store.must("servers", number)
            for key in body.ssh_keys:
                self._existing("ssh_keys", key)
            if server["rescue_enabled"]:
                raise ApiError(409, "conflict", "rescue system is enabled already")
            action = self._begin(server, "enable_rescue", lambda: self._update(server, rescue_enabled=True))
        return {"action": action, "root_password": _password()}

    def disable_rescue(self, number: int, _: bodies.Nothing) -> Resource:
        server = self._store.must("servers", number)
        return self._begin(server, "disable_rescue", lambda: self._update(server, rescue_enabled=False))

    def enable_backup(self, number: int, _: bodies.Nothing) -> Resource:
        """Kept and shown; the lab makes no backups."""
        server = self._store.must("servers", number)
        return self._begin(server, "enable_backup", lambda: self._update(server, backup_window="22-02"))

    def disable_backup(self, number: int, _: bodies.Nothing) -> Resource:
        server = self._store.must("servers", number)
        return self._begin(server, "disable_backup", lambda: self._update(server, backup_window=None))

    def protect(self, number: int, body: bodies.ServerProtection) -> Resource:
        with self._store.changing():
            server = self._store.must("servers", number)
            new = {**server["protection"], **body.model_dump(exclude_none=True)}
            if new["delete"] != new["rebuild"]:
                raise invalid("rebuild", "must have the same value as delete")
            return self._begin(server, "change_protection", lambda: self._update(server, protection=new))

    def name_back(self, number: int, body: bodies.DnsPtr) -> Resource:
        with self._store.changing():
            server = self._store.must("servers", number)
            for address in self._addresses.of(server):
                with contextlib.suppress(ApiError):
                    self._addresses.set_ptr(address, body)
                    return self._begin(server, "change_dns_ptr")
            raise invalid("ip", f"{body.ip} is not an address of this server")

    def attach_to_network(self, number: int, body: bodies.AttachToNetwork) -> Resource:
        with self._store.changing():
            server = self._store.must("servers", number)
            network = self._existing("networks", body.network)
            entry = self._networks.place(network, server["private_net"], body.ip, body.alias_ips)
            action = self._begin(server, "attach_to_network", also=(("network", network["id"]),))
            server["private_net"].append(entry)
            return action

    def detach_from_network(self, number: int, body: bodies.DetachFromNetwork) -> Resource:
        with self._store.changing():
            server = self._store.must("servers", number)
            entry = self._entry(server, body.network)
            action = self._begin(server, "detach_from_network", also=(("network", body.network),))
            server["private_net"].remove(entry)
            return action

    def change_alias_ips(self, number: int, body: bodies.AliasIps) -> Resource:
        with self._store.changing():
            server = self._store.must("servers", number)
            entry = self._entry(server, body.network)
            network = self._existing("networks", body.network)
            self._networks.check_free(network, [one for one in body.alias_ips if one not in entry["alias_ips"]])
            action = self._begin(server, "change_alias_ips", also=(("network", body.network),))
            entry["alias_ips"] = body.alias_ips
            return action

    def _entry(self, server: Resource, network: int) -> dict[str, Any]:
        entry: dict[str, Any] | None = next((one for one in server["private_net"] if one["network"] == network), None)
        if entry is None:
            raise invalid("network", f"the server is not attached to network {network}")
        return entry

    def join_group(self, number: int, body: bodies.AddToPlacementGroup) -> Resource:
        with self._store.changing():
            server = self._store.must("servers", number)
            self._existing("placement_groups", body.placement_group)
            self._must_be_off(server)
            group = body.placement_group
            return self._begin(server, "add_to_placement_group", lambda: self._update(server, placement_group=group))

    def leave_group(self, number: int, _: bodies.Nothing) -> Resource:
        server = self._store.must("servers", number)
        return self._begin(server, "remove_from_placement_group", lambda: self._update(server, placement_group=None))

    def attach_iso(self, number: int, body: bodies.AttachIso) -> Resource:
        self._store.must("servers", number)
        raise invalid("iso", f"iso {body.iso} does not exist")

    def detach_iso(self, number: int, _: bodies.Nothing) -> Resource:
        return self._begin(self._store.must("servers", number), "detach_iso")

    def create_image(self, number: int, _: bodies.Nothing) -> Resource:
        self._store.must("servers", number)
        raise unsupported("snapshots and backups of servers")

    def request_console(self, number: int, _: bodies.Nothing) -> Resource:
        self._store.must("servers", number)
        raise unsupported("a console")

    def metrics(self, number: int, kinds: list[str], start: str, end: str, step: str) -> dict[str, Any]:
        """Flat lines: the lab measures nothing."""
        self._store.must("servers", number)
        series = {
            "cpu": ("cpu",),
            "disk": ("disk.0.iops.read", "disk.0.iops.write", "disk.0.bandwidth.read", "disk.0.bandwidth.write"),
            "network": ("network.0.pps.in", "network.0.pps.out", "network.0.bandwidth.in", "network.0.bandwidth.out"),
        }
        wanted = [kind for one in kinds for kind in one.split(",")]
        if not wanted or any(kind not in series for kind in wanted):
            raise invalid("type", "type must be cpu, disk or network")
        times = []
        for field, text in (("start", start), ("end", end)):
            try:
                times.append(datetime.datetime.fromisoformat(text.replace(" ", "+")).timestamp())
            except ValueError as error:
                raise invalid(field, f"{field} must be a time in ISO 8601") from error
        if not step.isascii() or not step.isdigit() or not 0 < len(step) < 7 or int(step) < 1:
            raise invalid("step", "step must be a number of seconds")
        values = [[times[0], "0"], [times[1], "0"]]
        return {
            "start": start.replace(" ", "+"),
            "end": end.replace(" ", "+"),
            "step": int(step),
            "time_series": {name: {"values": values} for kind in wanted for name in series[kind]},
        }

    # --- helpers
    def _begin(
        self,
        server: Resource,
        command: str,
        work: Callable[[], None] = nothing,
        also: tuple[tuple[str, int], ...] = (),
        failed: Callable[[], None] | None = None,
    ) -> Resource:
        step = Step(command, (("server", server["id"]), *also), work)
        return self._actions.begin(step, lock=server, failed=failed or (lambda: self._end_failed(server)))[0]

    def _set(self, server: Resource, status: str) -> None:
        self._update(server, status=status)

    def _update(self, server: Resource, **fields: Any) -> None:
        with self._store.changing():
            server.update(fields)

    def _must_be_off(self, server: Resource) -> None:
        if server["status"] != "off":
            raise ApiError(422, "server_not_stopped", "the server must be powered off")

    def _existing(self, kind: str, number: int) -> Resource:
        """What a request's body names: not there is the body's fault, not the address's."""
        found = self._store.get(kind, number)
        if found is None:
            raise ApiError(404, "not_found", f"{kind.removesuffix('s')} with ID '{number}' not found")
        return found

    def _chosen_addresses(self, wanted: bodies.PublicNet, location: str) -> dict[str, Resource | None]:
        """By kind, the primary IP that was asked for, or None for a new one."""
        chosen: dict[str, Resource | None] = {}
        for kind, enabled, number in (
            ("ipv4", wanted.enable_ipv4, wanted.ipv4),
            ("ipv6", wanted.enable_ipv6, wanted.ipv6),
        ):
            if not enabled:
                continue
            address = None if number is None else self._existing("primary_ips", number)
            if address and address["type"] != kind:
                raise ApiError(422, "primary_ip_version_mismatch", f"primary IP {number} is not {kind}")
            if address and address["assignee_id"] is not None:
                raise ApiError(422, "primary_ip_assigned", f"primary IP {number} is already assigned")
            if address and address["location"] != location:
                raise ApiError(422, "primary_ip_location_mismatch", f"primary IP {number} is in another location")
            chosen[kind] = address
        return chosen

    def _check_supply(self, server_type: str, location: str) -> None:
        if self._project.faults.refuses(server_type, location):
            raise ApiError(412, "resource_unavailable", f"error during placement: no {server_type} left in {location}")

    def _server_type(self, wanted: int | str) -> Resource:
        found = catalogue.find(catalogue.SERVER_TYPES, wanted)
        if not found:
            raise invalid("server_type", f"server type {wanted} does not exist")
        return found

    def _location(self, wanted: int | str | None, server_type: Resource) -> Resource:
        sold_at = [one["name"] for one in server_type["locations"] if one["available"]]
        if not sold_at:
            raise invalid("server_type", f"server type {server_type['name']} is deprecated and no longer available")
        place = catalogue.find(catalogue.LOCATIONS, sold_at[0] if wanted is None else wanted)
        if not place:
            raise invalid("location", f"location {wanted} does not exist")
        if place["name"] not in sold_at:
            raise invalid("location", f"unsupported location for server type {server_type['name']}")
        return place

    def _image(self, wanted: int | str, architecture: str) -> Resource:
        fitting = [one for one in catalogue.IMAGES if one["architecture"] == architecture]
        image = catalogue.find(fitting, wanted)
        if not image:
            raise invalid("image", f"image {wanted} does not exist for {architecture}")
        if image["name"] not in self._host.releases():
            raise unsupported(f"image {image['name']} (there are {', '.join(self._host.releases())})")
        return image

    def _key(self, wanted: int | str) -> Resource:
        key = self._store.find("ssh_keys", wanted)
        if key is None:
            raise invalid("ssh_keys", f"ssh key {wanted} does not exist")
        return key
