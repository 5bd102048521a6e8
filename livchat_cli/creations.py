"""How many servers a token may have made: the jobs on disk count, whichever door they came through."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from typing import TYPE_CHECKING

from livchat_cli import collection, index, jobs
from livchat_cli.errors import LivchatError, rate_limited

if TYPE_CHECKING:
    from pathlib import Path

    from livchat_cli.operations import Operation
    from livchat_cli.parameters import Parameters

collection.activate()

from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._settings import Settings  # noqa: E402

SETTING = "api.server_creations_per_hour"


class Creations:
    """The servers that one token has jobs make, in a home."""

    def __init__(self, home: Path, token: str) -> None:
        self._path = home
        self._home = Home(str(home))
        self._token = token

    @contextlib.contextmanager
    def room(self, operation: Operation, parameters: Parameters) -> Iterator[int]:
        """How many new servers the operation makes, once there is room for them.

        Who makes a job's record with that number within the context has taken the room: nobody else counts meanwhile.

        Raises:
            LivchatError: RATE_LIMITED, when the token makes too many within jobs.CREATIONS_KEPT; HOME_LOCKED.
        """
        number = self._new(operation, parameters)
        if not number:
            yield 0
            return
        with self._home.lock():
            if error := self._limited(number):
                raise error
            yield number

    def _new(self, operation: Operation, parameters: Parameters) -> int:
        named = getattr(parameters, operation.creates) if operation.creates else ()
        names = {named} if isinstance(named, str) else set(named)
        return len(names - set(index.of(self._path).tree()["servers"])) if names else 0

    def _limited(self, number: int) -> LivchatError | None:
        most: int = Settings(self._home).get(SETTING)
        ages = self._ages(most)
        if len(ages) + number <= most:
            return None
        # The newest of those that must be gone before there is room; more than there is room for never fits.
        gone = ages[max(0, most - number)] if ages else datetime.timedelta()
        message = f"more than {most} new servers an hour by this token ({SETTING})"
        return rate_limited(message, most, max(1.0, (jobs.CREATIONS_KEPT - gone).total_seconds()))

    def _ages(self, most: int) -> list[datetime.timedelta]:
        """For how long the newest of the token's servers have been asked for, the newest first."""
        now = datetime.datetime.now(datetime.UTC)
        # Each made one at least, so that these are enough.
        made = jobs.of(self._path).all(limit=most, seen=lambda one: one["creates"] and one["token"] == self._token)
        found = ((now - datetime.datetime.fromisoformat(one["created_at"]), one["creates"]) for one in made)
        return [age for age, number in found if age < jobs.CREATIONS_KEPT for _one in range(number)]
