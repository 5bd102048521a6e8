"""Starts the API and serves it until it is told to stop; jobs are processes of their own and go on."""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from livchat_cli import collection, console
from livchat_cli.api import HOST_NAMES
from livchat_cli.api.connection import HEAD, Connection
from livchat_cli.api.guard import LOOPBACK
from livchat_cli.errors import LivchatError
from livchat_cli.jobs import Status, of
from livchat_cli.unlock import VARIABLE, unlock

collection.activate()

from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._vault import Vault  # noqa: E402

PORT = 8000
# Open streams are cut off after this long when the API is to stop. Seconds.
GRACE = 5


@dataclass(frozen=True)
class Options:
    """Where the API listens, and who may call it.

    Raises:
        LivchatError: INPUT_INVALID, when tokens would go over a network that anybody may read.
    """

    host: str = "127.0.0.1"
    port: int = PORT
    tls_cert: Path | None = None
    tls_key: Path | None = None
    # Something in front of it ends TLS, and nobody else reaches the port.
    behind_proxy: bool = False
    # Addresses of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed.
    trusted_proxies: tuple[str, ...] = ()
    # Names it goes by, beside those of this machine itself.
    host_names: tuple[str, ...] = ()
    # On a stop it waits for the jobs: where its own end is the end of all, as in a container.
    drain: bool = False
    dev: bool = False

    def __post_init__(self) -> None:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise LivchatError("INPUT_INVALID", "--tls-cert and --tls-key go together: give both")
        for path in (self.tls_cert, self.tls_key):
            if path and not os.access(path, os.R_OK):
                raise LivchatError("INPUT_INVALID", f"{path} cannot be read", {"file": str(path)})
        if not (self.loopback or self.tls_cert or self.behind_proxy):
            message = (
                f"{self.host} is not this machine alone, and tokens must not be readable on their way: give --tls-cert "
                "and --tls-key, or --behind-proxy where a proxy ends TLS and nobody else reaches this port"
            )
            raise LivchatError("INPUT_INVALID", message, {"field": "host"})
        if self.dev and not self.loopback:
            raise LivchatError("INPUT_INVALID", "--dev is for this machine alone: leave --host out", {"field": "dev"})

    @property
    def loopback(self) -> bool:
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def hosts(self) -> tuple[str, ...]:
        return (*LOOPBACK, self.host, *self.host_names)


def serve(home: Path, options: Options) -> None:
    """Serves the API until a signal says to stop.

    Raises:
        LivchatError: VAULT_LOCKED, when the vault does not open; SETTING_INVALID, HOME_DAMAGED, PORT_UNAVAILABLE.
    """
    if console.interactive():
        unlock(home)
    vault = Vault(Home(str(home)))
    if vault.exists():
        vault.verify()
    _log()
    try:
        if options.dev:
            _serve_dev(options)
        else:
            _run(uvicorn.Server(_config(_app(home, options), options)))
    except KeyboardInterrupt:
        # uvicorn has stopped in good order, and then handed the signal on.
        pass
    if options.drain:
        _drain(home)


def dev_app() -> Any:
    """The API of `--dev`, as the process makes it that is started anew after each change of the code."""
    from livchat_cli.home import path  # noqa: PLC0415

    return _app(path(), Options(host_names=tuple(os.environ.get(HOST_NAMES, "").split()), dev=True))


def _app(home: Path, options: Options) -> Any:
    from livchat_cli.api.app import create  # noqa: PLC0415  # FastAPI, after what may end in an error

    return create(home, options.hosts, options.dev)


def _config(app: Any, options: Options, **more: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=options.host,
        port=options.port,
        http=Connection,
        ws="websockets-sansio",
        # Clients have nothing to say over a WebSocket.
        ws_max_size=4096,
        h11_max_incomplete_event_size=HEAD,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(options.trusted_proxies),
        forwarded_allow_ips=list(options.trusted_proxies),
        timeout_graceful_shutdown=GRACE,
        ssl_certfile=options.tls_cert,
        ssl_keyfile=options.tls_key,
        **more,
    )


def _bind(config: uvicorn.Config) -> socket.socket:
    try:
        listening = config.bind_socket()
        # From here on a client waits instead of being turned away.
        listening.listen(config.backlog)
        return listening
    # uvicorn ends the process where it cannot.
    except (OSError, SystemExit) as error:
        message = f"{config.host}:{config.port} cannot be listened on: give another --port"
        raise LivchatError("PORT_UNAVAILABLE", message, {"port": config.port}) from error


def _announce(config: uvicorn.Config, listening: socket.socket) -> None:
    scheme = "https" if config.ssl_certfile else "http"
    host = f"[{config.host}]" if ":" in config.host else config.host
    console.note(f"listening on {scheme}://{host}:{listening.getsockname()[1]}")


def _run(server: uvicorn.Server) -> None:
    config = server.config
    listening = _bind(config)
    _announce(config, listening)
    console.note("a token to call it with: livchat-setup token create NAME --scope read")
    server.run(sockets=[listening])


def _serve_dev(options: Options) -> None:
    """Starts the API anew whenever the code changes."""
    from uvicorn.supervisors import ChangeReload  # noqa: PLC0415

    os.environ[HOST_NAMES] = " ".join(options.host_names)
    package = str(Path(__file__).resolve().parent.parent)
    with tempfile.NamedTemporaryFile("w", prefix="livchat-") as file:
        if password := os.environ.pop(VARIABLE, None):
            # The environment of the process that is started could be read by others.
            file.write(password)
            file.flush()
            os.environ["LIVCHAT_VAULT_PASSWORD_FILE"] = file.name
        config = _config("livchat_cli.api.server:dev_app", options, factory=True, reload=True, reload_dirs=[package])
        listening = _bind(config)
        _announce(config, listening)
        console.note("described at /docs; started anew when the code changes")
        ChangeReload(config, target=uvicorn.Server(config).run, sockets=[listening]).run()


def _drain(home: Path) -> None:
    """Waits until no job lives any more."""
    jobs = of(home)
    while alive := jobs.all(status=[Status.WAITING, Status.RUNNING], limit=1):
        console.note(f"waiting for the job {alive[0]['id']} ({alive[0]['operation']})")
        while Status(jobs.record(alive[0]["id"])["status"]).alive:
            time.sleep(1)


def _log() -> None:
    """One line of JSON for each call, on stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("livchat.api")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
