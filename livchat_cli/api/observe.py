"""The outermost layer: every call has an identity, is counted and logged, and ends with an answer of ours."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import secrets
import sys
import time
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from livchat_cli.api import problems
from livchat_cli.api.metrics import Metrics
from livchat_cli.errors import LivchatError

LOG = logging.getLogger("livchat.api")
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# What is worked on at once; what comes beyond that is told to come back.
IN_FLIGHT = 200
# Nothing that an operation takes is nearly as long. Bytes.
BODY = 1024 * 1024
_DRAIN_SECONDS = 2.0
_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)


class InFlight:
    """How many calls are worked on."""

    def __init__(self) -> None:
        self._number = 0

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Counts a call. Raises LivchatError OVERLOADED when there are too many."""
        if self._number >= IN_FLIGHT:
            raise LivchatError("OVERLOADED", "too many calls at once: try again in a second", {}, 1)
        self._number += 1
        try:
            yield
        finally:
            self._number -= 1

    @contextlib.contextmanager
    def waits(self) -> Iterator[None]:
        """A call that is counted waits for something, and keeps nobody out meanwhile. It goes on whoever came since."""
        self._number -= 1
        try:
            yield
        finally:
            self._number += 1


class Observed:
    """Wraps the whole API. Paths that are `free` are answered however much is asked.

    The state of a call has `in_flight`, for what waits, and `held`, a stack that is closed when the call has ended.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, free: Collection[str]) -> None:
        self._app = app
        self._metrics = metrics
        self._free = free
        self._in_flight = InFlight()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        call = _Call(scope, receive, send)
        call.state["in_flight"] = self._in_flight
        try:
            call.check_id()
            # Until it is refused: who then sends no body, which is waited for, keeps nobody out.
            with (
                contextlib.nullcontext() if scope["path"] in self._free else self._in_flight.one(),
                contextlib.ExitStack() as call.state["held"],
            ):
                await self._app(scope, receive, call.send)
        except LivchatError as error:
            self._metrics.refused(error.code)
            await call.fail(error)
        except Exception as defect:
            place = sys.exc_info()[2]
            while place and place.tb_next:
                place = place.tb_next
            where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else "unknown"
            LOG.error("%s", json.dumps({"request_id": call.id, "defect": type(defect).__name__, "at": where}))
            await call.fail(problems.internal(defect))
        finally:
            self._note(call)

    def _note(self, call: _Call) -> None:
        seconds = time.monotonic() - call.began
        # Only what there is a route for: a name that a caller makes up is no label.
        operation = call.state.get("operation", "")
        if code := call.state.get("code"):
            self._metrics.refused(code)
        if call.scope["type"] == "http":
            self._metrics.call(operation, call.method if operation else "", call.status, seconds)
        principal = call.state.get("principal")
        line = {
            "request_id": call.id,
            "principal": principal.name if principal else None,
            "client": (call.scope.get("client") or [None])[0],
            "method": call.method,
            # Without its query, and only where nothing was wrong with it: who knows what it would quote.
            "path": call.scope["path"] if call.status < 400 else None,
            "operation": operation or None,
            "status": call.status,
            "ms": round(seconds * 1000, 1),
        }
        LOG.info("%s", json.dumps(line))


class _Call:
    """One call, and what of its answer has gone out."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self._receive = receive
        self.method: str = scope.get("method", "WEBSOCKET")
        self.state: dict[str, Any] = scope.setdefault("state", {})
        self.began = time.monotonic()
        self.status = 0
        self._send = send
        self._identify(secrets.token_hex(16))

    def check_id(self) -> None:
        """Takes the identity that the caller gives it. Raises LivchatError INPUT_INVALID where that is none."""
        given = self.header(b"x-request-id")
        if given is None:
            return
        if not REQUEST_ID.fullmatch(given):
            message = "X-Request-ID: not allowed; allowed: letters, digits and ._-, 64 at most"
            raise LivchatError("INPUT_INVALID", message, {"fields": [{"field": "X-Request-ID"}]})
        self._identify(given)

    def _identify(self, identity: str) -> None:
        self.id = identity
        self.state["request_id"] = identity

    def header(self, name: bytes) -> str | None:
        return next((value.decode("latin-1") for key, value in self.scope["headers"] if key == name), None)

    async def send(self, message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            self.status = message["status"]
            message = {**message, "headers": self._completed(message.get("headers", ()))}
        elif message["type"] == "websocket.accept":
            self.status = 101
        await self._send(message)

    async def fail(self, error: LivchatError) -> None:
        """Answers with the error, where nothing has been answered yet."""
        if self.status == 101:
            await self._send({"type": "websocket.close", "code": 1011})
        elif not self.status:
            # A client that still sends when the connection is closed may never see the answer.
            whole = self.scope["type"] == "http" and await self._drained()
            answer = problems.answer(
                error, self.state.get("challenge", {}) | ({} if whole else {"Connection": "close"})
            )
            await answer(self.scope, _nothing, self.send)

    async def _drained(self) -> bool:
        """Whether the rest of the body came, as much as a body may have, within a moment."""
        if int(self.header(b"content-length") or 0) > BODY:
            return False
        left = BODY
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                while left >= 0:
                    message = await self._receive()
                    left -= len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return left >= 0
        except TimeoutError:
            pass
        return False

    def _completed(self, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        given = list(headers)
        named = {name.lower() for name, _value in given}
        return [*given, (b"x-request-id", self.id.encode()), *(one for one in _HEADERS if one[0] not in named)]


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
