"""A door of ours as an operator starts it: a process of its own, which says where it listens."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterable, Mapping, Sequence

_LISTENING = re.compile(r"listening on (\S+)")


class Listening:
    """One process at a time. `url` is where the last one listens, `log` what all of them said."""

    process: subprocess.Popen[str]

    def __init__(self) -> None:
        self.url = ""
        self.log: list[str] = []

    def begin(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Starts it, and returns when it listens. Raises RuntimeError with what it said, when it ends instead."""
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        said = self._stderr()
        for line in said:
            self.log.append(line)
            if found := _LISTENING.search(line):
                self.url = found[1].replace("0.0.0.0", "127.0.0.1")
                break
        else:
            raise RuntimeError("".join(self.log))
        # A pipe that nobody reads stops who writes.
        threading.Thread(target=self.log.extend, args=(said,), daemon=True).start()

    def _stderr(self) -> Iterable[str]:
        stream = self.process.stderr
        assert stream
        return stream
