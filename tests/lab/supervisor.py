"""The lab as a whole: one detached process serves the clouds and DNS, and runs the registry and the ACME server."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from . import acme, base_image, network, registry
from .config import LOOPBACK, LabConfig, load
from .engine import Engine, LabError, answers
from .images import Filler


@dataclass(frozen=True)
class Part:
    """A part of the lab that listens somewhere."""

    name: str
    port: int
    address: str


def parts(config: LabConfig) -> list[Part]:
    found = [
        Part("DNS", config.dns_port, config.gateway),
        Part("Hetzner API", config.hetzner_port, config.gateway),
        Part("Cloudflare API", config.cloudflare_port, config.gateway),
        Part("Docker's packages", config.packages_port, config.gateway),
        Part("image registry", config.registry_port, config.gateway),
        Part("ACME server", config.acme_port, config.gateway),
    ]
    if not registry.mirrors(config):
        found.append(Part("image registry for pushes", config.registry_port, LOOPBACK))
    return found


def say(text: str) -> None:
    print(f"lab: {text}", flush=True)


@contextlib.contextmanager
def timed(what: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds = time.monotonic() - started
    if seconds > 0.5:
        say(f"{what}: {seconds:.1f} s")


def up() -> None:
    """Starts whatever of the lab does not run yet; safe to repeat and to interrupt.

    Raises:
        LabError: a part does not start; the message says which and shows the end of its log.
    """
    config = load()
    config.cache.mkdir(parents=True, exist_ok=True)
    with timed("Docker engine"):
        Engine(config).start()
    with timed("network"):
        network.make(config)
    config.save()
    with timed("VPS image (Debian 13)"):
        base_image.make_vps(config)
    with timed("services"):
        _start(config)
    if not registry.mirrors(config):
        with timed("images"):
            Filler(config, say).fill()


def _start(config: LabConfig) -> None:
    if _running(config) and all(map(_listens, parts(config))):
        return
    _stop(config)
    log = config.folder / "supervisor.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.lab", "serve"],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    (config.folder / "supervisor.pid").write_text(f"{process.pid}\n")
    deadline = time.monotonic() + 60
    waiting = parts(config)
    while waiting:
        waiting = [part for part in parts(config) if not _listens(part)]
        if process.poll() is not None or time.monotonic() > deadline:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
            raise LabError(f"{', '.join(part.name for part in waiting)}: no answer. {log} ends with:\n{tail}")
        time.sleep(0.1)
    acme.save_root(config)


def _listens(part: Part) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((part.address, part.port), timeout=1):
        return True
    return False


def _running(config: LabConfig) -> int | None:
    """The supervisor's process id, if that process lives and is a supervisor."""
    try:
        pid = int((config.folder / "supervisor.pid").read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if b"tests.lab" in command and b"serve" in command else None


def _stop(config: LabConfig) -> None:
    if not (pid := _running(config)):
        return
    os.kill(pid, signal.SIGTERM)
    for _ in range(100):
        if not _running(config):
            return
        time.sleep(0.1)
    os.killpg(pid, signal.SIGKILL)


def down() -> None:
    """Stops the lab and removes what it made, but for the cache."""
    config = load()
    _stop(config)
    if answers():
        network.remove_containers(config)
        network.remove(config)
        Engine(config).stop()
    shutil.rmtree(config.folder, ignore_errors=True)


def clean() -> None:
    """Removes the cache as well.

    Raises:
        LabError: another lab is up, which may use the same cache.
    """
    down()
    config = load()
    if Engine(config).in_use():
        raise LabError(f"something else runs on the engine, perhaps another lab: {config.cache} stays")
    shutil.rmtree(config.cache, ignore_errors=True)


def status() -> bool:
    """Prints what of the lab answers; whether all of it does."""
    config = load()
    # Without the lab's network its addresses are somebody else's, and some gateways take any connection.
    up = bool(_running(config))
    states = {"Docker engine": answers(), **{part.name: up and _listens(part) for part in parts(config)}}
    for name, alive in states.items():
        print(f"{name:<25} {'answers' if alive else 'does not answer'}")
    return all(states.values())


def serve() -> None:
    """The supervisor's own life: serves until it is told to end."""
    from .cloudflare.api import create_app as cloudflare  # only this process needs the servers
    from .dns_server import DnsServer, ZoneStore
    from .docker_repository.repository import create_app as docker_repository
    from .hetzner.api import create_app as hetzner

    config = load()
    store = ZoneStore(config)
    dns = DnsServer(store, config.gateway, config.dns_port)
    dns.start()
    upstream = registry.public_registry()
    registry.remember(config, upstream)
    children = [
        _child(config, "registry", registry.command(config, upstream, config.gateway), {}),
        _child(config, "acme", acme.command(config), acme.ENVIRONMENT),
    ]
    if not upstream:
        # The same images on loopback, the only address to which an engine pushes without TLS unless told otherwise.
        children.append(_child(config, "registry-loopback", registry.command(config, None, LOOPBACK), {}))
    applications = (
        (hetzner(config), config.hetzner_port),
        (cloudflare(config, store), config.cloudflare_port),
        (docker_repository(config), config.packages_port),
    )
    servers = [
        uvicorn.Server(uvicorn.Config(app, host=config.gateway, port=port, log_level="warning"))
        for app, port in applications
    ]
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    for server in servers:
        # Signals are this process's, not each server's.
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
        threading.Thread(target=server.run, daemon=True).start()
    while not ended.wait(1):
        for child in children:
            if child.poll() is not None:
                print(f"{child.args!r} ended with {child.returncode}", flush=True)
                ended.set()
    for server in servers:
        server.should_exit = True
    for child in children:
        child.terminate()
    for child in children:
        child.wait(timeout=10)
    dns.stop()


def _child(config: LabConfig, name: str, command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    with (config.folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
