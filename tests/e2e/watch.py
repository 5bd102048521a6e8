"""What every process on this machine was started with, while it is watched: a secret there is one that leaked.

A VPS of the lab is a container here, so its processes, and those of the containers in it, are among them.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable
from pathlib import Path

# Seconds between two looks. A process that lives for less can be missed, so what is found is a leak, and what is not
# found in many runs is none.
INTERVAL = 0.02


class ProcessWatch:
    """Collects command lines and environments of all processes between `start` and `stop`."""

    def __init__(self) -> None:
        self._arguments: set[bytes] = set()
        # By the program, which tells whose the environment is.
        self._environments: set[tuple[bytes, bytes]] = set()
        self._known: set[tuple[int, bytes]] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> ProcessWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def saw(self, what: str) -> bool:
        """Whether some command line held this: one that never looked finds nothing either."""
        return any(what.encode() in line for line in self._arguments)

    def in_arguments(self, secrets: Iterable[str]) -> list[str]:
        """Command lines that hold one of the secrets, without it."""
        return sorted(
            _masked(line, secret) for secret in secrets for line in self._arguments if secret.encode() in line
        )

    def in_environments(self, secrets: Iterable[str], home: Path) -> list[str]:
        """Programs whose environment holds one of the secrets, with the variable's name.

        Those that work for another home than the given one are somebody else's: they may share the lab's tokens.
        """
        mine = b"LIVCHAT_HOME=%s" % str(home).encode()
        return sorted(
            f"{program.decode(errors='replace')}: {_names(environment, secret)}"
            for secret in secrets
            for program, environment in self._environments
            if secret.encode() in environment
            and all(one == mine for one in environment.split(b"\0") if one.startswith(b"LIVCHAT_HOME="))
        )

    def _watch(self) -> None:
        while not self._ended.wait(INTERVAL):
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit():
                    # A process that ends meanwhile has nothing to read, and one of the kernel never had.
                    with contextlib.suppress(OSError):
                        self._look(entry)

    def _look(self, process: Path) -> None:
        arguments = (process / "cmdline").read_bytes()
        # The same number with other arguments is another program: a process that was forked, and then became it.
        if not arguments or (int(process.name), arguments) in self._known:
            return
        self._known.add((int(process.name), arguments))
        self._arguments.add(arguments)
        self._environments.add((arguments.partition(b"\0")[0], (process / "environ").read_bytes()))


def _masked(line: bytes, secret: str) -> str:
    return line.replace(secret.encode(), b"(SECRET)").replace(b"\0", b" ").decode(errors="replace")


def _names(environment: bytes, secret: str) -> str:
    names = (one.partition(b"=")[0] for one in environment.split(b"\0") if secret.encode() in one)
    return ", ".join(name.decode(errors="replace") for name in names)
