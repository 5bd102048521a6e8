"""The API on loopback, for tests: with machines that are only pretended, or with real ones."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn

from tests.lab.config import LabConfig
from tests.lab.engine import LabError
from tests.lab.vps import Machine, VpsHost

from .access import RateLimit
from .api import create_app

TOKEN = "unit-test-token"


class FakeHost(VpsHost):
    """Machines that exist in this object only."""

    def __init__(self) -> None:
        self.machines: dict[str, Machine] = {}
        self.running: set[str] = set()
        self.addresses: dict[str, str | None] = {}
        self.passwords: dict[str, str] = {}
        # Held while a machine is made, by tests that look at what happens meanwhile.
        self.hold = threading.Lock()
        self.ended: Callable[[str, bool], None] = lambda _name, _again: None

    def create(self, machine: Machine) -> None:
        with self.hold:
            if machine.name in self.machines:
                raise LabError(f"there is a machine {machine.name} already")
            self.machines[machine.name] = machine

    def start(self, name: str, address: str | None = None) -> None:
        if name not in self.machines:
            raise LabError(f"there is no machine {name}")
        self.running.add(name)
        self.addresses[name] = address

    def shut_down(self, name: str) -> None:
        self.running.discard(name)

    power_off = shut_down

    def remove(self, name: str) -> None:
        self.running.discard(name)
        self.machines.pop(name, None)

    def taken_addresses(self) -> set[str]:
        return {"172.30.99.254"}

    def exists(self, name: str) -> bool:
        return name in self.machines

    def runs(self, name: str) -> bool:
        return name in self.running

    def set_root_password(self, name: str, password: str) -> None:
        self.passwords[name] = password

    def watch(self, ended: Callable[[str, bool], None]) -> Callable[[], None]:
        self.ended = ended
        return lambda: None


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
        self._app = create_app(self.config, state_file, host or self.fake, limit)
        self._server = uvicorn.Server(uvicorn.Config(self._app, host="127.0.0.1", port=0, log_level="critical"))
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self.port = 0

    def start(self) -> None:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def ask(
        self, method: str, path: str, body: Any = None, token: str | None = None
    ) -> tuple[int, Any, dict[str, str]]:
        """Status, decoded body and headers of a request to any path of the server."""
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.config.hetzner_token if token is None else token}"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else None, dict(answer.headers)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error), dict(error.headers)

    def faults(self, **faults: Any) -> None:
        status, answer, _ = self.ask("PUT", "/_lab/faults", faults)
        assert status == 200, answer

    def actions_of(self, kind: str, number: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("GET", f"/v1/{kind}/{number}/actions")[1]["actions"]
        return found
