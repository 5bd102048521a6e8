"""A client's connection, with the patience that uvicorn lacks: who sends no head or takes no answer is cut off."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from livchat_cli.api import problems
from livchat_cli.errors import LivchatError

# Seconds for the head of a request, from the connection's beginning or the answer before.
HEAD_SECONDS = 10.0
# Seconds in which nothing of an answer is taken.
STALLED_SECONDS = 30.0
# At once; those who come later are told to come back.
CONNECTIONS = 1000
# Bytes of a request's head.
HEAD = 32 * 1024


class Connection(H11Protocol):
    """One connection. Errors in what comes before any request of ours have the same shape as all others."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            self._refuse(LivchatError("OVERLOADED", "too many connections: try again in a second", {}, 1))
        else:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_head()
        self._forget_stall()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._forget_head()
        elif self._head is None and not self.transport.is_closing():
            self._expect_head()

    def handle_websocket_upgrade(self, event: Any) -> None:
        self._forget_head()
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:
        self._refuse(LivchatError("REQUEST_INVALID", "this is no HTTP request, or its head is too long"))

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(STALLED_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        self._forget_stall()
        super().resume_writing()

    def _expect_head(self) -> None:
        self._head = self.loop.call_later(HEAD_SECONDS, self._no_head)

    def _no_head(self) -> None:
        self._head = None
        if not self.transport.is_closing():
            message = f"the head of a request has not come within {HEAD_SECONDS:g} s"
            self._refuse(LivchatError("REQUEST_TIMEOUT", message))

    def _forget_head(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _forget_stall(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _refuse(self, error: LivchatError) -> None:
        """An answer written by hand: there is no request that it belongs to."""
        body = json.dumps(error.to_dict()).encode()
        number = problems.status(error)
        lines = [
            f"HTTP/1.1 {number} {error.code}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            "Connection: close",
        ]
        if error.retry_after is not None:
            lines.append(f"Retry-After: {error.retry_after}")
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + body)
        self.transport.close()
