"""Machines of the lab that no cloud of ours knows, to be adopted."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.lab import vps
from tests.lab.config import LabConfig


@dataclass(frozen=True)
class Foreign:
    """A machine that no cloud of ours knows."""

    name: str
    address: str
    lab: LabConfig

    def run(self, *command: str, stdin: str = "") -> str:
        """What a command prints there, past all that is tested."""
        argv = ["docker", "exec", "--interactive", self.machine, *command]
        return subprocess.run(argv, input=stdin, capture_output=True, text=True, check=True).stdout

    def script(self, text: str) -> str:
        return self.run("bash", "-euo", "pipefail", "-s", stdin=text)

    @property
    def machine(self) -> str:
        return f"{self.lab.network}_adopted_{self.name}"

    @contextmanager
    def off(self) -> Iterator[None]:
        """While it does not answer."""
        subprocess.run(["docker", "pause", self.machine], check=True, capture_output=True)
        try:
            yield
        finally:
            subprocess.run(["docker", "unpause", self.machine], check=True, capture_output=True)


@contextmanager
def machine(lab: LabConfig, name: str, image: str, port: int, **more: str) -> Iterator[Foreign]:
    """One that answers over SSH, for as long as it is used; what an interrupted test left of it is removed before."""
    vps.delete_plain(lab, name)
    address = vps.create_plain(lab, name, image, **more)
    wait = f"until ssh-keyscan -T 2 -p {port} {address} 2>/dev/null | grep -q ssh-; do sleep 0.2; done"
    try:
        subprocess.run(["timeout", "120", "bash", "-c", wait], check=True)
        yield Foreign(name, address, lab)
    finally:
        vps.delete_plain(lab, name)
