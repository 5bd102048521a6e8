# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""One job at a time changes a server: jobs of one home that want the same one take turns, in the order they came."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import fcntl
import json
import os
import time
import typing as t

from . import _processes
from ._home import Home, writing

FOLDER = "turns"
# How often a waiting job looks whether it is its turn, in seconds.
_INTERVAL = 0.2
# A ticket is locked by one process: a child that is forked would keep it when its parent has died.
_held: set[t.IO[str]] = set()
os.register_at_fork(after_in_child=lambda: [handle.close() for handle in _held])


@dataclasses.dataclass(frozen=True)
class Ticket:
    """A job's place in the queue."""

    number: int
    job: str
    operation: str
    servers: frozenset[str]
    since: str

    def __str__(self) -> str:
        return f"{self.operation} (job {self.job}, since {self.since})"


class Turns:
    """The queue of a home.

    Each job that changes servers has a ticket in the folder `turns`: a file that the job's first process holds a lock on
    (flock, which the system lets go of when that process dies). It is a job's turn when no earlier ticket names one of
    its servers. What a job that was killed has left running is ended before the next one goes on.
    """

    def __init__(self, home: Home) -> None:
        self._home = home

    @contextlib.contextmanager
    def turn(
        self,
        job: str,
        operation: str,
        servers: t.Iterable[str],
        say: t.Callable[[str], None],
        stopped: t.Callable[[], bool] = lambda: False,
    ) -> t.Iterator[None]:
        """Waits until the servers are this job's alone, and keeps them for as long as the context lasts.

        `say` is told what is waited for. When `stopped` becomes true, the context begins at once, out of turn: its
        owner looks at the same thing first.
        """
        since = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        mine, handle = self._draw(job, operation, frozenset(servers), since)
        try:
            self._wait(mine, say, stopped)
            yield
        finally:
            # In this order: a ticket without a lock is one of a job that was killed.
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path(mine.number))
            _held.discard(handle)
            handle.close()

    def _wait(self, mine: Ticket, say: t.Callable[[str], None], stopped: t.Callable[[], bool]) -> None:
        told: set[int] = set()
        while not stopped():
            before = [one for one in self._before(mine, say) if one.servers & mine.servers]
            if not before:
                return
            for one in before:
                if one.number not in told:
                    told.add(one.number)
                    say(f"waits for {one} on {', '.join(sorted(one.servers & mine.servers))}")
            time.sleep(_INTERVAL)

    def _draw(self, job: str, operation: str, servers: frozenset[str], since: str) -> tuple[Ticket, t.IO[str]]:
        """The next ticket, with the file that is locked for it."""
        with self._home.lock(), writing(self._home.file(FOLDER)):
            os.makedirs(self._home.file(FOLDER), mode=0o700, exist_ok=True)
            # By the clock, so that no number comes twice; but after all that wait, should the clock be put back.
            number = max([time.time_ns(), *(one + 1 for one in self._numbers())])
            ticket = Ticket(number, job, operation, servers, since)
            path = self._path(ticket.number)
            handle = os.fdopen(
                os.open(f"{path}.tmp", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
            )
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                json.dump({**dataclasses.asdict(ticket), "servers": sorted(servers)}, handle)
                handle.flush()
                # Only a ticket that is locked and whole has its name.
                os.rename(f"{path}.tmp", path)
            except BaseException:
                handle.close()
                raise
        _held.add(handle)
        return ticket, handle

    def _before(self, mine: Ticket, say: t.Callable[[str], None]) -> t.Iterator[Ticket]:
        """Earlier tickets of jobs that live. Those of jobs that were killed are taken away, and what is left of them."""
        for number in sorted(self._numbers()):
            if number >= mine.number:
                return
            try:
                with open(self._path(number), "r+", encoding="utf-8") as handle:
                    ticket = self._read(number, handle)
                    if self._lives(handle):
                        # A job that another one starts while it has the turn is part of it.
                        if ticket and ticket.job != os.environ.get(_processes.VARIABLE):
                            yield ticket
                        continue
                    if ticket and (left := _processes.end(ticket.job)):
                        say(f"{ticket} was killed; ended {left} processes that it had left")
                    os.unlink(self._path(number))
            except FileNotFoundError:
                # It ended just now, or another that waits has taken it away.
                continue

    @staticmethod
    def _lives(handle: t.IO[str]) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False

    @staticmethod
    def _read(number: int, handle: t.IO[str]) -> Ticket | None:
        try:
            known = json.load(handle)
            return Ticket(number, known["job"], known["operation"], frozenset(known["servers"]), known["since"])
        except (ValueError, KeyError, TypeError):
            # A crash of the whole machine may leave one empty.
            return None

    def _numbers(self) -> list[int]:
        folder = self._home.file(FOLDER)
        return [int(name) for name in os.listdir(folder) if name.isdigit()] if os.path.isdir(folder) else []

    def _path(self, number: int) -> str:
        return self._home.file(FOLDER, str(number))
