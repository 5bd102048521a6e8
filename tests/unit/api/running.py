"""The API as it is started by an operator: a process of its own, on a port of its own, with a home of its own."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml

from livchat_cli.access import Tokens
from tests.listening import Listening
from tests.throwaway import Tree

PASSWORD = "a master password of no vault"
# What a test asks for at once must not meet the limits that others test.
PLENTY = {
    "calls_per_hour": 10_000_000,
    "server_creations_per_hour": 1_000_000,
    "refusals_per_minute": 1_000_000,
    "jobs_at_once": 1_000_000,
}
# Nobody listens there: what looks at a provider fails at once.
NOWHERE = "http://127.0.0.1:9"


class Running(Listening):
    """One API. `start` and `stop` may be repeated; the home stays.

    Without settings it is that of a home which has its own, and its vault's password among them.
    """

    def __init__(self, tree: Tree, home: Path, settings: Mapping[str, Any] | None = PLENTY) -> None:
        super().__init__()
        self.tree = tree
        self.home = home
        self._password = {} if settings is None else {"LIVCHAT_VAULT_PASSWORD": PASSWORD}
        self._keys: dict[str, str] = {}
        if settings is None:
            return
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        written = {
            "api": dict(settings),
            "general": {"api_patience": 0},
            "providers": {"hetzner": {"api_endpoint": NOWHERE}},
            "dns": {"api_endpoint": NOWHERE},
        }
        (home / "config.yaml").write_text(yaml.safe_dump(written))

    def start(self, *options: str, environment: Mapping[str, str] | None = None) -> None:
        """Starts it, and returns when it listens."""
        port = () if "--port" in options else ("--port", "0")
        self.begin(
            self.tree.command("start", *port, *options),
            {**self.tree.environment(self.home), **self._password, **(environment or {})},
        )

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ends it by that signal; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)

    def key(self, scope: str = "admin", servers: Iterable[str] = (), name: str = "") -> str:
        """The key of a token with that scope, the same one each time."""
        about = f"{scope} {sorted(servers)} {name}"
        if about not in self._keys:
            self._keys[about] = Tokens(self.home).create(name or scope, [scope], servers)[1]
        return self._keys[about]

    def client(self, scope: str = "admin", servers: Iterable[str] = (), name: str = "") -> httpx.Client:
        """A client with such a token."""
        headers = {"Authorization": f"Bearer {self.key(scope, servers, name)}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60)

    def memory(self) -> int:
        """What it has in memory, in MB."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) // 1024
        raise ValueError("it has ended")

    def calls(self) -> list[dict[str, Any]]:
        """What its log says of the calls."""
        return [json.loads(line) for line in self.log if line.startswith("{")]

    def write_state(self, state: Mapping[str, Any]) -> None:
        """Puts an index in place, whole."""
        (self.home / "state.tmp").write_text(json.dumps(state))
        (self.home / "state.tmp").replace(self.home / "state.json")


def state(servers: int = 2, applications: int = 2) -> dict[str, Any]:
    """An index with that many servers, `s0` and so on, and that many applications on each."""
    names = [f"s{number}" for number in range(servers)]
    instances = ["n8n", "postgres", *(f"app-{number}" for number in range(2, applications))][:applications]
    return {
        "version": 1,
        "servers": {
            name: {
                "id": str(number),
                "name": name,
                "provider": "hetzner" if number % 2 else "adopted",
                "ip_address": f"192.0.2.{number % 250}",
                "status": "ready" if number % 2 else "adopted",
                "resources": {"cpu_cores": 2, "memory_mb": 4096},
                "created_at": "2026-01-02T03:04:05+00:00",
                "ssh_key_id": "7",
                "applications": instances,
                "metadata": {"user": "root", "port": 22, "domain": f"{name}.example.com", "private_key": name},
            }
            for number, name in enumerate(names)
        },
        "applications": {
            f"{name}/{instance}": {
                "name": instance.partition("-")[0],
                "instance": instance,
                "version": "1.2.3",
                "server_id": name,
                "status": "running",
                "domain": None,
                "ports": [],
                "volumes": [],
                "environment": {"SOME": "value"},
                "dependencies": [],
                "installed_at": "2026-01-02T03:04:05+00:00",
            }
            for name in names
            for instance in instances
        },
        "deployments": [
            {
                "id": f"2026010{number}T030405-00000{number}",
                "server": names[number % len(names)] if names else "gone",
                "operation": "app.install",
                "apps": ["n8n"],
                "status": "failed" if number % 3 == 0 else "successful",
                "started_at": f"2026-01-0{number}T03:04:05+00:00",
                "finished_at": f"2026-01-0{number}T03:05:05+00:00",
            }
            for number in range(1, 8)
        ],
    }
