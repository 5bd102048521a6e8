"""Docker's settings in a real file, with programs in the place of dockerd and systemctl that note their calls."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SETTINGS = {"log-opts": {"max-file": "3"}, "live-restore": False}
WRITTEN = '{\n    "live-restore": false,\n    "log-opts": {\n        "max-file": "3"\n    }\n}\n'


class Target:
    """A folder with the file and the programs."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "docker" / "daemon.json"
        self._programs = folder / "bin"
        self._programs.mkdir()
        self._calls = folder / "calls"

    def program(self, name: str, script: str = "") -> None:
        path = self._programs / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> {self._calls}\n{script}\n')
        path.chmod(0o755)

    def run(self, check: bool = False, settings: Any = None) -> Any:
        """What the module answers, as a process of its own."""
        path, wanted = str(self.path), settings or SETTINGS
        arguments = {"ANSIBLE_MODULE_ARGS": {"settings": wanted, "path": path, "_ansible_check_mode": check}}
        done = subprocess.run(
            [sys.executable, "-m", "ansible_collections.livchat.setup.plugins.modules.docker_settings"],
            input=json.dumps(arguments),
            env={**os.environ, "PATH": f"{self._programs}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
        return json.loads(done.stdout or done.stderr)

    @property
    def calls(self) -> list[str]:
        return self._calls.read_text().splitlines() if self._calls.exists() else []


@pytest.fixture
def target(tmp_path: Path) -> Target:
    made = Target(tmp_path)
    made.program("systemctl")
    made.program("dockerd")
    return made


def test_written_where_no_docker_is_yet(target: Target) -> None:
    target.program("systemctl", "exit 3")
    answer = target.run()
    assert (answer["changed"], answer["restarted"]) == (True, False)
    assert target.path.read_text() == WRITTEN
    assert target.path.stat().st_mode & 0o777 == 0o644
    assert target.path.parent.stat().st_mode & 0o777 == 0o755


def test_a_daemon_that_runs_reads_them_once(target: Target) -> None:
    assert target.run()["restarted"]
    assert target.calls == [
        "dockerd --validate --help",
        f"dockerd --validate --config-file {target.path}.new",
        "systemctl is-active docker.service",
        "systemctl restart docker.service",
    ]
    answer = target.run()
    assert (answer["changed"], answer["restarted"]) == (False, False)
    assert len(target.calls) == 4


def test_check_mode_shows_what_would_change_and_touches_nothing(target: Target) -> None:
    answer = target.run(check=True)
    assert answer["changed"]
    assert (answer["diff"]["before"], answer["diff"]["after"]) == ("", WRITTEN)
    assert not target.path.parent.exists()
    assert not target.calls


def test_an_older_dockerd_is_not_asked(target: Target) -> None:
    target.program("dockerd", "exit 125")
    assert target.run()["changed"]
    assert target.path.read_text() == WRITTEN


def test_settings_that_docker_refuses_get_no_place(target: Target) -> None:
    assert target.run()["changed"]
    target.program("dockerd", '[ "$2" = --help ] || { echo "unknown key: logs" >&2; exit 1; }')
    answer = target.run(settings={"logs": "none"})
    assert answer["failed"]
    assert answer["error"]["code"] == "DOCKER_SETTINGS_INVALID"
    assert "unknown key: logs" in answer["msg"]
    assert target.path.read_text() == WRITTEN
    assert [one.name for one in target.path.parent.iterdir()] == ["daemon.json"]


def test_a_daemon_that_does_not_come_back(target: Target) -> None:
    target.program("systemctl", '[ "$1" = is-active ] || { echo "Job failed" >&2; exit 1; }')
    answer = target.run()
    assert answer["error"]["code"] == "DOCKER_RESTART_FAILED"
    assert "Job failed" in answer["msg"]
