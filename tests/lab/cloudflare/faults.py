"""Faults on demand: what a client must live through when the real service has a bad day."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from tests.lab.cloudflare.access import rate_limited
from tests.lab.cloudflare.errors import ApiError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

WRITES = ("POST", "PUT", "PATCH", "DELETE")


class Faults:
    """Counters that requests use up: `rate_limited`, `server_error`, `cut_after`; and `slow`, seconds per answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: dict[str, float] = {}
        self.clear()

    def clear(self) -> None:
        with self._lock:
            self._left = {"rate_limited": 0, "server_error": 0, "slow": 0.0, "cut_after": 0}

    def set(self, wanted: dict[str, Any]) -> None:
        for name, value in wanted.items():
            if name not in self._left:
                raise ApiError(400, 400, f"fault {name!r} is unknown: there are {', '.join(self._left)}")
            if not isinstance(value, (int, float)) or value < 0:
                raise ApiError(400, 400, f"fault {name}: {value!r} is not a number of at least 0")
        with self._lock:
            self._left.update(wanted)

    def show(self) -> dict[str, float]:
        with self._lock:
            return dict(self._left)

    def take(self, name: str) -> bool:
        with self._lock:
            if self._left[name] < 1:
                return False
            self._left[name] -= 1
            return True

    async def before(self) -> None:
        """Raises or waits, as set, before a request is looked at."""
        if slow := self.show()["slow"]:
            await asyncio.sleep(slow)
        if self.take("rate_limited"):
            raise rate_limited(1)
        if self.take("server_error"):
            raise ApiError(500, 10001, "Internal server error")


class CuttingApp:
    """Carries a write out and then cuts the connection in place of the answer, as often as `cut_after` says."""

    def __init__(self, app: App, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        write = scope["type"] == "http" and scope["method"] in WRITES and scope["path"].startswith("/client/")
        if not (write and self._faults.take("cut_after")):
            await self._app(scope, receive, send)
            return

        async def nowhere(message: MutableMapping[str, Any]) -> None:
            return

        await self._app(scope, receive, nowhere)
        # uvicorn's `send` belongs to the object that holds the connection; ASGI itself has no word for cutting it.
        send.__self__.transport.abort()  # type: ignore[attr-defined]
        await asyncio.sleep(0.05)
