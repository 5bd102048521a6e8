"""How many jobs of one token live at once: each is a process, whichever door it came through."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from livchat_cli import collection, jobs
from livchat_cli.errors import rate_limited
from livchat_cli.jobs import ALIVE

if TYPE_CHECKING:
    from pathlib import Path

collection.activate()

from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._settings import Settings  # noqa: E402

SETTING = "api.jobs_at_once"
# Seconds after which one of them may have ended; nobody knows when it will.
_WAIT = 5


@contextlib.contextmanager
def room(home: Path, token: str) -> Iterator[None]:
    """Whoever makes a job's record within the context has taken the room: nobody else counts meanwhile.

    Raises:
        LivchatError: RATE_LIMITED, when too many of the token's jobs wait or run; HOME_LOCKED.
    """
    known = jobs.of(home)
    most: int = Settings(Home(str(home))).get(SETTING)
    # Not the home's own lock: who only looks waits for nobody that changes something.
    with Home(str(known.folder)).lock():
        if len(known.all(status=ALIVE, limit=most, seen=lambda one: one["token"] == token)) == most:
            raise rate_limited(f"{most} jobs of this token wait or run ({SETTING})", most, _WAIT)
        yield
