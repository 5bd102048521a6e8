"""What happens during a call, told to the client: one line for each step, and a word when nothing happens for long."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from mcp.server.session import ServerSession

from livchat_cli.events import Kind
from livchat_mcp.texts import Texts

# Seconds of silence after which a client is told that the job still runs: clients give up on silence, the first of
# them after 30 s.
SILENCE = 15.0
# Clients show no more of a line.
LONGEST = 200
# Steps that begin, and what there is to know; how a step ended, the next one tells.
_TOLD = {Kind.STARTED, Kind.NOTE}


class Steps:
    """The steps of one job, for one call. `clean` takes out of a line what must not be told."""

    def __init__(self, session: ServerSession, texts: Texts, clean: Callable[[str], str]) -> None:
        self._session = session
        self._texts = texts
        self._clean = clean
        self._began = self._told = time.monotonic()
        # A client takes progress only when it grows.
        self._number = 0.0
        self._lines: list[str] = []

    async def tell(self, event: Mapping[str, Any]) -> None:
        """Tells of the event, if it is a step's beginning or a note."""
        if line := self.note(event):
            await self._report(line)

    async def keep_alive(self) -> None:
        """Says that the job goes on, after a while of silence."""
        if time.monotonic() - self._told > SILENCE:
            step = self._lines[-1] if self._lines else self._texts("waiting")
            seconds = int(time.monotonic() - self._began)
            await self._report(self._texts("still", seconds=seconds, step=step))

    def note(self, event: Mapping[str, Any]) -> str:
        """The event's line, remembered; nothing when it has none."""
        if event.get("kind") not in _TOLD:
            return ""
        role, task, host = (str(event.get(key) or "") for key in ("role", "task", "host"))
        line = f"{host}: {role + ': ' if role else ''}{task}"
        self._lines.append(" ".join(self._clean(line).split())[:LONGEST])
        return self._lines[-1]

    def last(self, number: int) -> list[str]:
        return self._lines[-number:]

    async def _report(self, line: str) -> None:
        self._number += 1
        self._told = time.monotonic()
        await self._session.report_progress(self._number, message=line[:LONGEST])
