"""The REST API under a steady load of reads, with a home of a hundred servers and a thousand applications.

What looks at servers or a provider is a job, whose record is the answer: while the load lasts, one job after the other
runs beside it. They find nobody: their addresses are none of this machine's, and nobody listens where a provider would.
"""

from __future__ import annotations

import asyncio
import datetime
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home
from ansible_collections.livchat.setup.plugins.plugin_utils._vault import Vault

from livchat_cli import routes
from livchat_cli.api.app import DOCUMENT
from livchat_cli.jobs import JOBS_KEPT, READS_KEPT, JobFolder, Jobs, Status
from livchat_cli.operations import OPERATIONS
from tests.throwaway import ROOT, Tree
from tests.unit.api.running import PASSWORD, Running, state

SERVERS = 100
APPLICATIONS = 10
# What the project asks of it: requests a second, milliseconds, MB, seconds.
RATE = 50
P95 = 50.0
MEMORY = 120
START = 2.0
# Seconds of load on each route, after a few requests that do not count.
SECONDS = 10
WARM_UP = 10
# Seconds after which an answer does not come any more.
PATIENCE = 60
_CONNECTIONS = 20
_NOW = datetime.datetime.now(datetime.UTC)


class MissedError(Exception):
    """Something took more than what is asked for."""


@dataclass(frozen=True)
class Measured:
    """How long a route took, in milliseconds, and how many jobs it began."""

    jobs: int
    median: float
    p95: float
    slowest: float


class Connection:
    """A kept connection: one request after the other, with little work of the client's own in what is measured."""

    def __init__(self, url: str, key: str) -> None:
        address = urlsplit(url)
        self._address = (address.hostname, address.port)
        self._rest = f" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str) -> None:
        """Reads an answer, which must be a good one. Raises TimeoutError when none has come for a minute."""
        async with asyncio.timeout(PATIENCE):
            await self._get(path)

    async def _get(self, path: str) -> None:
        self._streams = self._streams or await asyncio.open_connection(*self._address)
        reader, writer = self._streams
        writer.write(f"GET {path}{self._rest}".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if head.split(b" ", 2)[1] not in (b"200", b"202"):
            raise RuntimeError(f"{path}: {head.decode()}")
        length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))


def paths() -> list[str]:
    """Of every GET route, but for the streams of events: with the least that it takes."""
    example: dict[str, Any] = {
        "name": "s42",
        "target": ["s42"],
        "app": "n8n",
        "apps": ["n8n"],
        "instance": "n8n",
        "job": _job_id(JOBS_KEPT - 1),
    }
    found = ["/health", "/metrics", DOCUMENT]
    for operation in OPERATIONS:
        for route in routes.of(operation):
            if route.method == "GET":
                needed = {*route.in_path, *(n for n, one in operation.model.model_fields.items() if one.is_required())}
                path = route.request({name: example[name] for name in needed}).path
                found += [path, f"{path}{'&' if '?' in path else '?'}live=true"] if operation.index else [path]
    return found


def measure(running: Running, key: str, path: str) -> Measured:
    """The route under its load, with none of the jobs that another one has begun beside."""
    jobs = Jobs(running.home)
    while jobs.all(status=[Status.WAITING, Status.RUNNING], limit=1):
        time.sleep(0.2)
    before = {job["id"] for job in jobs.all(limit=2 * JOBS_KEPT)}
    taken = asyncio.run(load(running.url, key, path))
    begun = {job["id"] for job in jobs.all(limit=2 * JOBS_KEPT)} - before
    return Measured(len(begun), statistics.median(taken), statistics.quantiles(taken, n=20)[-1], max(taken))


async def load(url: str, key: str, path: str) -> list[float]:
    """How long each request took, in milliseconds: one is due every so often, whether the last was answered or not."""
    # Each in its turn: one that is idle for long is closed.
    idle: asyncio.Queue[Connection] = asyncio.Queue()
    for _connection in range(_CONNECTIONS):
        idle.put_nowait(Connection(url, key))
    taken: list[float] = []

    async def one(due: float) -> None:
        connection = await idle.get()
        await connection.get(path)
        taken.append((time.monotonic() - due) * 1000)
        idle.put_nowait(connection)

    for _request in range(WARM_UP):
        await one(time.monotonic())
    taken.clear()
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(RATE * SECONDS):
            due = began + number / RATE
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            group.create_task(one(due))
    return taken


def fill(home: Path) -> None:
    """Jobs and a vault, as a home has them after some months."""
    moment = _NOW.isoformat(timespec="seconds")
    # The newest have changed something, so that what looks beside makes nobody forget them.
    for number in range(JOBS_KEPT):
        changes, servers = number >= READS_KEPT, [f"s{number % SERVERS}"]
        folder = JobFolder(home / "jobs", _job_id(number))
        folder.path.mkdir(mode=0o700, parents=True)
        folder.update(
            operation="app.install" if changes else "status",
            effect="write" if changes else "read",
            servers=servers if changes else [],
            parameters={"apps": ["n8n"], "target": servers},
            principal="token:ci",
            request_id="",
            status="successful",
            created_at=moment,
            started_at=moment,
            finished_at=moment,
            error=None,
        )
    os.environ["LIVCHAT_VAULT_PASSWORD"] = PASSWORD
    names = (f"servers/s{server}/apps/n8n/{name}" for server in range(SERVERS) for name in ("key", "password"))
    Vault(Home(str(home))).set_all(dict.fromkeys(names, "x" * 32))


def report() -> Iterator[str]:
    """What was measured, beside what is asked for, line by line. Raises MissedError when it was more."""
    with tempfile.TemporaryDirectory() as folder:
        running = Running(Tree(ROOT), Path(folder) / "home")
        running.write_state(state(SERVERS, APPLICATIONS))
        fill(running.home)
        key = running.key("admin")
        starts = []
        for _start in range(3):
            began = time.monotonic()
            running.start()
            asyncio.run(Connection(running.url, key).get("/health"))
            starts.append(time.monotonic() - began)
            idle = running.memory()
            running.stop()
        yield (
            f"{SERVERS} servers, {SERVERS * APPLICATIONS} applications, {JOBS_KEPT} jobs; {RATE} requests a second for "
            f"{SECONDS} s on each route; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
        )
        yield f"{'route':<50}{'jobs':>5}{'median':>10}{'p95':>10}{'slowest':>10}"
        running.start()
        worst = 0.0
        try:
            for path in paths():
                one = measure(running, key, path)
                worst = max(worst, one.p95)
                yield f"{path:<50}{one.jobs or '':>5}{one.median:>7.1f} ms{one.p95:>7.1f} ms{one.slowest:>7.1f} ms"
            after = running.memory()
        finally:
            running.stop()
    yield f"worst p95      {worst:.1f} ms, asked for: below {P95:g} ms; load {os.getloadavg()[0]:.1f}"
    yield f"memory         {idle} MB idle, {after} MB after the load, asked for: below {MEMORY} MB"
    start = statistics.median(starts)
    yield f"start          {start:.2f} s until /health answers, asked for: below {START:g} s"
    if worst >= P95 or max(idle, after) >= MEMORY or start >= START:
        raise MissedError


def _job_id(number: int) -> str:
    """Old ones would be forgotten when the first look has ended."""
    return f"{_NOW - datetime.timedelta(minutes=JOBS_KEPT - number):%Y%m%dT%H%M%S}-a1b2c3"
