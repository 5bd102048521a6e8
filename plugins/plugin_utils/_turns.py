# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""One job at a time changes a server: jobs of one home that want the same one take turns, in the order of asking."""

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
# A ticket is locked by one process, and by the one it is handed over to: a child that is forked would keep it when its
# parent has died.
_held: set[int] = set()


def _let_go() -> None:
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_let_go)


@dataclasses.dataclass(frozen=True)
class Ticket:
    """A job's place in the queue."""

    number: int
    job: str
    operation: str
    servers: frozenset[str]
    since: str

    @classmethod
    def of(cls, number: int, told: t.Mapping[str, t.Any]) -> Ticket:
        """The ticket of that number, as `told` has it."""
        return cls(number, told["job"], told["operation"], frozenset(told["servers"]), told["since"])

    def told(self) -> dict[str, t.Any]:
        """All of it, for JSON."""
        return {**dataclasses.asdict(self), "servers": sorted(self.servers)}

    def __str__(self) -> str:
        return f"{self.operation} (job {self.job}, since {self.since})"


class Place:
    """A ticket that this process holds; at the end of a context of it, it is given up."""

    def __init__(self, path: str, ticket: Ticket, descriptor: int) -> None:
        self.ticket = ticket
        self.descriptor = descriptor
        self._path = path
        _held.add(descriptor)

    def told(self) -> dict[str, t.Any]:
        """What the process needs to know that inherits the descriptor; see `Turns.taken_over`."""
        return {**self.ticket.told(), "descriptor": self.descriptor}

    def leave(self) -> None:
        """Lets go of it, once another process has inherited it."""
        _held.discard(self.descriptor)
        os.close(self.descriptor)

    def give_up(self) -> None:
        # In this order: a ticket without a lock is one of a job that was killed.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        self.leave()

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_: object) -> None:
        self.give_up()


class Turns:
    """The queue of a home.

    Each job that changes servers has a ticket in the folder `turns`, drawn when the job is asked for: a file on which
    the job's first process holds a lock (flock, which the system lets go of when that process dies). A job's turn has
    come when no earlier ticket names one of its servers. What a job that was killed has left running is ended before
    the next one goes on.
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
        """Draws a place, waits until the servers are this job's alone, and keeps them for as long as the context lasts.

        `say` and `stopped` as in `wait`.
        """
        with self.draw(job, operation, servers) as place:
            self.wait(place, say, stopped)
            yield

    def wait(self, place: Place, say: t.Callable[[str], None], stopped: t.Callable[[], bool] = lambda: False) -> None:
        """Returns when the turn of that place has come.

        `say` is told what is waited for. When `stopped` becomes true, it returns at once, out of turn: its caller looks
        at the same thing first.
        """
        mine, told = place.ticket, set[int]()
        while not stopped():
            before = [one for one in self._before(mine, say) if one.servers & mine.servers]
            if not before:
                return
            for one in before:
                if one.number not in told:
                    told.add(one.number)
                    say(f"waits for {one} on {', '.join(sorted(one.servers & mine.servers))}")
            time.sleep(_INTERVAL)

    def draw(self, job: str, operation: str, servers: t.Iterable[str]) -> Place:
        """The next place: behind all that were drawn before.

        Raises:
            LivchatError: HOME_UNWRITABLE; HOME_LOCKED
        """
        since = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        with self._home.lock(), writing(self._home.file(FOLDER)):
            os.makedirs(self._home.file(FOLDER), mode=0o700, exist_ok=True)
            # By the clock, so that no number comes twice; but after all that wait, should the clock be put back.
            number = max([time.time_ns(), *(one + 1 for one in self._numbers())])
            ticket = Ticket(number, job, operation, frozenset(servers), since)
            path = self._path(number)
            descriptor = os.open(f"{path}.tmp", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                os.write(descriptor, json.dumps(ticket.told()).encode())
                # Only a ticket that is locked and whole has its name.
                os.rename(f"{path}.tmp", path)
            except BaseException:
                os.close(descriptor)
                raise
        return Place(path, ticket, descriptor)

    def taken_over(self, told: t.Mapping[str, t.Any]) -> Place:
        """The place that the process which started this one has handed over, as `Place.told` says."""
        os.set_inheritable(told["descriptor"], False)
        number = told["number"]
        return Place(self._path(number), Ticket.of(number, told), told["descriptor"])

    def _before(self, mine: Ticket, say: t.Callable[[str], None]) -> t.Iterator[Ticket]:
        """Earlier tickets of jobs that live; those of jobs that were killed go, with what is left of the jobs."""
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
                        say(f"{ticket} was killed; ended {left} processes it had left")
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
            return Ticket.of(number, json.load(handle))
        except (ValueError, KeyError, TypeError):
            # A crash of the whole machine may leave one empty.
            return None

    def _numbers(self) -> list[int]:
        folder = self._home.file(FOLDER)
        return [int(name) for name in os.listdir(folder) if name.isdigit()] if os.path.isdir(folder) else []

    def _path(self, number: int) -> str:
        return self._home.file(FOLDER, str(number))
