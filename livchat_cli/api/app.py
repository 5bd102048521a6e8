"""Puts the API together: the routes of all operations, and the layers around them."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from pathlib import Path

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp
from starlette.types import Scope as StarletteScope

from livchat_cli import routes
from livchat_cli.api import events, problems
from livchat_cli.api.endpoint import Endpoint
from livchat_cli.api.events import Streams
from livchat_cli.api.guard import LOOPBACK, OPEN, Guard, require
from livchat_cli.api.observe import Observed
from livchat_cli.api.service import Service, principal
from livchat_cli.errors import LivchatError
from livchat_cli.operations import Scope
from livchat_cli.reports import REPORTS

DOCUMENT = "/v1/openapi.json"
DOCS = "/docs"


def create(home: Path, hosts: Iterable[str] = LOOPBACK, dev: bool = False) -> ASGIApp:
    """The API of a home, as an ASGI application.

    Args:
        home: the operator's home.
        hosts: the names by which it may be called.
        dev: whether it shows an interactive description at /docs, to everybody.

    Raises:
        LivchatError: SETTING_INVALID, HOME_DAMAGED.
    """
    service = Service.of(home)
    # FastAPI's own description, and its validation, are for functions that name their parameters.
    app = FastAPI(title="livchat-setup", openapi_url=None, redirect_slashes=False)
    found = [*routes.all_routes(), *(route for report in REPORTS for route in routes.of(report))]
    for route in found:
        endpoint = Endpoint(route, service)
        app.add_api_route(route.path, endpoint.handle, methods=[route.method], include_in_schema=False)
    streams = Streams(service)
    app.add_api_route(events.PATH, streams.server_sent, methods=["GET"], include_in_schema=False)
    app.add_api_websocket_route(events.PATH, streams.messages)
    _add_others(app, service, dev)
    app.add_exception_handler(HTTPException, _unknown)
    app.add_exception_handler(LivchatError, _problem)
    app.add_exception_handler(Exception, _defect)
    guard = Guard(app, service.tokens, service.limits, hosts, (DOCS, DOCUMENT) if dev else ())
    return Observed(guard, service.metrics, OPEN)


def _add_others(app: FastAPI, service: Service, dev: bool) -> None:
    """What belongs to no operation."""

    async def health(request: Request) -> Response:
        request.scope["state"]["operation"] = "health"
        return JSONResponse({"status": "ok"})

    async def metrics(request: Request) -> Response:
        request.scope["state"]["operation"] = "metrics"
        require(principal(request), Scope.READ)
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")

    async def openapi(request: Request) -> Response:
        request.scope["state"]["operation"] = "openapi"
        if not dev:
            require(principal(request), Scope.READ)
        return Response(_document(), media_type="application/json")

    async def docs(request: Request) -> Response:
        request.scope["state"]["operation"] = "docs"
        return get_swagger_ui_html(openapi_url=DOCUMENT, title="livchat-setup")

    for path, answer in (("/health", health), ("/metrics", metrics), (DOCUMENT, openapi)):
        app.add_api_route(path, answer, methods=["GET"], include_in_schema=False)
    if dev:
        app.add_api_route(DOCS, docs, methods=["GET"], include_in_schema=False)


@functools.cache
def _document() -> str:
    # It takes a moment and some memory, which most never need.
    from livchat_cli.api.document import document  # noqa: PLC0415

    return json.dumps(document(), ensure_ascii=False)


async def _problem(connection: HTTPConnection, error: Exception) -> Response:
    connection.scope["state"]["code"] = getattr(error, "code", "")
    return problems.answer(error if isinstance(error, LivchatError) else problems.internal(error))


async def _unknown(connection: HTTPConnection, error: Exception) -> Response:
    """What the router has to say: there is no such path, or not with this method."""
    scope = connection.scope
    if scope["type"] == "http" and getattr(error, "status_code", 404) == 405:
        # Each method of a path is a route of its own, and the router knows only the first.
        matching = [route for route in scope["app"].routes if isinstance(route, Route) and _matches(route, scope)]
        allowed = ", ".join(sorted({method for route in matching for method in route.methods or ()}))
        message = f"{scope['method']} is not for this path; it takes {allowed}"
        problem = LivchatError("METHOD_NOT_ALLOWED", message, {"allowed": allowed})
        scope["state"]["code"] = problem.code
        return problems.answer(problem, {"Allow": allowed})
    return await _problem(
        connection, LivchatError("ROUTE_UNKNOWN", f"there is nothing at this path; {DOCUMENT} says what there is")
    )


def _matches(route: Route, scope: StarletteScope) -> bool:
    return route.matches(scope)[0] is not Match.NONE


async def _defect(connection: HTTPConnection, error: Exception) -> Response:
    # It goes on to the outermost layer, which says in the log where it was.
    return problems.answer(problems.internal(error))
