"""Requests that were sent twice are done once: what became of a key is kept on disk for a day."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from livchat_cli.errors import LivchatError
from livchat_cli.jobs import KEYS_KEPT, Status, of

KEPT = KEYS_KEPT.total_seconds()
# As the draft for this header allows: any text that is visible.
PATTERN = r"^[!-~]{1,255}$"


class Once:
    """The keys of one home: a file for each, named by a hash, that holds a hash of the request and what came of it."""

    def __init__(self, home: Path, clock: Callable[[], float] = time.time) -> None:
        self._home = home
        self._folder = home / "idempotency"
        self._clock = clock

    @contextlib.contextmanager
    def key(self, caller: str, given: str, request: bytes) -> Iterator[Attempt]:
        """The attempt to do what `request` says. No other one with this key of this caller runs meanwhile.

        Raises:
            LivchatError: IDEMPOTENCY_CONFLICT, when the key came with another request, or is being worked on.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._forget_old()
        name = hashlib.sha256(f"{caller}\0{given}".encode()).hexdigest()
        descriptor = os.open(self._folder / name, os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "r+b") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                message = "the first request with this Idempotency-Key is still being worked on: try again"
                raise LivchatError("IDEMPOTENCY_CONFLICT", message, {}, 1) from None
            yield Attempt(self._home, name, handle, hashlib.sha256(request).hexdigest(), self._clock())

    def _forget_old(self) -> None:
        oldest = self._clock() - KEPT
        for entry in os.scandir(self._folder):
            with contextlib.suppress(FileNotFoundError):
                if entry.stat().st_mtime < oldest:
                    Path(entry.path).unlink()


class Attempt:
    """One request with a key, as long as its lock is held."""

    def __init__(self, home: Path, name: str, handle: BinaryIO, request: str, now: float) -> None:
        # What a job's record carries, so that it is found also when this process dies before it has written it down.
        self.name = name
        self._home = home
        self._handle = handle
        self._request = request
        self._now = now
        self._known = self._read()

    def done(self) -> dict[str, Any] | None:
        """What was kept of the first request: `job`, its id, or nothing more than that it was done; None: not yet.

        A job that was killed before it ran did nothing: it is as if nobody had asked.

        Raises:
            LivchatError: IDEMPOTENCY_CONFLICT
        """
        if not self._known:
            return None
        if self._known["request"] != self._request:
            message = "this Idempotency-Key was used for another request within a day: take a new one"
            raise LivchatError("IDEMPOTENCY_CONFLICT", message)
        if self._known["done"] is None and (job := self._started()):
            self.keep(job)
        done: dict[str, Any] | None = self._known["done"]
        return None if done and self._never_ran(done["job"]) else done

    def begin(self) -> None:
        """Notes that it is about to be done."""
        self._write(None)

    def keep(self, job: str | None) -> None:
        """Notes that it is done, and by which job."""
        self._write({"job": job})

    def drop(self) -> None:
        """It came to nothing: the key is free."""
        self._handle.truncate(0)
        self._known = {}

    def _started(self) -> str | None:
        """A job that was started for this key by a process that died before it could say so."""
        jobs = of(self._home).all(limit=1, seen=lambda one: one.get("idempotency") == self.name)
        return jobs[0]["id"] if jobs else None

    def _never_ran(self, job: str | None) -> bool:
        try:
            record = of(self._home).record(job) if job else {}
        except LivchatError:
            # It is forgotten: then it had ended.
            return False
        return bool(record) and record["status"] == Status.KILLED and record["started_at"] is None

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self._handle.read() or b"{}")
        except ValueError:
            # Cut off by a crash of the machine: nothing had begun.
            return {}
        return found if found and found["at"] > self._now - KEPT else {}

    def _write(self, done: dict[str, Any] | None) -> None:
        self._known = {"request": self._request, "at": self._now, "done": done}
        self._handle.seek(0)
        self._handle.truncate()
        self._handle.write(json.dumps(self._known).encode())
        self._handle.flush()
        os.fsync(self._handle.fileno())
