"""A job's events as they happen: Server-Sent Events, and a WebSocket for those who want messages.

An event's id is the place in the job's file that follows it, so that a reader who was cut off goes on where it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import WebSocket
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.websockets import WebSocketDisconnect

from livchat_cli.access import Principal
from livchat_cli.api import asked
from livchat_cli.api.limits import Places
from livchat_cli.api.service import Service, principal
from livchat_cli.client import Client
from livchat_cli.errors import LivchatError
from livchat_cli.jobs import Status
from livchat_cli.operations import get

PATH = "/v1/jobs/{job}/events"
# At once, of one token and of all.
PER_TOKEN = 10
STREAMS = 100
# A line now and then keeps connections open through whatever lies between. Seconds.
HEARTBEAT = 15.0
_INTERVAL = 0.25
AFTER: dict[str, Any] = {
    "type": "integer",
    "minimum": 0,
    "maximum": 2**53,
    "default": 0,
    "description": "Go on after the event with this id",
}


@dataclass(frozen=True)
class Told:
    """An event of the job; the last one is its end, with the job's record and result."""

    id: int
    kind: str
    data: Mapping[str, Any]


class Streams:
    """The streams of one API."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._places = Places(PER_TOKEN, STREAMS)

    async def server_sent(self, request: Request) -> Response:
        """Server-Sent Events; `Last-Event-ID`, or `after`, says where to go on."""
        request.scope["state"]["operation"] = "jobs.events"
        given = asked.query(request, {"after": AFTER})
        asked.refuse_others(given, {"after": AFTER})
        last = request.headers.get("last-event-id")
        after = _place(int(last) if last and last.isascii() and last.isdigit() else last or given.get("after", 0))
        client = self._service.client(request)
        job = await self._checked(client, request.path_params["job"])
        who = principal(request)
        # Until the call has ended: an answer whose client is gone may never begin to tell.
        request.scope["state"]["held"].enter_context(self._counted(who, request.scope["state"]))

        async def lines() -> AsyncIterator[bytes]:
            async for told in self._follow(client, who, job, after):
                if told is None:
                    yield b": still there\n\n"
                else:
                    data = json.dumps(told.data, ensure_ascii=False)
                    yield f"id: {told.id}\nevent: {told.kind}\ndata: {data}\n\n".encode()

        return StreamingResponse(lines(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    async def messages(self, socket: WebSocket) -> None:
        """The same as JSON messages {id, event, data}; what the client sends is not read."""
        socket.scope["state"]["operation"] = "jobs.events"
        given = socket.query_params.get("after", "0")
        after = _place(int(given) if given.isascii() and given.isdigit() else given)
        client = Client(self._service.home, socket.scope["state"]["principal"])
        job = await self._checked(client, socket.path_params["job"])
        who = socket.scope["state"]["principal"]
        with self._counted(who, socket.scope["state"]):
            await socket.accept()
            gone = asyncio.create_task(_until_gone(socket))
            try:
                async for told in self._follow(client, who, job, after):
                    if gone.done():
                        return
                    if told is not None:
                        await socket.send_json({"id": told.id, "event": told.kind, "data": told.data})
                await socket.close()
            except WebSocketDisconnect:
                return
            finally:
                gone.cancel()

    async def _checked(self, client: Client, job: str) -> str:
        """The job, which whoever asks may see."""
        get("jobs.show").parse({"job": job}, strict=True)
        await run_in_threadpool(client.call, get("jobs.show"), {"job": job})
        return job

    @contextlib.contextmanager
    def _counted(self, who: Principal, state: Mapping[str, Any]) -> Iterator[None]:
        """Takes a place among the streams, and none among the calls. Raises LivchatError RATE_LIMITED."""
        with self._places.one(who.token) as free:
            if not free:
                message = f"there are {PER_TOKEN} streams of events by this token already, or {STREAMS} by all"
                raise LivchatError("RATE_LIMITED", message, {"limit": PER_TOKEN}, 5)
            self._service.metrics.streams.inc()
            try:
                with state["in_flight"].waits():
                    yield
            finally:
                self._service.metrics.streams.dec()

    async def _follow(self, client: Client, who: Principal, job: str, after: int) -> AsyncIterator[Told | None]:
        """The job's events from there on, None when there has been none for a while.

        They stop, without the last one, when the token they are read with has come to its end.
        """
        folder = client.jobs.get(job)
        told_at = time.monotonic()
        while await run_in_threadpool(self._service.tokens.holds, who):
            # In this order: what is written before the end is read after it.
            ended = not Status((await run_in_threadpool(client.jobs.record, job))["status"]).alive
            for event in await run_in_threadpool(folder.events, after):
                after, told_at = event.pop("next"), time.monotonic()
                yield Told(after, "step", event)
            if ended:
                yield Told(after, "end", await run_in_threadpool(client.jobs.show, job))
                return
            if time.monotonic() - told_at > HEARTBEAT:
                told_at = time.monotonic()
                yield None
            await asyncio.sleep(_INTERVAL)


async def _until_gone(socket: WebSocket) -> None:
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


def _place(given: Any) -> int:
    if not isinstance(given, int) or not 0 <= given <= AFTER["maximum"]:
        raise asked.invalid("Last-Event-ID", "not allowed", "the id of an event")
    return given
