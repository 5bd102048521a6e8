"""The routes of the lab's Hetzner Cloud API. Shapes and codes follow Hetzner's published description of its API."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

from fastapi import Body, FastAPI, Request, Response
from fastapi.responses import JSONResponse

from tests.lab.config import LabConfig
from tests.lab.engine import LabError
from tests.lab.vps import Machine, VpsHost

from . import catalogue, selector
from .errors import ApiError, invalid, not_found, not_unique
from .faults import Faults
from .store import Resource, Store, now

# https://docs.hetzner.cloud: 3,600 requests an hour and project.
REQUESTS_PER_HOUR = 3600
NAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9.-]{0,61}[a-zA-Z0-9])?")
LABEL_KEY = re.compile(r"([a-zA-Z0-9.-]{1,253}/)?[a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?")
Json = Annotated[dict[str, Any], Body()]
OptionalJson = Annotated[dict[str, Any] | None, Body()]
LABEL_VALUE = re.compile(r"([a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?)?")


def check_labels(labels: Any) -> dict[str, str]:
    if not isinstance(labels, dict):
        raise invalid("labels", "must be an object")
    for key, value in labels.items():
        if not LABEL_KEY.fullmatch(key) or not isinstance(value, str) or not LABEL_VALUE.fullmatch(value):
            raise invalid("labels", f"{key}={value} is not a valid label")
    return labels


def check_name(body: dict[str, Any], pattern: re.Pattern[str] | None = None) -> str:
    name = body.get("name")
    if not isinstance(name, str) or not name or (pattern and not pattern.fullmatch(name)):
        raise invalid("name", "is missing or not a valid name")
    return name


class Cloud:
    """What the routes do: resources in the store, machines on the host, actions that end a moment later."""

    def __init__(self, config: LabConfig, store: Store, host: VpsHost) -> None:
        self.store = store
        self.faults = Faults()
        self._host = host
        self._prefix = config.network

    def machine(self, server: Resource) -> str:
        """The container's name: server names are unique in a project, containers on the whole engine."""
        return f"{self._prefix}-{server['name']}"

    # --- actions
    def begin(
        self, command: str, resources: list[tuple[str, int]], work: Callable[[], None] = lambda: None
    ) -> Resource:
        """An action that runs while the caller goes on, as all of Hetzner's do."""
        with self.store.changing():
            action = self.store.add(
                "actions",
                {
                    "command": command,
                    "status": "running",
                    "progress": 0,
                    "started": now(),
                    "finished": None,
                    "resources": [{"type": kind, "id": number} for kind, number in resources],
                    "error": None,
                },
            )
        threading.Thread(target=self._finish, args=(action, work), daemon=True).start()
        return dict(action)

    def _finish(self, action: Resource, work: Callable[[], None]) -> None:
        error = None
        try:
            if self.faults.fails(action["command"]):
                raise LabError(f"fault: {action['command']} fails")
            work()
        except LabError as problem:
            error = {"code": "action_failed", "message": str(problem)}
        with self.store.changing():
            action.update(status="error" if error else "success", progress=100, finished=now(), error=error)

    # --- servers
    def create_server(self, body: dict[str, Any]) -> dict[str, Any]:
        name = check_name(body, NAME)
        server_type = self._type(body.get("server_type"))
        image = self._image(body.get("image"), server_type["architecture"])
        place = body.get("location") or "fsn1"
        location = next((one for one in catalogue.LOCATIONS if str(place) in (one["name"], str(one["id"]))), None)
        if not location:
            raise invalid("location", f"{place} does not exist")
        labels = check_labels(body.get("labels") or {})
        keys = [self._key(wanted) for wanted in body.get("ssh_keys") or []]
        walls = [self._must("firewalls", wall.get("firewall")) for wall in body.get("firewalls") or []]
        sold = next(one for one in server_type["locations"] if one["id"] == location["id"])
        if self.store.named("servers", name):
            raise not_unique()
        if not sold["available"] or self.faults.sold_out(server_type["name"]):
            raise ApiError(412, "resource_unavailable", "error during placement: server type is unavailable here")
        with self.store.changing():
            server = self.store.add("servers", self._new_server(name, server_type, image, location, labels))
            server["public_net"]["firewalls"] = [{"id": wall["id"], "status": "applied"} for wall in walls]
            for wall in walls:
                wall["applied_to"].append({"type": "server", "server": {"id": server["id"]}})
        machine = Machine(
            name=self.machine(server),
            hostname=name,
            release=image["name"],
            public_keys=tuple(key["public_key"] for key in keys),
            user_data=body.get("user_data") or "",
            instance_id=str(server["id"]),
        )
        self._host.create(machine)
        self._host.start(machine.name)
        with self.store.changing():
            server["public_net"]["ipv4"]["ip"] = self._host.address(machine.name)
            server["status"] = "starting"

        def started() -> None:
            if body.get("start_after_create", True):
                self._set_status(server, "running")
            else:
                self._host.power_off(machine.name)
                self._set_status(server, "off")

        target = [("server", server["id"])]
        action = self.begin("create_server", target, started)
        following = [self.begin("start_server", target)] if body.get("start_after_create", True) else []
        password = None if keys else base64.b32encode(hashlib.sha256(name.encode()).digest()).decode()[:20]
        return {"server": server, "action": action, "next_actions": following, "root_password": password}

    def _new_server(
        self, name: str, server_type: Resource, image: Resource, location: Resource, labels: dict[str, str]
    ) -> Resource:
        return {
            "name": name,
            "status": "initializing",
            "created": now(),
            "public_net": {
                "ipv4": {"id": 1, "ip": "0.0.0.0", "blocked": False, "dns_ptr": f"{name}.lab.test"},
                "ipv6": None,
                "floating_ips": [],
                "firewalls": [],
            },
            "private_net": [],
            "server_type": server_type,
            "location": location,
            "image": image,
            "iso": None,
            "rescue_enabled": False,
            "locked": False,
            "backup_window": None,
            "outgoing_traffic": 0,
            "ingoing_traffic": 0,
            "included_traffic": 20 * 1024**4,
            "protection": {"delete": False, "rebuild": False},
            "labels": labels,
            "volumes": [],
            "load_balancers": [],
            "primary_disk_size": server_type["disk"],
            "placement_group": None,
        }

    def delete_server(self, number: int) -> Resource:
        server = self._must("servers", number)
        if server["protection"]["delete"]:
            raise ApiError(423, "protected", "server deletion is protected")
        with self.store.changing():
            self.store.remove("servers", number)
            for wall in self.store.all("firewalls"):
                wall["applied_to"] = [one for one in wall["applied_to"] if one.get("server", {}).get("id") != number]
        self._host.remove(self.machine(server))
        return self.begin("delete_server", [("server", number)])

    def power(self, number: int, command: str) -> Resource:
        server = self._must("servers", number)
        machine = self.machine(server)

        def on() -> None:
            self._host.start(machine)
            with self.store.changing():
                server["public_net"]["ipv4"]["ip"] = self._host.address(machine)
            self._set_status(server, "running")

        def off(how: Callable[[str], None]) -> None:
            how(machine)
            self._set_status(server, "off")

        def again(how: Callable[[str], None]) -> None:
            off(how)
            on()

        work: dict[str, tuple[str, Callable[[], None]]] = {
            "poweron": ("start_server", on),
            "poweroff": ("stop_server", lambda: off(self._host.power_off)),
            "shutdown": ("shutdown_server", lambda: off(self._host.shut_down)),
            "reboot": ("reboot_server", lambda: again(self._host.shut_down)),
            "reset": ("reset_server", lambda: again(self._host.power_off)),
        }
        name, doing = work[command]
        return self.begin(name, [("server", number)], doing)

    def protect(self, number: int, body: dict[str, Any]) -> Resource:
        server = self._must("servers", number)
        with self.store.changing():
            for key in ("delete", "rebuild"):
                if key in body:
                    server["protection"][key] = bool(body[key])
        return self.begin("change_protection", [("server", number)])

    def _set_status(self, server: Resource, status: str) -> None:
        with self.store.changing():
            server["status"] = status

    def _must(self, kind: str, number: Any) -> Resource:
        resource = self.store.get(kind, number) if isinstance(number, int) else None
        if resource is None:
            raise not_found(kind, number)
        return resource

    def _type(self, wanted: Any) -> Resource:
        for one in catalogue.SERVER_TYPES:
            if str(wanted) in (one["name"], str(one["id"])):
                return one
        raise invalid("server_type", f"server type {wanted} does not exist")

    def _image(self, wanted: Any, architecture: str) -> Resource:
        for one in catalogue.IMAGES:
            if str(wanted) == str(one["id"]) or (wanted == one["name"] and one["architecture"] == architecture):
                return one
        raise invalid("image", f"image {wanted} does not exist")

    def _key(self, wanted: Any) -> Resource:
        for key in self.store.all("ssh_keys"):
            if str(wanted) in (key["name"], str(key["id"])):
                return key
        raise invalid("ssh_keys", f"ssh key {wanted} does not exist")

    # --- keys and firewalls
    def create_key(self, body: dict[str, Any]) -> Resource:
        name = check_name(body)
        words = str(body.get("public_key") or "").split()
        try:
            blob = base64.b64decode(words[1], validate=True)
        except (IndexError, ValueError) as error:
            raise invalid("public_key", "is not an OpenSSH public key") from error
        digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
        fingerprint = ":".join(digest[at : at + 2] for at in range(0, 32, 2))
        for key in self.store.all("ssh_keys"):
            if key["name"] == name:
                raise not_unique()
            if key["fingerprint"] == fingerprint:
                raise not_unique("public_key")
        labels = check_labels(body.get("labels") or {})
        with self.store.changing():
            return self.store.add(
                "ssh_keys",
                {
                    "name": name,
                    "fingerprint": fingerprint,
                    "public_key": body["public_key"],
                    "labels": labels,
                    "created": now(),
                },
            )

    def create_firewall(self, body: dict[str, Any]) -> dict[str, Any]:
        name = check_name(body)
        if self.store.named("firewalls", name):
            raise not_unique()
        labels = check_labels(body.get("labels") or {})
        rules = [_rule(rule) for rule in body.get("rules") or []]
        with self.store.changing():
            wall = self.store.add(
                "firewalls", {"name": name, "labels": labels, "created": now(), "rules": rules, "applied_to": []}
            )
        actions = [self.begin("set_firewall_rules", [("firewall", wall["id"])])] if rules else []
        if body.get("apply_to"):
            actions += self.apply_firewall(wall["id"], body["apply_to"], True)
        return {"firewall": wall, "actions": actions}

    def set_rules(self, number: int, rules: list[Any]) -> list[Resource]:
        wall = self._must("firewalls", number)
        checked = [_rule(rule) for rule in rules]
        with self.store.changing():
            wall["rules"] = checked
        return [self.begin("set_firewall_rules", [("firewall", number)])]

    def apply_firewall(self, number: int, targets: list[Any], applied: bool) -> list[Resource]:
        wall = self._must("firewalls", number)
        with self.store.changing():
            for target in targets:
                if target.get("type") == "server":
                    server = self._must("servers", target["server"]["id"])
                    walls = [one for one in server["public_net"]["firewalls"] if one["id"] != number]
                    server["public_net"]["firewalls"] = (
                        [*walls, {"id": number, "status": "applied"}] if applied else walls
                    )
                others = [one for one in wall["applied_to"] if _target(one) != _target(target)]
                wall["applied_to"] = [*others, target] if applied else others
        command = "apply_firewall" if applied else "remove_firewall"
        return [self.begin(command, [("firewall", number)])]


def _target(one: dict[str, Any]) -> tuple[Any, ...]:
    return one.get("type"), str(one.get("server", {}).get("id")), str(one.get("label_selector", {}).get("selector"))


def _rule(rule: Any) -> dict[str, Any]:
    directions, protocols = ("in", "out"), ("tcp", "udp", "icmp", "esp", "gre")
    if not isinstance(rule, dict) or rule.get("direction") not in directions or rule.get("protocol") not in protocols:
        raise invalid("rules", "direction must be in or out, protocol tcp, udp, icmp, esp or gre")
    if rule["protocol"] in ("tcp", "udp") and not rule.get("port"):
        raise invalid("rules", "tcp and udp need a port")
    return {
        "direction": rule["direction"],
        "protocol": rule["protocol"],
        "port": rule.get("port"),
        "source_ips": rule.get("source_ips") or [],
        "destination_ips": rule.get("destination_ips") or [],
        "description": rule.get("description"),
    }


def page_of(request: Request, key: str, found: list[Resource]) -> dict[str, Any]:
    """One page of a list, with Hetzner's `meta.pagination`."""
    numbers = {}
    for name, default, highest in (("page", 1, None), ("per_page", 25, 50)):
        text = request.query_params.get(name, str(default))
        if not text.isdigit() or int(text) < 1 or int(text) > 10**6:
            raise invalid(name, "must be a positive number")
        numbers[name] = min(int(text), highest) if highest else int(text)
    page, size = numbers["page"], numbers["per_page"]
    last = max(1, -(-len(found) // size))
    return {
        key: found[(page - 1) * size : page * size],
        "meta": {
            "pagination": {
                "page": page,
                "per_page": size,
                "previous_page": page - 1 if page > 1 else None,
                "next_page": page + 1 if page < last else None,
                "last_page": last,
                "total_entries": len(found),
            }
        },
    }


def filtered(request: Request, resources: list[Resource]) -> list[Resource]:
    """By the query's name, status, architecture, fingerprint, type and label selector."""
    query = request.query_params
    for field in ("name", "status", "architecture", "fingerprint", "type"):
        if wanted := query.getlist(field):
            resources = [one for one in resources if field not in one or one[field] in wanted]
    if wanted_labels := query.get("label_selector"):
        try:
            resources = [one for one in resources if selector.matches(wanted_labels, one["labels"])]
        except selector.SelectorError as error:
            raise invalid("label_selector", "cannot be read") from error
    if order := query.get("sort"):
        field, _, direction = order.partition(":")
        resources = sorted(resources, key=lambda one: str(one.get(field, "")), reverse=direction == "desc")
    return resources


def create_app(config: LabConfig, state_file: Path | None = None, vps: VpsHost | None = None) -> FastAPI:
    """The API of one project of the lab, under /v1, for the lab's token."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    cloud = Cloud(config, Store(state_file or config.folder / "hetzner.json"), vps or VpsHost(config))
    calls: list[float] = []

    @app.exception_handler(ApiError)
    async def on_error(_: Request, error: ApiError) -> JSONResponse:
        return JSONResponse(error.body, error.status)

    @app.middleware("http")
    async def guard(request: Request, proceed: Callable[[Request], Awaitable[Response]]) -> Response:
        try:
            if request.headers.get("authorization") != f"Bearer {config.hetzner_token}":
                raise ApiError(401, "unauthorized", "unable to authenticate")
            if request.url.path.startswith("/_lab/"):
                return await proceed(request)
            moment = time.monotonic()
            calls[:] = [*(call for call in calls if call > moment - 3600), moment]
            if slow := cloud.faults.show()["slow"]:
                await asyncio.sleep(slow)
            if len(calls) > REQUESTS_PER_HOUR or cloud.faults.take("rate_limited"):
                raise ApiError(429, "rate_limit_exceeded", "limit of 3600 requests per hour reached")
            if cloud.faults.take("server_error"):
                raise ApiError(503, "unavailable", "service is temporarily unavailable")
            answer = await proceed(request)
        except ApiError as error:
            answer = JSONResponse(error.body, error.status)
        answer.headers["RateLimit-Limit"] = str(REQUESTS_PER_HOUR)
        answer.headers["RateLimit-Remaining"] = str(max(0, REQUESTS_PER_HOUR - len(calls)))
        answer.headers["RateLimit-Reset"] = str(int(time.time()) + 1)
        return answer

    _faults(app, cloud)
    _fixed(app)
    _servers(app, cloud)
    _keys_and_firewalls(app, cloud)
    _rest(app, cloud)
    return app


def _faults(app: FastAPI, cloud: Cloud) -> None:
    @app.get("/_lab/faults")
    def show() -> dict[str, Any]:
        return cloud.faults.show()

    @app.put("/_lab/faults")
    def switch(body: Json) -> dict[str, Any]:
        cloud.faults.set(body)
        return cloud.faults.show()

    @app.delete("/_lab/faults")
    def clear() -> dict[str, Any]:
        cloud.faults.clear()
        return cloud.faults.show()


def _fixed(app: FastAPI) -> None:
    """What the cloud sells: lists and single entries that nobody changes."""

    def offer(kind: str, entries: list[Resource]) -> None:
        @app.get(f"/v1/{kind}")
        def listing(request: Request) -> dict[str, Any]:
            return page_of(request, kind, filtered(request, entries))

        @app.get(f"/v1/{kind}/{{number}}")
        def one(number: int) -> dict[str, Any]:
            for entry in entries:
                if entry["id"] == number:
                    return {kind[:-1]: entry}
            raise not_found(kind, number)

    offer("locations", catalogue.LOCATIONS)
    offer("server_types", catalogue.SERVER_TYPES)
    offer("images", catalogue.IMAGES)
    # Clients look around in these too; the lab has none of them.
    for kind in ("volumes", "placement_groups", "load_balancers", "certificates", "isos", "floating_ips"):
        offer(kind, [])


def _crud(app: FastAPI, cloud: Cloud, kind: str) -> None:
    """List, show, update and delete, alike for every kind."""

    @app.get(f"/v1/{kind}")
    def listing(request: Request) -> dict[str, Any]:
        return page_of(request, kind, filtered(request, cloud.store.all(kind)))

    @app.get(f"/v1/{kind}/{{number}}")
    def one(number: int) -> dict[str, Any]:
        return {kind[:-1]: cloud._must(kind, number)}

    @app.put(f"/v1/{kind}/{{number}}")
    def update(number: int, body: Json) -> dict[str, Any]:
        resource = cloud._must(kind, number)
        if "name" in body:
            check_name(body, NAME if kind == "servers" else None)
            other = cloud.store.named(kind, body["name"])
            if other and other["id"] != number:
                raise not_unique()
        labels = check_labels(body["labels"]) if "labels" in body else resource["labels"]
        with cloud.store.changing():
            resource.update(name=body.get("name", resource["name"]), labels=labels)
        return {kind[:-1]: resource}


def _servers(app: FastAPI, cloud: Cloud) -> None:
    _crud(app, cloud, "servers")

    @app.post("/v1/servers", status_code=201)
    def create(body: Json) -> dict[str, Any]:
        return cloud.create_server(body)

    @app.delete("/v1/servers/{number}")
    def delete(number: int) -> dict[str, Any]:
        return {"action": cloud.delete_server(number)}

    @app.post("/v1/servers/{number}/actions/{command}", status_code=201)
    def act(number: int, command: str, body: OptionalJson = None) -> dict[str, Any]:
        if command in ("poweron", "poweroff", "shutdown", "reboot", "reset"):
            return {"action": cloud.power(number, command)}
        if command == "change_protection":
            return {"action": cloud.protect(number, body or {})}
        cloud._must("servers", number)
        raise ApiError(501, "unsupported_error", f"the lab has no server action {command}")


def _keys_and_firewalls(app: FastAPI, cloud: Cloud) -> None:
    _crud(app, cloud, "ssh_keys")
    _crud(app, cloud, "firewalls")

    @app.post("/v1/ssh_keys", status_code=201)
    def create_key(body: Json) -> dict[str, Any]:
        return {"ssh_key": cloud.create_key(body)}

    @app.delete("/v1/ssh_keys/{number}", status_code=204)
    def delete_key(number: int) -> Response:
        cloud._must("ssh_keys", number)
        with cloud.store.changing():
            cloud.store.remove("ssh_keys", number)
        return Response(status_code=204)

    @app.post("/v1/firewalls", status_code=201)
    def create_firewall(body: Json) -> dict[str, Any]:
        return cloud.create_firewall(body)

    @app.delete("/v1/firewalls/{number}", status_code=204)
    def delete_firewall(number: int) -> Response:
        wall = cloud._must("firewalls", number)
        if wall["applied_to"]:
            raise ApiError(409, "resource_in_use", "firewall is still in use")
        with cloud.store.changing():
            cloud.store.remove("firewalls", number)
        return Response(status_code=204)

    @app.post("/v1/firewalls/{number}/actions/{command}", status_code=201)
    def act(number: int, command: str, body: Json) -> dict[str, Any]:
        if command == "set_rules":
            return {"actions": cloud.set_rules(number, body.get("rules") or [])}
        if command == "apply_to_resources":
            return {"actions": cloud.apply_firewall(number, body.get("apply_to") or [], True)}
        if command == "remove_from_resources":
            return {"actions": cloud.apply_firewall(number, body.get("remove_from") or [], False)}
        raise ApiError(404, "not_found", "not found")


def _rest(app: FastAPI, cloud: Cloud) -> None:
    _crud(app, cloud, "networks")
    _crud(app, cloud, "primary_ips")

    @app.get("/v1/actions")
    def actions(request: Request) -> dict[str, Any]:
        wanted = request.query_params.getlist("id")
        found = [one for one in cloud.store.all("actions") if not wanted or str(one["id"]) in wanted]
        return page_of(request, "actions", filtered(request, found))

    @app.get("/v1/actions/{number}")
    @app.get("/v1/{kind}/actions/{number}")
    @app.get("/v1/{kind}/{resource}/actions/{number}")
    def action(number: int) -> dict[str, Any]:
        return {"action": cloud._must("actions", number)}

    @app.get("/v1/{kind}/{resource}/actions")
    def actions_of(kind: str, resource: int, request: Request) -> dict[str, Any]:
        mine = {"type": kind.rstrip("s"), "id": resource}
        found = [one for one in cloud.store.all("actions") if mine in one["resources"]]
        return page_of(request, "actions", filtered(request, found))
