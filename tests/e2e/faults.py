"""What can go wrong around the commands, switched on for a while: the lab's APIs, and what a server meets."""

from __future__ import annotations

import json
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.lab.config import LabConfig


@contextmanager
def switched(lab: LabConfig, api: str, **faults: Any) -> Iterator[None]:
    """The faults of one API of the lab, `hetzner` or `cloudflare`, on until the end of the block."""
    base, token = {
        "hetzner": (lab.hetzner_url.removesuffix("/v1"), lab.hetzner_token),
        "cloudflare": (lab.cloudflare_url.removesuffix("/client/v4"), lab.cloudflare_token),
    }[api]

    def ask(method: str, body: bytes | None = None) -> None:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(f"{base}/_lab/faults", body, headers, method=method)).close()

    ask("PUT", json.dumps(faults).encode())
    try:
        yield
    finally:
        ask("DELETE")


@dataclass(frozen=True)
class Vps:
    """A server's machine, by another way than SSH, which may be among what fails."""

    lab: LabConfig
    name: str

    def run(self, *command: str, stdin: str = "") -> str:
        whole = ["docker", "exec", "--interactive", f"{self.lab.network}_{self.name}", *command]
        done = subprocess.run(whole, input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def blocked(self, port: int, verdict: str = "reject with tcp reset") -> Iterator[None]:
        """The TCP port, of this machine and of others, out of its reach."""
        table = f"outage_{port}"
        hooks = "".join(
            f"chain {hook} {{ type filter hook {hook} priority -200; tcp dport {port} {verdict}; }}\n"
            for hook in ("input", "output", "forward")
        )
        self.run("nft", "--file", "-", stdin=f"table inet {table} {{\n{hooks}}}\n")
        try:
            yield
        finally:
            self.run("nft", "delete", "table", "inet", table)

    @contextmanager
    def lost(self, after: float, seconds: float) -> Iterator[None]:
        """Packets to SSH vanish for a while, from some seconds after the block's start on."""

        def lose() -> None:
            ended.wait(after)
            with self.blocked(22, "drop"):
                ended.wait(seconds)

        ended = threading.Event()
        thread = threading.Thread(target=lose)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
