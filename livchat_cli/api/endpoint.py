"""One route of one operation: from the request to the answer."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
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
from livchat_cli.operations import Operation, get
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


@dataclass(frozen=True)
class Wanted:
    """A job that is asked for."""

    request: Request
    client: Client
    values: Mapping[str, Any]
    # Seconds that it may take.
    timeout: int


def beside(route: Route) -> dict[str, dict[str, Any]]:
    """Schemas of the query's parameters beside those of the route's operation."""
    operation = route.operation
    found: dict[str, dict[str, Any]] = {}
    if listing := listing_of(route):
        found |= listing.schemas
    if operation.index:
        found["live"] = LIVE
    if not operation.function:
        found |= {"wait": WAITING, "timeout": _time_limit(operation)}
    return {name: one for name, one in found.items() if name not in route.schema}


def listing_of(route: Route) -> Listing | None:
    """How the route's answers are paged; None where they are not."""
    return Listing.of(route.operation, route.schema) if route.method == "GET" else None


def _time_limit(operation: Operation) -> dict[str, Any]:
    return {
        "type": "integer",
        "minimum": 1,
        "maximum": operation.timeout,
        "default": operation.timeout,
        "description": "Seconds that the job may take, from when its turn has come; it is ended after that",
    }


class Endpoint:
    """Answers the calls of one route.

    A function's answer comes at once, and so does that of an operation with an index, unless a live look is asked for.
    Everything else is a job: its record comes, with status 202, and with 200 once it has ended. Who asks with GET for
    what a job looks at already gets that one; see `Looks`.
    """

    def __init__(self, route: Route, service: Service) -> None:
        self.route = route
        self.operation = route.operation
        self._service = service

    @cached_property
    def extra(self) -> dict[str, dict[str, Any]]:
        """See `beside`; they take a moment to make."""
        return beside(self.route)

    @cached_property
    def listing(self) -> Listing | None:
        """How its answers are paged."""
        return listing_of(self.route)

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
            timeout = _within("timeout", more, extra["timeout"])
            return await self._job(Wanted(request, client, values, timeout), seconds)
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
    async def _job(self, wanted: Wanted, seconds: int) -> Response:
        job = await run_in_threadpool(self._start, wanted)
        if seconds:
            await self._wait(wanted, job, seconds)
        shown = await run_in_threadpool(wanted.client.jobs.show, job)
        over = not Status(shown["status"]).alive
        location = routes.of(get("jobs.show"))[0].request({"job": job}).path
        return JSONResponse(shown, 200 if over else 202, headers={"Location": location})

    async def _wait(self, wanted: Wanted, job: str, seconds: int) -> None:
        """Returns when the job has ended, after so many seconds, or at once where too many calls wait already."""
        deadline = time.monotonic() + seconds
        with (
            self._service.waiting.one(principal(wanted.request).token) as free,
            wanted.request.scope["state"]["in_flight"].waits(),
        ):
            while free and time.monotonic() < deadline:
                record = await run_in_threadpool(wanted.client.jobs.record, job)
                if not Status(record["status"]).alive:
                    return
                await asyncio.sleep(_INTERVAL)

    def _start(self, wanted: Wanted) -> str:
        """The id of the job that does it."""
        if self.route.method == "GET":
            return self._joined(wanted)
        key = self._key(wanted.request)
        if key is None:
            return self._begin(wanted, "")
        told = self._told(wanted.values, wanted.timeout)
        with self._service.once.key(principal(wanted.request).token, key, told) as attempt:
            if (done := attempt.done()) is not None:
                return str(done["job"])
            attempt.begin()
            try:
                job = self._begin(wanted, attempt.name)
            except BaseException:
                attempt.drop()
                raise
            attempt.keep(job)
            return job

    def _joined(self, wanted: Wanted) -> str:
        """The id of a job that looks already, or of one that begins to."""
        # What it may not have begun, it may not see.
        wanted.client.check(self.operation, wanted.values)
        told = self._told(wanted.values, wanted.timeout)
        return self._service.looks.job(principal(wanted.request).token, told, lambda: self._begin(wanted, ""))

    def _begin(self, wanted: Wanted, key: str) -> str:
        request_id = wanted.request.scope["state"]["request_id"]
        record = wanted.client.start(self.operation, wanted.values, request_id, key, wanted.timeout)
        return str(record["id"])

    def _key(self, request: Request) -> str | None:
        key = request.headers.get("idempotency-key") if self.route.method == "POST" else None
        if key is not None and not _KEY.fullmatch(key):
            raise asked.invalid("Idempotency-Key", "not allowed", "visible characters, 255 at most")
        return key

    def _told(self, values: Mapping[str, Any], timeout: int | None = None) -> bytes:
        """What tells this request from another one."""
        parameters = self.operation.parse(values, strict=True)
        shorter = f" {timeout}" if timeout not in (None, self.operation.timeout) else ""
        return f"{self.operation.name} {parameters.model_dump_json()}{shorter}".encode()


def _within(name: str, given: Mapping[str, Any], schema: Mapping[str, Any]) -> int:
    value = given.get(name, schema["default"])
    if not isinstance(value, int) or not schema["minimum"] <= value <= schema["maximum"]:
        raise asked.invalid(name, "not allowed", f"{schema['minimum']} to {schema['maximum']}")
    return value
