"""Streamable HTTP, behind the guard of the REST API: the same tokens, the same bounds on size and time."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anyio
import uvicorn
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from livchat_cli import console
from livchat_cli.access import Principal, Tokens
from livchat_cli.api import problems
from livchat_cli.api.connection import HEAD, Connection
from livchat_cli.api.guard import Guard
from livchat_cli.api.limits import Limits
from livchat_cli.api.observe import BODY
from livchat_cli.api.server import GRACE, Options
from livchat_cli.errors import LivchatError, rate_limited

PATH = "/mcp"
PORT = 8765
# Sessions of the era before 2026-07-28 at once, and seconds after which an unused one ends.
SESSIONS = 200
IDLE = 30 * 60.0
# Sessions of one token; when it opens one more, the one that it has not used for longest ends.
SESSIONS_EACH = 20
_SESSION, _VERSION = b"mcp-session-id", b"mcp-protocol-version"
_OLDER = tuple(HANDSHAKE_PROTOCOL_VERSIONS)


class _Limits(Limits):
    """Wrong tokens are counted as the API counts them. For how often a right one may call, the gateway has a rule."""

    def call(self, principal: Principal) -> None:
        return


class Sessions:
    """Bounds the sessions of each token, so that none can take all there are."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        # By token, the sessions that it opened and did not end, and how many it is opening. That which was used last is
        # the last, and those that ended of themselves are among the first: they go when there are too many.
        self._open: dict[str, dict[str, None]] = {}
        self._opening: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token: str = scope["state"]["principal"].token
        if known := _header(scope["headers"], _SESSION):
            await self._used(token, known, scope, receive, send)
        elif (_header(scope["headers"], _VERSION) or _OLDER[0]) in _OLDER:
            await self._opened(token, scope, receive, send)
        else:
            # The newer era has no sessions.
            await self._app(scope, receive, send)

    async def _used(self, token: str, session: str, scope: Scope, receive: Receive, send: Send) -> None:
        mine = self._open.get(token, {})
        if session in mine:
            del mine[session]
            if scope["method"] != "DELETE":
                mine[session] = None
        await self._app(scope, receive, send)

    async def _opened(self, token: str, scope: Scope, receive: Receive, send: Send) -> None:
        if self._opening[token] >= SESSIONS_EACH:
            raise rate_limited("too many requests of this token at once that open a session", SESSIONS_EACH, 1)
        mine = self._open.setdefault(token, {})

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                mine[_header(message["headers"], _SESSION)] = None
            await send(message)

        self._opening[token] += 1
        try:
            await self._app(scope, receive, noting)
        finally:
            self._opening[token] -= 1
            # Also where whoever asked has gone.
            with anyio.CancelScope(shield=True):
                while len(mine) > SESSIONS_EACH:
                    oldest = next(iter(mine))
                    del mine[oldest]
                    await self._end(oldest, scope)

    async def _end(self, session: str, scope: Scope) -> None:
        """Ends it as its own client would."""
        headers = [one for one in scope["headers"] if one[0] not in (b"content-length", b"content-type")]
        ending = {**scope, "method": "DELETE", "headers": [*headers, (_SESSION, session.encode())]}

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(_message: Message) -> None:
            return

        await self._app(ending, receive, send)


def _header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in headers if key.lower() == name), "")


class Door:
    """Lets a request through to the gateway, with the principal whose token it bears."""

    def __init__(self, app: ASGIApp, home: Path, hosts: Iterable[str]) -> None:
        self._app = Sessions(app)
        self._guard = Guard(self._admitted, Tokens(home), _Limits(home), hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._guard(scope, receive, noting)
        except LivchatError as error:
            if begun:
                raise
            await problems.answer(error, scope["state"].get("challenge"))(scope, receive, send)

    async def _admitted(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH:
            raise LivchatError("ROUTE_UNKNOWN", f"there is nothing at this path; the gateway is at {PATH}")
        principal: Principal = scope["state"]["principal"]
        # By this the transport knows whose a session is: nobody else can go on with it.
        bearer = AccessToken(token="", client_id=principal.token, scopes=sorted(principal.scopes))
        scope["user"] = AuthenticatedUser(bearer)
        await self._app(scope, receive, send)


def caller(context: ServerRequestContext[Any, Any]) -> Principal:
    """Whose token came with the request that is being served."""
    request: Any = context.request
    found: Principal = request.scope["state"]["principal"]
    return found


def security(options: Options, origins: Iterable[str]) -> TransportSecuritySettings:
    """Which web pages may call: those of this machine, and those that were named."""
    names = [f"[{one}]" if ":" in one else one for one in options.hosts]
    local = [f"{scheme}://{name}:*" for scheme in ("http", "https") for name in ("localhost", "127.0.0.1", "[::1]")]
    hosts = [form for name in names for form in (name, f"{name}:*")]
    return TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=[*local, *origins])


def serve(server: Server[Any], home: Path, options: Options, origins: Iterable[str] = ()) -> None:
    """Serves until the process is told to stop."""
    manager = StreamableHTTPSessionManager(
        server,
        security_settings=security(options, origins),
        # Bytes. The guard counts as well, and answers first.
        max_request_body_size=BODY,
        max_sessions=SESSIONS,
        session_idle_timeout=IDLE,
    )
    config = uvicorn.Config(
        Door(manager.handle_request, home, options.hosts),
        host=options.host,
        port=options.port,
        http=Connection,
        ws="none",
        h11_max_incomplete_event_size=HEAD,
        lifespan="off",
        # Addresses of requests may be anything, and the audit log knows who did what.
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE,
        ssl_certfile=options.tls_cert,
        ssl_keyfile=options.tls_key,
    )
    listening = _bind(config)
    # Before it is said: who comes at once waits until the rest has started.
    listening.listen()
    scheme = "https" if options.tls_cert else "http"
    console.note(f"listening on {scheme}://{options.host}:{listening.getsockname()[1]}{PATH}")

    async def run() -> None:
        async with manager.run():
            await uvicorn.Server(config).serve(sockets=[listening])

    anyio.run(run)


def _bind(config: uvicorn.Config) -> socket.socket:
    try:
        return config.bind_socket()
    # uvicorn ends the process where it cannot.
    except (OSError, SystemExit) as error:
        message = f"{config.host}:{config.port} cannot be listened on: give another port"
        raise LivchatError("PORT_UNAVAILABLE", message, {"port": config.port}) from error
