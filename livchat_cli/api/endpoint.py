"""One route of one operation: from the request to the answer."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from livchat_cli import routes
from livchat_cli.api import asked, idempotency
from livchat_cli.api.pages import Listing, tagged
from livchat_cli.api.service import Service, principal
from livchat_cli.client import Client
from livchat_cli.errors import LivchatError
from livchat_cli.jobs import Status
from livchat_cli.operations import get
from livchat_cli.parameters import Parameters
from livchat_cli.routes import Route

# How long a caller may wait for a job within its call: less than what proxies and clients allow. Seconds.
WAIT = 45
_INTERVAL = 0.2
_KEY = re.compile(idempotency.PATTERN)
WAITING: dict[str, Any] = {
    "type": "integer",
    "minimum": 0,
    "maximum": WAIT,
    "default": 0,
    "description": "Seconds to wait for the job's end",
}
LIVE: dict[str, Any] = {
    "type": "boolean",
    "default": False,
    "description": "Ask the servers and the provider, by a job, instead of the index",
}


class Endpoint:
    """Answers the calls of one route.

    A function's answer comes at once, and so does that of an operation with an index, unless a live look is asked for.
    Everything else is a job: its record comes, with status 202, and with 200 once it has ended.
    """

    def __init__(self, route: Route, service: Service) -> None:
        self.route = route
        self.operation = route.operation
        self._service = service

    @cached_property
    def extra(self) -> dict[str, dict[str, Any]]:
        """Schemas of the query's parameters beside those of the operation."""
        found: dict[str, dict[str, Any]] = {}
        if listing := self.listing:
            found |= listing.schemas
        if self.operation.index:
            found["live"] = LIVE
        if not self.operation.function:
            found["wait"] = WAITING
        return {name: one for name, one in found.items() if name not in self.route.schema}

    @cached_property
    def listing(self) -> Listing | None:
        """How its answers are paged."""
        return Listing.of(self.operation, self.route.schema) if self.route.method == "GET" else None

    async def handle(self, request: Request) -> Response:
        request.scope["state"]["operation"] = self.route.id
        extra = self.extra
        own = {} if self.route.has_body else self.route.schema
        query = asked.query(request, {**own, **extra})
        more = {name: query.pop(name) for name in extra if name in query}
        if self.route.has_body:
            asked.refuse_others(query, extra)
            query = await asked.body(request)
        for name in self.route.in_path:
            if name in query:
                raise asked.invalid(name, "it is in the path already")
        values = self.route.values(request.path_params, query)
        listing = self.listing
        if listing:
            values = listing.prepare(values, more)
        parameters = self.operation.parse(values, strict=True)
        seconds = _within("wait", more, WAITING)
        live = more.get("live", False)
        if not isinstance(live, bool):
            raise asked.invalid("live", "not allowed", "true or false")
        client = self._service.client(request)
        if self.operation.index and not live:
            found = await run_in_threadpool(client.look, self.operation, values)
        elif not self.operation.function:
            return await self._job(request, client, values, parameters, seconds)
        else:
            found = await run_in_threadpool(self._call, request, client, values)
        if listing:
            found = listing.page(found, more, getattr(parameters, "limit", None) if listing.pages_itself else None)
        return tagged(request, found) if self.route.method == "GET" else JSONResponse(found)

    # --- at once
    def _call(self, request: Request, client: Client, values: Mapping[str, Any]) -> Any:
        request_id = request.scope["state"]["request_id"]
        key = self._key(request)
        if key is None:
            return client.call(self.operation, values, request_id)
        with self._service.once.key(principal(request).token, key, self._told(values)) as attempt:
            if attempt.done() is not None:
                # It may hold a key that is shown once, so it was not kept.
                message = f"{self.operation.name} was done with this Idempotency-Key already; its answer is not kept"
                raise LivchatError("IDEMPOTENCY_CONFLICT", message)
            attempt.begin()
            try:
                found = client.call(self.operation, values, request_id)
            except BaseException:
                attempt.drop()
                raise
            attempt.keep(None)
            return found

    # --- jobs
    async def _job(
        self, request: Request, client: Client, values: Mapping[str, Any], parameters: Parameters, seconds: int
    ) -> Response:
        job = await run_in_threadpool(self._start, request, client, values, parameters)
        deadline = time.monotonic() + seconds
        while True:
            shown = await run_in_threadpool(client.jobs.show, job)
            over = not Status(shown["status"]).alive
            if over or time.monotonic() >= deadline:
                break
            await asyncio.sleep(_INTERVAL)
        location = routes.of(get("jobs.show"))[0].request({"job": job}).path
        return JSONResponse(shown, 200 if over else 202, headers={"Location": location})

    def _start(self, request: Request, client: Client, values: Mapping[str, Any], parameters: Parameters) -> str:
        """The id of the job that does it."""
        key = self._key(request)
        if key is None:
            return self._begin(request, client, values, parameters, "")
        with self._service.once.key(principal(request).token, key, self._told(values)) as attempt:
            if (done := attempt.done()) is not None:
                return str(done["job"])
            attempt.begin()
            try:
                job = self._begin(request, client, values, parameters, attempt.name)
            except BaseException:
                attempt.drop()
                raise
            attempt.keep(job)
            return job

    def _begin(
        self, request: Request, client: Client, values: Mapping[str, Any], parameters: Parameters, key: str
    ) -> str:
        who, state = principal(request), request.scope["state"]
        # Before anything counts: a call that is refused takes nothing.
        client.check(self.operation, values)
        number = self._service.limits.creation(who, self.operation, parameters)
        try:
            return str(client.start(self.operation, values, state["request_id"], key)["id"])
        except BaseException:
            self._service.limits.undo(who, number)
            raise

    def _key(self, request: Request) -> str | None:
        key = request.headers.get("idempotency-key") if self.route.method == "POST" else None
        if key is not None and not _KEY.fullmatch(key):
            raise asked.invalid("Idempotency-Key", "not allowed", "visible characters, 255 at most")
        return key

    def _told(self, values: Mapping[str, Any]) -> bytes:
        """What tells this request from another one."""
        parameters = self.operation.parse(values, strict=True)
        return f"{self.operation.name} {parameters.model_dump_json()}".encode()


def _within(name: str, given: Mapping[str, Any], schema: Mapping[str, Any]) -> int:
    value = given.get(name, schema["default"])
    if not isinstance(value, int) or not schema["minimum"] <= value <= schema["maximum"]:
        raise asked.invalid(name, "not allowed", f"{schema['minimum']} to {schema['maximum']}")
    return value
