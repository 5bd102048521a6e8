"""The Docker engine the lab runs on: found, or installed and started."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from .config import LabConfig


class LabError(Exception):
    """The lab cannot go on; the message says why and what to do."""


def docker(*arguments: str, check: bool = True, stdin: bytes | None = None) -> str:
    """What `docker ARGUMENTS` prints.

    Raises:
        LabError: it failed; the message is its standard error.
    """
    done = subprocess.run(
        ["docker", *arguments], input=stdin, capture_output=True, check=False, env=docker_environment()
    )
    if check and done.returncode != 0:
        raise LabError(f"docker {arguments[0]} failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode(errors="replace").strip()


def docker_environment() -> dict[str, str]:
    # The classic builder: buildx is not packaged with every engine the lab meets.
    return {**os.environ, "DOCKER_BUILDKIT": "0", "DOCKER_CLI_HINTS": "false"}


def install(packages: dict[str, str]) -> None:
    """Installs what is missing of {program: Debian package}, as root; else says what to install.

    Raises:
        LabError: a program is missing and this is not root.
    """
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = sorted({package for program, package in packages.items() if not shutil.which(program, path=path)})
    if not missing:
        return
    if os.geteuid() != 0:
        raise LabError(f"the lab needs: {' '.join(missing)}. Install them: sudo apt-get install {' '.join(missing)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    quiet = subprocess.DEVNULL
    subprocess.run(["apt-get", "update", "-qq"], env=environment, stdout=quiet, check=True)
    command = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *missing]
    if subprocess.run(command, env=environment, stdout=quiet, stderr=quiet, check=False).returncode != 0:
        raise LabError(f"apt-get could not install {' '.join(missing)}; run it by hand to see why")


def answers() -> bool:
    if not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


class Engine:
    """The engine, and whether a lab started it: the last of the labs that share a cache then ends it."""

    def __init__(self, config: LabConfig) -> None:
        self._pid_file = config.cache / "dockerd.pid"
        self._log = config.cache / "dockerd.log"

    def start(self) -> None:
        if answers():
            return
        install({"dockerd": "docker.io", "iptables": "iptables", "docker": "docker.io"})
        if answers():
            return
        self._pid_file.parent.mkdir(parents=True, exist_ok=True)
        # Pid files of an engine that was killed keep the next one from starting: others may have their numbers now.
        for stale in ("/var/run/docker.pid", "/var/run/docker/containerd/containerd.pid"):
            Path(stale).unlink(missing_ok=True)
        with self._log.open("ab") as log:
            started = subprocess.Popen(
                ["dockerd"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._pid_file.write_text(f"{started.pid}\n")
        for _ in range(120):
            if answers():
                return
            if started.poll() is not None:
                break
            time.sleep(0.5)
        raise LabError(f"dockerd does not answer; see {self._log}")

    def in_use(self) -> bool:
        """Whether anything is on it: each lab that is up has a network at least."""
        if not answers():
            return False
        return bool(docker("ps", "--quiet") or docker("network", "ls", "--quiet", "--filter", "type=custom"))

    def stop(self) -> None:
        """Ends the engine if a lab started it and nobody uses it."""
        if not self._pid_file.exists() or self.in_use():
            return
        pid = int(self._pid_file.read_text())
        self._pid_file.unlink()
        if not _is(pid, "dockerd"):
            return
        os.kill(pid, signal.SIGTERM)
        for _ in range(60):
            if not _is(pid, "dockerd"):
                return
            time.sleep(0.5)


def _is(pid: int, program: str) -> bool:
    """Whether that process lives and is that program: a pid may have been given anew."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return program.encode() in command and state != "Z"
