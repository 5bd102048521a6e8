"""The routes of the lab's Hetzner Cloud API. Shapes and codes follow Hetzner's published description of its API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException

from tests.lab.config import LabConfig
from tests.lab.engine import LabError
from tests.lab.vps import VpsHost

from . import bodies, catalogue
from .access import Gate, RateLimit
from .actions import Step
from .addresses import Addresses
from .bodies import Body, Nothing
from .errors import ApiError, invalid_fields, not_found, unsupported
from .firewalls import Firewalls
from .keys import Keys
from .listing import listed
from .networks import Networks
from .project import Project
from .servers import Servers
from .store import Resource, Store, now

# What Hetzner has and the lab does not: their lists are empty, and nothing can be added.
ABSENT = ("volumes", "floating_ips", "load_balancers", "certificates")
ABSENT_FROM_THE_OFFER = ("isos", "load_balancer_types")
B = TypeVar("B", bound=Body)


class IdConvertor(Convertor[int]):
    """Ids in paths: so that `/servers/actions` is no server, and no number is too long to be read."""

    regex = "[0-9]{1,19}"

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return str(value)


register_url_convertor("id", IdConvertor())


def create_app(
    config: LabConfig,
    state_file: Path | None = None,
    vps: VpsHost | None = None,
    limit: RateLimit | None = None,
) -> FastAPI:
    """The API of one project of the lab, under /v1, for the lab's token.

    Faults are switched with GET, PUT and DELETE of /_lab/faults; see `faults.Settings`.
    """
    store = Store(state_file or config.folder / "hetzner.json")
    project = Project(config, store, vps or VpsHost(config))
    addresses, networks = Addresses(project), Networks(project)
    servers = Servers(project, addresses, networks)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        stop = project.host.watch(servers.machine_ended)
        yield
        stop()

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, lifespan=life)
    servers.settle()
    _errors(app)
    _faults(app, project)
    _offer(app, project)
    _actions(app, project)
    _servers(app, project, servers)
    _keys_and_firewalls(app, project)
    _networks(app, project, networks)
    _addresses(app, project, addresses)
    _groups(app, project)
    _absent(app)
    app.add_middleware(Gate, token=config.hetzner_token, faults=project.faults, limit=limit or RateLimit())
    return app


def _errors(app: FastAPI) -> None:
    @app.exception_handler(ApiError)
    async def api_error(_: Request, error: ApiError) -> JSONResponse:
        return JSONResponse(error.body, error.status)

    @app.exception_handler(HTTPException)
    async def no_route(_: Request, problem: HTTPException) -> JSONResponse:
        code = {404: "not_found", 405: "method_not_allowed"}.get(problem.status_code, "invalid_input")
        error = ApiError(problem.status_code, code, str(problem.detail).lower())
        return JSONResponse(error.body, error.status, headers=problem.headers)

    @app.exception_handler(LabError)
    async def no_engine(_: Request, problem: LabError) -> JSONResponse:
        error = ApiError(503, "unavailable", str(problem))
        return JSONResponse(error.body, error.status)

    @app.exception_handler(Exception)
    async def defect(_: Request, __: Exception) -> JSONResponse:
        error = ApiError(500, "service_error", "defect in the lab; its log has the trace")
        return JSONResponse(error.body, error.status)


async def read(request: Request, model: type[B]) -> B:
    """A request's body, strictly; none at all counts as an empty one.

    Raises:
        ApiError: it is no JSON (400) or does not fit (422).
    """
    raw = await request.body()
    try:
        return model.model_validate_json(raw if raw.strip() not in (b"", b"null") else b"{}")
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
    if any(problem["type"] == "json_invalid" for problem in problems):
        raise ApiError(400, "json_error", "invalid JSON input in request")
    fields: dict[str, list[str]] = {}
    for problem in problems:
        # Only the field's own path: what follows may name a member of a union.
        place = ".".join(str(part) for part in problem["loc"][:2]) or "body"
        fields.setdefault(place, []).append(problem["msg"].removeprefix("Value error, "))
    raise invalid_fields(fields)


def _faults(app: FastAPI, project: Project) -> None:
    @app.get("/_lab/faults")
    def show() -> dict[str, Any]:
        return project.faults.show()

    @app.put("/_lab/faults")
    async def switch(request: Request) -> dict[str, Any]:
        try:
            wanted = await request.json()
        except ValueError as error:
            raise ApiError(400, "json_error", "invalid JSON input in request") from error
        project.faults.set(wanted)
        return project.faults.show()

    @app.delete("/_lab/faults")
    def clear() -> dict[str, Any]:
        project.faults.clear()
        return project.faults.show()


def _offer(app: FastAPI, project: Project) -> None:
    """What the cloud sells: lists and single entries that nobody changes."""

    def images(request: Request) -> list[Resource]:
        if request.query_params.get("include_deprecated") == "true" or "name" in request.query_params:
            return catalogue.IMAGES
        return [one for one in catalogue.IMAGES if not one["deprecated"]]

    offers: dict[str, Callable[[Request], list[Resource]]] = {
        "locations": lambda _: catalogue.LOCATIONS,
        "server_types": lambda _: project.views.server_types(),
        "images": images,
    }

    def add(kind: str, entries: Callable[[Request], list[Resource]]) -> None:
        @app.get(f"/v1/{kind}")
        def many(request: Request) -> dict[str, Any]:
            return listed(request, kind, entries(request))

        @app.get(f"/v1/{kind}/{{number:id}}")
        def one(number: int, request: Request) -> dict[str, Any]:
            everything = catalogue.IMAGES if kind == "images" else entries(request)
            for entry in everything:
                if entry["id"] == number:
                    return {kind.removesuffix("s"): entry}
            raise not_found(kind, number)

    for kind, entries in offers.items():
        add(kind, entries)

    @app.get("/v1/pricing")
    def pricing() -> dict[str, Any]:
        return {"pricing": catalogue.PRICING}


def _resource(
    app: FastAPI,
    project: Project,
    kind: str,
    delete: Callable[[int], None] | None,
    update: type[Body] = bodies.Update,
) -> None:
    """List, get, update of name, labels and the like, delete: the same for every kind."""
    store, views = project.store, project.views

    @app.get(f"/v1/{kind}")
    def many(request: Request) -> dict[str, Any]:
        return listed(request, kind, views.all(kind))

    @app.get(f"/v1/{kind}/{{number:id}}")
    def one(number: int) -> dict[str, Any]:
        return project.show(kind, store.must(kind, number))

    def changed(number: int, body: Any) -> dict[str, Any]:
        with store.changing():
            resource = store.must(kind, number)
            if body.name is not None:
                store.check_free(kind, body.name, but=number)
            resource.update(body.model_dump(exclude_none=True))
            return project.show(kind, resource)

    @app.put(f"/v1/{kind}/{{number:id}}")
    async def change(number: int, request: Request) -> dict[str, Any]:
        return await run_in_threadpool(changed, number, await read(request, update))

    if delete:

        @app.delete(f"/v1/{kind}/{{number:id}}", status_code=204)
        def remove(number: int) -> Response:
            delete(number)
            return Response(status_code=204)


def _creation(app: FastAPI, kind: str, model: type[B], create: Callable[[B], dict[str, Any]]) -> None:
    @app.post(f"/v1/{kind}", status_code=201)
    async def post(request: Request) -> dict[str, Any]:
        return await run_in_threadpool(create, await read(request, model))


def _command(app: FastAPI, kind: str, command: str, model: type[B], do: Callable[[int, B], Any]) -> None:
    """An action of a resource. What `do` returns is the whole answer, one action, or several."""

    @app.post(f"/v1/{kind}/{{number:id}}/actions/{command}", status_code=201)
    async def act(number: int, request: Request) -> dict[str, Any]:
        done = await run_in_threadpool(do, number, await read(request, model))
        if isinstance(done, list):
            return {"actions": done}
        answer: dict[str, Any] = done if "action" in done else {"action": done}
        return answer


def _servers(app: FastAPI, project: Project, servers: Servers) -> None:
    _resource(app, project, "servers", None, bodies.UpdateServer)
    _creation(app, "servers", bodies.CreateServer, servers.create)

    @app.delete("/v1/servers/{number:id}")
    def delete(number: int) -> dict[str, Any]:
        return {"action": servers.delete(number)}

    @app.get("/v1/servers/{number:id}/metrics")
    def metrics(number: int, request: Request) -> dict[str, Any]:
        query = request.query_params
        times = query.get("start", ""), query.get("end", ""), query.get("step", "60")
        return {"metrics": servers.metrics(number, query.getlist("type"), *times)}

    for command, do in (
        ("poweron", servers.power_on),
        ("poweroff", servers.power_off),
        ("shutdown", servers.shut_down),
        ("reboot", servers.reboot),
        ("reset", servers.reset),
        ("reset_password", servers.reset_password),
        ("disable_rescue", servers.disable_rescue),
        ("enable_backup", servers.enable_backup),
        ("disable_backup", servers.disable_backup),
        ("remove_from_placement_group", servers.leave_group),
        ("detach_iso", servers.detach_iso),
        ("create_image", servers.create_image),
        ("request_console", servers.request_console),
    ):
        _command(app, "servers", command, Nothing, do)
    _command(app, "servers", "rebuild", bodies.Rebuild, servers.rebuild)
    _command(app, "servers", "change_type", bodies.ChangeType, servers.change_type)
    _command(app, "servers", "enable_rescue", bodies.EnableRescue, servers.enable_rescue)
    _command(app, "servers", "change_protection", bodies.ServerProtection, servers.protect)
    _command(app, "servers", "change_dns_ptr", bodies.DnsPtr, servers.name_back)
    _command(app, "servers", "attach_to_network", bodies.AttachToNetwork, servers.attach_to_network)
    _command(app, "servers", "detach_from_network", bodies.DetachFromNetwork, servers.detach_from_network)
    _command(app, "servers", "change_alias_ips", bodies.AliasIps, servers.change_alias_ips)
    _command(app, "servers", "add_to_placement_group", bodies.AddToPlacementGroup, servers.join_group)
    _command(app, "servers", "attach_iso", bodies.AttachIso, servers.attach_iso)


def _keys_and_firewalls(app: FastAPI, project: Project) -> None:
    keys, firewalls = Keys(project), Firewalls(project)
    _resource(app, project, "ssh_keys", keys.delete)
    _creation(app, "ssh_keys", bodies.CreateSshKey, keys.create)
    _resource(app, project, "firewalls", firewalls.delete)
    _creation(app, "firewalls", bodies.CreateFirewall, firewalls.create)
    _command(app, "firewalls", "set_rules", bodies.SetRules, firewalls.set_rules)
    _command(app, "firewalls", "apply_to_resources", bodies.ApplyTo, firewalls.apply)
    _command(app, "firewalls", "remove_from_resources", bodies.RemoveFrom, firewalls.remove)


def _networks(app: FastAPI, project: Project, networks: Networks) -> None:
    _resource(app, project, "networks", networks.delete, bodies.UpdateNetwork)
    _creation(app, "networks", bodies.CreateNetwork, networks.create)
    _command(app, "networks", "add_subnet", bodies.Subnet, networks.add_subnet)
    _command(app, "networks", "delete_subnet", bodies.IpRange, networks.delete_subnet)
    _command(app, "networks", "add_route", bodies.Route, networks.add_route)
    _command(app, "networks", "delete_route", bodies.Route, networks.delete_route)
    _command(app, "networks", "change_ip_range", bodies.IpRange, networks.change_range)
    _command(app, "networks", "change_protection", bodies.Protection, networks.protect)


def _addresses(app: FastAPI, project: Project, addresses: Addresses) -> None:
    _resource(app, project, "primary_ips", addresses.delete, bodies.UpdatePrimaryIp)
    _creation(app, "primary_ips", bodies.CreatePrimaryIp, addresses.create)
    _command(app, "primary_ips", "assign", bodies.Assign, addresses.assign)
    _command(app, "primary_ips", "unassign", Nothing, addresses.unassign)
    _command(app, "primary_ips", "change_protection", bodies.Protection, addresses.protect)
    _command(app, "primary_ips", "change_dns_ptr", bodies.DnsPtr, addresses.name_back)


def _groups(app: FastAPI, project: Project) -> None:
    store = project.store

    def create(body: bodies.CreatePlacementGroup) -> dict[str, Any]:
        with store.changing():
            store.check_free("placement_groups", body.name)
            group = store.add("placement_groups", {**body.model_dump(), "created": now()})
            action = project.actions.begin(Step("create_placement_group", (("placement_group", group["id"]),)))[0]
            return {**project.show("placement_groups", group), "action": action}

    def delete(number: int) -> None:
        with store.changing():
            store.must("placement_groups", number)
            if any(server["placement_group"] == number for server in store.all("servers")):
                raise ApiError(422, "resource_in_use", "the placement group has servers")
            store.remove("placement_groups", number)

    _resource(app, project, "placement_groups", delete)
    _creation(app, "placement_groups", bodies.CreatePlacementGroup, create)


def _absent(app: FastAPI) -> None:
    def add(kind: str) -> None:
        @app.get(f"/v1/{kind}")
        def many(request: Request) -> dict[str, Any]:
            return listed(request, kind, [])

        @app.get(f"/v1/{kind}/{{number:id}}")
        def one(number: int) -> dict[str, Any]:
            raise not_found(kind, number)

    def refuse(kind: str) -> None:
        @app.post(f"/v1/{kind}")
        def create() -> dict[str, Any]:
            raise unsupported(kind)

    for kind in (*ABSENT, *ABSENT_FROM_THE_OFFER):
        add(kind)
    for kind in ABSENT:
        refuse(kind)


def _actions(app: FastAPI, project: Project) -> None:
    store, views = project.store, project.views

    def of(kind: str, resource: int | None = None) -> list[Resource]:
        """The actions about one resource of a kind, or about any."""
        name = kind.removesuffix("s")
        return [
            action
            for action in views.all("actions")
            if any(one["type"] == name and resource in (None, one["id"]) for one in action["resources"])
        ]

    def one_of(actions: list[Resource], number: int) -> dict[str, Any]:
        for action in actions:
            if action["id"] == number:
                return {"action": action}
        raise not_found("actions", number)

    @app.get("/v1/actions")
    def by_ids(request: Request) -> dict[str, Any]:
        wanted = request.query_params.getlist("id")
        if not wanted:
            # Hetzner no longer lists the actions of a whole project.
            raise ApiError(410, "deprecated_api_endpoint", "listing all actions is no longer possible; give ids")
        # The one list without pages.
        return {"actions": [one for one in views.all("actions") if str(one["id"]) in wanted]}

    @app.get("/v1/actions/{number:id}")
    def by_id(number: int) -> dict[str, Any]:
        return {"action": views.show("actions", store.must("actions", number))}

    def add(kind: str) -> None:
        @app.get(f"/v1/{kind}/actions")
        def of_kind(request: Request) -> dict[str, Any]:
            wanted = request.query_params.getlist("id")
            found = [one for one in of(kind) if not wanted or str(one["id"]) in wanted]
            return listed(request, "actions", found)

        @app.get(f"/v1/{kind}/actions/{{number:id}}")
        def one_of_kind(number: int) -> dict[str, Any]:
            return one_of(of(kind), number)

        @app.get(f"/v1/{kind}/{{resource:id}}/actions")
        def of_resource(resource: int, request: Request) -> dict[str, Any]:
            store.must(kind, resource)
            return listed(request, "actions", of(kind, resource))

        @app.get(f"/v1/{kind}/{{resource:id}}/actions/{{number:id}}")
        def one_of_resource(resource: int, number: int) -> dict[str, Any]:
            return one_of(of(kind, resource), number)

    for kind in ("servers", "firewalls", "networks", "primary_ips"):
        add(kind)
