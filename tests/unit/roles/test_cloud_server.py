"""Waiting for a new server: its SSH may still reset connections, and has its time for that."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.roles.test_systems import ROLES, read

# Nothing lingers: closing resets the connection.
RESETS = struct.pack("ii", 1, 0)
Ssh = Callable[[int], int]


@pytest.fixture
def ssh() -> Iterator[Ssh]:
    """Listens, resets so many connections and greets the next ones; its port."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve(resets: int) -> None:
        for number in range(1000):
            try:
                connection, _address = listening.accept()
            except OSError:
                return
            with connection:
                if number < resets:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESETS)
                else:
                    connection.sendall(b"SSH-2.0-OpenSSH_10.0\r\n")

    def start(resets: int) -> int:
        threading.Thread(target=serve, args=(resets,), daemon=True).start()
        return int(listening.getsockname()[1])

    yield start
    # A thread that waits for a connection holds the socket until it is woken.
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


def _wait(folder: Path, port: int, seconds: int) -> subprocess.CompletedProcess[str]:
    """The role's tasks that wait for SSH, at that port."""
    (waiting,) = [
        one for one in read(ROLES / "cloud_server/tasks/create.yml") if one["name"] == "Wait until SSH answers"
    ]
    (greeting,) = [one for one in waiting["block"] if "ansible.builtin.wait_for" in one]
    greeting["ansible.builtin.wait_for"]["port"] = port
    made: dict[str, Any] = {"server": {"ip_address": "127.0.0.1", "status": "running"}}
    known = {"__cloud_server_made": made, "cloud_server_name": "s1", "cloud_server_ssh_timeout": seconds}
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "vars": known, "tasks": [waiting]}
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", "play.yml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_connections_that_are_reset_do_not_end_the_waiting(ssh: Ssh, tmp_path: Path) -> None:
    done = _wait(tmp_path, ssh(2), 60)
    assert done.returncode == 0, done.stdout


def test_the_waiting_ends_in_its_time_all_the_same(ssh: Ssh, tmp_path: Path) -> None:
    began = time.monotonic()
    done = _wait(tmp_path, ssh(1000), 6)
    assert "SERVER_UNREACHABLE" in done.stdout
    assert "did not answer in 6 s" in " ".join(done.stdout.split())
    assert 6 <= time.monotonic() - began < 40
