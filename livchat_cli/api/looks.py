"""The same look asked for again and again is one job, for as long as it runs and nothing changes."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from threading import Lock

from livchat_cli import collection, jobs
from livchat_cli.errors import LivchatError
from livchat_cli.jobs import Status

collection.activate()

from ansible_collections.livchat.setup.plugins.plugin_utils._audit import FILE  # noqa: E402

# So many looks are remembered; the one that nobody has asked for longest is forgotten, and begins anew.
KEPT = 1000


class Changes:
    """Tells whether something has changed, by whatever door.

    Jobs of this home that changed something count when they have ended, however they did. The audit log tells the rest:
    what needs no job, and playbooks that were run without one.
    """

    def __init__(self, home: Path) -> None:
        self._jobs = jobs.of(home)
        self._log = home / FILE
        self._ended = self._jobs_that_ended()
        self._read = self._size()
        self._number = 0
        self._lock = Lock()

    def number(self) -> int:
        """How many times a change was seen; the same number twice: nothing has changed in between."""
        with self._lock:
            before, self._ended = self._ended, self._jobs_that_ended()
            audited = self._audited()
            if self._ended - before or audited:
                self._number += 1
            return self._number

    def _jobs_that_ended(self) -> set[str]:
        found = self._jobs.all(limit=None, seen=lambda one: one["effect"] != "read" and not Status(one["status"]).alive)
        return {one["id"] for one in found}

    def _audited(self) -> bool:
        """Whether the log has new lines that tell of a change."""
        size = self._size()
        if size == self._read:
            return False
        if size < self._read:
            # Another one was begun.
            self._read = size
            return True
        with self._log.open("rb") as handle:
            handle.seek(self._read)
            added = handle.read()
        self._read += len(added)
        return any(_tells_of_change(line) for line in added.splitlines())

    def _size(self) -> int:
        try:
            return self._log.stat().st_size
        except OSError:
            return 0


class _Look:
    def __init__(self) -> None:
        self.lock = Lock()
        self.job = ""
        self.number = 0


class Looks:
    """The jobs that look at something for the callers of one API."""

    def __init__(self, home: Path) -> None:
        self._jobs = jobs.of(home)
        self._changes = Changes(home)
        self._known: OrderedDict[bytes, _Look] = OrderedDict()
        self._lock = Lock()

    def job(self, token: str, asked: bytes, begin: Callable[[], str]) -> str:
        """The id of the job that looks at what is asked: one of this token that still runs, else what `begin` begins.

        A job that began before something changed may have seen what was before: it is nobody's answer any more.
        """
        look = self._of(hashlib.sha256(f"{token}\0".encode() + asked).digest())
        with look.lock:
            # Before it begins: of what changes while it does, the next one is told.
            number = self._changes.number()
            if look.number != number or not self._lives(look.job):
                look.job, look.number = begin(), number
            return look.job

    def _of(self, name: bytes) -> _Look:
        with self._lock:
            look = self._known.setdefault(name, _Look())
            self._known.move_to_end(name)
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
            return look

    def _lives(self, job: str) -> bool:
        try:
            return Status(self._jobs.record(job)["status"]).alive
        except LivchatError:
            # None yet, or forgotten.
            return False


def _tells_of_change(line: bytes) -> bool:
    """Of a playbook a line names the tasks that changed something; what else has one is a change."""
    try:
        told = json.loads(line)
        return bool(told.get("changed", True)) and not told.get("check", False)
    except (ValueError, AttributeError):
        # Cut off: who knows what it would have told.
        return True
