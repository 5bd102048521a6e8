"""Who may ask, how often, and what goes wrong on the way: what happens to a request before a route sees it."""

from __future__ import annotations

import asyncio
import hmac
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi.responses import JSONResponse

from .errors import ApiError
from .faults import Faults

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

# Hetzner's limit for a project; used-up requests come back one a second.
REQUESTS = 3600
PER_SECOND = 1
# Hetzner has tokens that may only read. The lab's is its token with this at the end.
READ_ONLY = "-readonly"
# Clients look at the code, not at the status, to see whether another try may help.
CODES = {500: "server_error", 502: "bad_gateway", 503: "unavailable", 504: "timeout"}


class RateLimit:
    """Hetzner's bucket of requests and the headers that tell its level."""

    def __init__(self, requests: int = REQUESTS, per_second: float = PER_SECOND) -> None:
        self._size = requests
        self._per_second = per_second
        self._left = float(requests)
        self._at = time.monotonic()
        self._lock = threading.Lock()

    def take(self) -> bool:
        with self._lock:
            moment = time.monotonic()
            self._left = min(self._size, self._left + (moment - self._at) * self._per_second)
            self._at = moment
            if self._left < 1:
                return False
            self._left -= 1
            return True

    def headers(self, exhausted: bool) -> dict[str, str]:
        left = 0 if exhausted else int(self._left)
        full_in = (self._size - left) / self._per_second
        return {
            "RateLimit-Limit": str(self._size),
            "RateLimit-Remaining": str(left),
            "RateLimit-Reset": str(int(time.time() + full_in)),
        }


class Gate:
    """The ASGI layer around the API: token, rate limit, faults, and Hetzner's headers on every answer."""

    def __init__(self, app: App, token: str, faults: Faults, limit: RateLimit) -> None:
        self._app = app
        self._token = token
        self._faults = faults
        self._limit = limit

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method, path = scope["method"], scope["path"]
        try:
            self._check_token(dict(scope["headers"]).get(b"authorization", b""), method)
            if path.startswith("/_lab/"):
                await self._app(scope, receive, send)
                return
            await self._check_day(method, path)
        except ApiError as error:
            exhausted = error.status == 429
            answer = JSONResponse(error.body, error.status, headers=self._limit.headers(exhausted))
            await answer(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = self._limit.headers(False).items()
                message["headers"] = [*message["headers"], *((k.lower().encode(), v.encode()) for k, v in added)]
            await send(message)

        if self._faults.cuts(method, path):
            await self._cut(scope, receive)
        else:
            await self._app(scope, receive, sending)

    def _check_token(self, header: bytes, method: str) -> None:
        # Compared as bytes: a header may hold anything.
        given = header.removeprefix(b"Bearer ")
        if hmac.compare_digest(given, self._token.encode()):
            return
        if not hmac.compare_digest(given, (self._token + READ_ONLY).encode()):
            raise ApiError(401, "unauthorized", "unable to authenticate")
        if method not in ("GET", "HEAD"):
            raise ApiError(403, "forbidden", "insufficient permissions for this request")

    async def _check_day(self, method: str, path: str) -> None:
        if seconds := self._faults.seconds(method, path):
            await asyncio.sleep(seconds)
        if not self._limit.take() or self._faults.rate_limited(method, path):
            raise ApiError(429, "rate_limit_exceeded", "limit of 3600 requests per hour reached")
        if status := self._faults.server_error(method, path):
            raise ApiError(status, CODES[status], "service is temporarily unavailable")

    async def _cut(self, scope: MutableMapping[str, Any], receive: Receive) -> None:
        async def nowhere(_: Message) -> None:
            return

        await self._app(scope, receive, nowhere)
        # uvicorn's `receive` belongs to the object that holds the connection; ASGI itself has no word for cutting it.
        receive.__self__.transport.abort()  # type: ignore[attr-defined]
        # The server must notice that the connection is gone before it misses the answer.
        await asyncio.sleep(0.05)
