# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""The processes of a job, known by their environment: a parent that was killed leaves no other trace of them."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from pathlib import Path

# Names the job in the environment of each of its processes.
VARIABLE = "LIVCHAT_JOB"
# A process that was killed is gone as soon as the system has got round to it.
_PATIENCE = 5.0


def of_job(job: str) -> set[int]:
    """Those that run, without this one. SSH connections that are kept open for later do nothing, and do not count."""
    return {pid for pid, about in _all() if pid != os.getpid() and about == job}


def end(job: str) -> int:
    """Kills all processes of the job, and those they start meanwhile; how many there were."""
    ended: set[int] = set()
    deadline = time.monotonic() + _PATIENCE
    while (found := of_job(job)) and time.monotonic() < deadline:
        for pid in found:
            send(pid, signal.SIGKILL)
        ended |= found
        time.sleep(0.02)
    return len(ended)


def send(pid: int, number: signal.Signals) -> None:
    """Sends a signal to a process that may have ended already."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _all() -> list[tuple[int, str]]:
    """Processes of jobs, with the job's name."""
    proc = Path("/proc")
    return _from_proc(proc) if (proc / "self" / "environ").exists() else _from_ps()


def _from_proc(proc: Path) -> list[tuple[int, str]]:
    found = []
    for entry in proc.iterdir():
        if entry.name.isdigit():
            # Those of others cannot be read, and are none of ours.
            with contextlib.suppress(OSError):
                environment = (entry / "environ").read_bytes().split(b"\0")
                jobs = [one for one in environment if one.startswith(f"{VARIABLE}=".encode())]
                if jobs and not (entry / "cmdline").read_bytes().startswith(b"ssh: "):
                    found.append((int(entry.name), jobs[0].decode(errors="replace").partition("=")[2]))
    return found


def _from_ps() -> list[tuple[int, str]]:
    """Where there is no /proc, as on macOS, `ps` shows the environment behind the command."""
    listed = subprocess.run(
        ["ps", "-A", "-E", "-ww", "-o", "pid=,command="], capture_output=True, text=True, check=False
    )
    found = []
    for line in listed.stdout.splitlines():
        pid, _, rest = line.strip().partition(" ")
        job = re.search(rf"\s{VARIABLE}=(\S+)", rest)
        if job and not rest.lstrip().startswith("ssh: "):
            found.append((int(pid), job[1]))
    return found
