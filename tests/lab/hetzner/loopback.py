"""The API on loopback, for tests: with machines that exist in memory only, or with real ones."""

from __future__ import annotations

import http.client
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn

from tests.lab.config import LabConfig
from tests.lab.engine import LabError
from tests.lab.vps import Machine, VpsHost

from .access import RateLimit
from .api import create_app

TOKEN = "unit-test-token"
WAIT_SECONDS = 10


class Answer(NamedTuple):
    """What came back: the status, the decoded body (None without one) and the headers."""

    status: int
    body: Any
    headers: http.client.HTTPMessage


class FakeHost(VpsHost):
    """Machines that exist in this object only, and do at once what they are told."""

    def __init__(self) -> None:
        self.machines: dict[str, Machine] = {}
        self.running: set[str] = set()
        self.addresses: dict[str, str | None] = {}
        self.passwords: dict[str, str] = {}
        # Who holds it keeps machines from being made, to see what is answered meanwhile.
        self.hold = threading.Lock()
        self.ended: Callable[[str, bool], None] = lambda _name, _again: None

    def create(self, machine: Machine) -> None:
        with self.hold:
            if machine.name in self.machines:
                raise LabError(f"there is a machine {machine.name} already")
            self.machines[machine.name] = machine
            self.addresses[machine.name] = machine.address

    def start(self, name: str, address: str | None = None) -> None:
        if name not in self.machines:
            raise LabError(f"there is no machine {name}")
        self.running.add(name)
        self.addresses[name] = address

    def shut_down(self, name: str) -> None:
        self.running.discard(name)

    def power_off(self, name: str) -> None:
        self.running.discard(name)

    def remove(self, name: str) -> None:
        self.running.discard(name)
        self.machines.pop(name, None)
        self.addresses.pop(name, None)

    def address(self, name: str) -> str:
        address = self.addresses.get(name)
        if name not in self.running or not address:
            raise LabError(f"{name} has no address: it is off")
        return address

    def taken_addresses(self) -> set[str]:
        return {address for address in self.addresses.values() if address}

    def exists(self, name: str) -> bool:
        return name in self.machines

    def runs(self, name: str) -> bool:
        return name in self.running

    def set_root_password(self, name: str, password: str) -> None:
        self.passwords[name] = password

    def watch(self, ended: Callable[[str, bool], None]) -> Callable[[], None]:
        self.ended = ended
        return lambda: None

    def end(self, name: str, rebooting: bool = False) -> None:
        """The machine ends by itself, as one does that is shut down or rebooted from inside."""
        self.running.discard(name)
        self.ended(name, rebooting)


class HetznerLab:
    """The API in this process, on a free port of loopback."""

    def __init__(
        self,
        state_file: Path,
        host: VpsHost | None = None,
        config: LabConfig | None = None,
        limit: RateLimit | None = None,
    ) -> None:
        self.config = config or LabConfig(hetzner_token=TOKEN, cloudflare_token="unused")
        self.fake = FakeHost()
        self.app = create_app(self.config, state_file, host or self.fake, limit)
        # Every request, as method and path with query: what a client did is as telling as what it got.
        self.requests: list[tuple[str, str]] = []
        self._server = uvicorn.Server(
            uvicorn.Config(self._recorded, host="127.0.0.1", port=0, log_level="critical", interface="asgi3")
        )
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self.port = 0

    async def _recorded(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and not scope["path"].startswith("/_lab/"):
            query = scope["query_string"].decode()
            self.requests.append((scope["method"], scope["path"] + (f"?{query}" if query else "")))
        await self.app(scope, receive, send)

    def start(self) -> HetznerLab:
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive(), "the API did not start"
            time.sleep(0.01)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        return self

    def stop(self, wait: bool = True) -> None:
        self._server.should_exit = True
        if wait:
            self._thread.join(timeout=WAIT_SECONDS)

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.root}/v1"

    def ask(
        self, method: str, path: str, body: Any = None, token: str | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """The answer to a request to any path of the server; bytes are sent as they are, all else as JSON."""
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {self.config.hetzner_token if token is None else token}", **(headers or {})}
        request = urllib.request.Request(self.root + path, data, sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=WAIT_SECONDS) as answer:
                return self._read(answer)
        except urllib.error.HTTPError as error:
            with error:
                return self._read(error)

    @staticmethod
    def _read(answer: Any) -> Answer:
        text = answer.read()
        return Answer(answer.status, json.loads(text) if text else None, answer.headers)

    def faults(self, **faults: Any) -> None:
        answer = self.ask("PUT", "/_lab/faults", faults)
        assert answer.status == 200, answer.body
