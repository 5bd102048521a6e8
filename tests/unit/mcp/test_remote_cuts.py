"""What becomes of a call when the way to the API is cut: it is done once, and a job that began keeps its id."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import pytest
from mcp import Client

from livchat_cli.errors import LivchatError
from livchat_cli.operations import get
from livchat_mcp import backend_remote
from livchat_mcp.backend_remote import RemoteBackend
from tests.throwaway import Tree
from tests.unit.api.running import Running
from tests.unit.mcp.running import over_stdio
from tests.unit.mcp.scripted import JOB, Scripted, asker, gateway
from tests.unit.mcp.test_jobs import nap, running, said


class _Cutting(BaseHTTPRequestHandler):
    """Hangs up on POST as often as it is told, and has no room for streams of events."""

    cuts = 0
    keys: list[str | None] = []  # noqa: RUF012 - a class of its own for each test

    def do_POST(self) -> None:
        self.keys.append(self.headers["Idempotency-Key"])
        if len(self.keys) > self.cuts:
            self._say(202, b'{"id": "20260102T030405-a1b2c3"}')

    def do_GET(self) -> None:
        self._say(429, b'{"code": "RATE_LIMITED", "message": "too often", "details": {}, "retry_after": 3600}')

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def cutting(request: pytest.FixtureRequest) -> Iterator[tuple[RemoteBackend, list[str | None]]]:
    handler = type("Handler", (_Cutting,), {"cuts": request.param, "keys": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield RemoteBackend(f"http://127.0.0.1:{server.server_port}", "x"), handler.keys  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("cutting", [2], indirect=True)
def test_a_request_that_was_cut_off_is_sent_again_with_the_same_key(
    cutting: tuple[RemoteBackend, list[str | None]],
) -> None:
    backend, keys = cutting
    assert backend.start(get("server.setup"), {"target": ["s1"]}, "mcp-1", None)["id"].endswith("a1b2c3")
    assert keys == ["mcp-1"] * 3


@pytest.mark.parametrize("cutting", [99], indirect=True)
def test_what_may_be_done_is_not_said_to_be_undone(
    cutting: tuple[RemoteBackend, list[str | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend_remote, "_AGAIN", (0.0,))
    backend, keys = cutting
    with pytest.raises(LivchatError) as caught:
        backend.start(get("server.setup"), {"target": ["s1"]}, "mcp-1", None)
    assert (caught.value.code, keys) == ("API_TIMEOUT", ["mcp-1"] * 2)


@pytest.mark.parametrize("cutting", [0], indirect=True)
def test_an_api_that_wants_to_be_left_alone_for_an_hour_holds_nobody_for_so_long(
    cutting: tuple[RemoteBackend, list[str | None]],
) -> None:
    began = time.monotonic()
    cutting[0].follow("20260102T030405-a1b2c3", lambda _event: None, lambda: time.monotonic() - began > 0.5)
    assert time.monotonic() - began < 5


@pytest.mark.anyio
async def test_an_api_that_starts_again_meanwhile_costs_no_result(tree: Tree, home: Path, tmp_path: Path) -> None:
    api = Running(tree, tmp_path / "api")
    api.start()
    environment = {"LIVCHAT_API_URL": api.url, "LIVCHAT_API_TOKEN": api.key()}
    found: list[dict[str, object]] = []
    async with Client(over_stdio(tree, home, environment=environment)) as client:

        async def ask() -> None:
            found.append(said(await client.call_tool("operacao", nap("s1", seconds="8"))))

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            (job,) = await running(api.home)
            # Seen to be followed already.
            await anyio.sleep(1)
            await anyio.to_thread.run_sync(api.stop)
            await anyio.sleep(2)
            port = str(urlsplit(api.url).port)
            await anyio.to_thread.run_sync(api.start, "--port", port)
    api.stop()
    (done,) = found
    assert (done["estado"], done["trabalho"]) == ("pronto", job["id"]), done


@pytest.mark.anyio
async def test_a_job_that_is_lost_from_sight_keeps_its_id(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_arguments: object) -> None:
        raise LivchatError("API_UNREACHABLE", "it is gone")

    record = {"id": JOB, "operation": "server.setup", "servers": ["prod"], "status": "running", "principal": "somebody"}
    scripted = Scripted({"jobs.show": record})
    monkeypatch.setattr(scripted, "follow", lost)
    async with asker(gateway(home, scripted)) as client:
        begun = await client.call("preparar-servidor", target=["prod"])
        waited = await client.call("trabalhos", acao="show", job=JOB, aguardar=True)
    assert [(one["estado"], one["trabalho"]) for one in (begun, waited)] == [("andando", JOB)] * 2
