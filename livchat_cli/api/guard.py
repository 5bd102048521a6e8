"""The one place that decides whether a call comes in: host, address, size, token, and how often."""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from collections.abc import Iterable
from ipaddress import IPv6Address
from urllib.parse import parse_qsl, unquote

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from livchat_cli.access import PREFIX, Principal, Tokens
from livchat_cli.api.limits import Limits
from livchat_cli.api.observe import BODY
from livchat_cli.errors import LivchatError
from livchat_cli.operations import Scope as AccessScope

# Seconds within which a body must have come.
BODY_SECONDS = 20.0
# Answered to everybody.
OPEN = frozenset({"/health"})
# Where a token of the scope `report` is good for something, and a token may come as a password (Basic): what calls a
# webhook can often do no more.
WEBHOOKS = "/v1/webhooks/"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
_TOKEN_NAMES = frozenset({"token", "access_token", "api_key", "key"})


class Guard:
    """Lets calls through to the API, with their `principal`."""

    def __init__(
        self, app: ASGIApp, tokens: Tokens, limits: Limits, hosts: Iterable[str], opened: Iterable[str] = ()
    ) -> None:
        self._app = app
        self._tokens = tokens
        self._limits = limits
        self._hosts = frozenset(one.lower() for one in hosts)
        self._open = OPEN | frozenset(opened)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        self._check_host(headers)
        _check_address(scope)
        _check_length(headers)
        if scope["path"] not in self._open:
            scope["state"]["principal"] = await self._principal(scope, headers)
        if scope["type"] == "http":
            receive = _Bounded(receive)
        await self._app(scope, receive, send)

    def _check_host(self, headers: dict[bytes, bytes]) -> None:
        """A page of somebody else's, whose name points at this machine, must not get an answer."""
        name = headers.get(b"host", b"").decode("latin-1").lower()
        name = name[1 : name.find("]")] if name.startswith("[") else name.partition(":")[0]
        if name not in self._hosts:
            message = "this API does not go by that host name; `livchat-setup start --host-name NAME` adds one"
            raise LivchatError("HOST_UNKNOWN", message)

    async def _principal(self, scope: Scope, headers: dict[bytes, bytes]) -> Principal:
        key = _key(scope["path"], headers.get(b"authorization", b""))
        try:
            if key is None:
                raise LivchatError("ACCESS_DENIED", "a token is needed: `Authorization: Bearer livchat_key_…`")
            # It may wait for a file's lock: once a minute the token's last use is written down.
            principal = await run_in_threadpool(self._tokens.principal, key)
        except LivchatError as error:
            if error.code == "ACCESS_DENIED":
                if key is not None:
                    scope["state"]["challenge"] = {
                        "WWW-Authenticate": 'Bearer realm="livchat-setup", error="invalid_token"'
                    }
                self._limits.failure(_address(scope))
            raise
        self._limits.call(principal)
        return principal


def require(principal: Principal, scope: AccessScope) -> None:
    """For what is no operation. Raises LivchatError ACCESS_FORBIDDEN unless the token has the scope."""
    if scope not in principal.scopes:
        message = f"this needs the scope {scope}; this token has: {', '.join(sorted(principal.scopes))}"
        raise LivchatError("ACCESS_FORBIDDEN", message, {"scope": scope})


def _key(path: str, given: bytes) -> str | None:
    """The token's key in the header; None where there is none."""
    kind, _, value = given.decode("latin-1").partition(" ")
    if kind.lower() == "basic" and path.startswith(WEBHOOKS):
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return value.strip() if kind.lower() == "bearer" else None


def _address(scope: Scope) -> str:
    """Who asks, as far as limits go: of IPv6 the network, of which one machine has all the addresses."""
    address = (scope.get("client") or ("unknown", 0))[0]
    try:
        return str(IPv6Address(int(IPv6Address(address)) >> 64 << 64))
    except ValueError:
        return str(address)


def _check_address(scope: Scope) -> None:
    """A token in an address ends up in histories and logs."""
    query = scope["query_string"].decode("latin-1")
    names = {name.lower() for name, _value in parse_qsl(query, keep_blank_values=True)}
    if PREFIX in scope["path"] or PREFIX in unquote(query) or names & _TOKEN_NAMES:
        message = (
            "a token does not belong into an address, where logs keep it: send it in the header Authorization, and "
        )
        raise LivchatError("TOKEN_IN_URL", message + "rotate one that was sent like this")


def _too_large() -> LivchatError:
    return LivchatError("BODY_TOO_LARGE", f"a body may have {BODY} bytes at most", {"bytes": BODY})


def _check_length(headers: dict[bytes, bytes]) -> None:
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or int(length) > BODY:
        raise _too_large()


class _Bounded:
    """A request's body, as much as is allowed, within the time that is allowed."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._taken = 0
        self._whole = False
        self._until = time.monotonic() + BODY_SECONDS

    async def __call__(self) -> Message:
        if self._whole:
            # From here on it only tells when the client goes away.
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), self._until - time.monotonic())
        except TimeoutError:
            message_text = f"the body has not come within {BODY_SECONDS:g} s"
            raise LivchatError("REQUEST_TIMEOUT", message_text) from None
        self._taken += len(message.get("body", b""))
        if self._taken > BODY:
            raise _too_large()
        self._whole = message["type"] != "http.request" or not message.get("more_body", False)
        return message
