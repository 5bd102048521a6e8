"""Progress on stderr: a live table of hosts for a terminal, a line per changed step for everything else."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from livchat_cli.events import Kind, Progress

_STYLES = {Kind.CHANGED: "yellow", Kind.FAILED: "red", Kind.UNREACHABLE: "red", Kind.OK: "green"}


@dataclass
class _Host:
    step: str = ""
    kind: Kind = Kind.STARTED
    began: float = field(default_factory=time.monotonic)
    counts: dict[Kind, int] = field(default_factory=dict)


class Display:
    """Listens to a job. Used as a context, so that the terminal is put right however the job ends."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._hosts: dict[str, _Host] = {}
        self._live: Any = None

    def __enter__(self) -> Display:
        if not self._quiet and sys.stderr.isatty():
            # Imported here, as a run without a terminal does not need it.
            from rich.console import Console  # noqa: PLC0415
            from rich.live import Live  # noqa: PLC0415

            self._live = Live(
                console=Console(stderr=True), get_renderable=self._table, refresh_per_second=8, transient=True
            )
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.__exit__(kind, error, trace)

    def __call__(self, step: Progress) -> None:
        if self._quiet:
            return
        if step.kind is Kind.NOTE:
            self._note(f"  {step.host}: {step.task}")
            return
        host = self._hosts.setdefault(step.host, _Host())
        name = f"{step.role}: {step.task}" if step.role else step.task
        if step.kind is Kind.STARTED:
            host.step, host.began = name, time.monotonic()
        else:
            host.counts[step.kind] = host.counts.get(step.kind, 0) + 1
        host.kind = step.kind
        ended = step.kind in (Kind.CHANGED, Kind.FAILED, Kind.UNREACHABLE)
        if ended and not self._live:
            print(f"  {step.host}: {name}: {step.kind} ({step.duration:.1f} s)", file=sys.stderr, flush=True)

    def _note(self, text: str) -> None:
        if self._live:
            self._live.console.print(text, markup=False, highlight=False)
        else:
            print(text, file=sys.stderr, flush=True)

    def _table(self) -> Any:
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        table = Table(box=None, show_header=False, pad_edge=False)
        # The dictionary grows in the job's thread while this one draws.
        for name, host in list(self._hosts.items()):
            counts = Text(" ").join(
                Text(f"{number} {kind}", style=_STYLES.get(kind, "dim")) for kind, number in list(host.counts.items())
            )
            seconds = Text(f"{time.monotonic() - host.began:4.0f} s", style="dim")
            table.add_row(Text(name, style="bold"), Text(host.step), seconds, counts)
        return table
