"""How many servers a token may have made: the jobs on disk count, whichever door they came through."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from livchat_cli import collection, index, jobs
from livchat_cli.errors import LivchatError, rate_limited
from livchat_cli.jobs import ALIVE
from livchat_cli.operations import OPERATIONS, Effect, Operation

if TYPE_CHECKING:
    from pathlib import Path

    from livchat_cli.parameters import Parameters

collection.activate()

from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._settings import Settings  # noqa: E402

SETTING = "api.server_creations_per_hour"
# Operations after which a server is there no more.
_DESTROY = frozenset(one.name for one in OPERATIONS if one.effect is Effect.DESTROY and one.target == "server")


class Creations:
    """The servers that the tokens of one family have jobs make, in a home; see `Token.family`."""

    def __init__(self, home: Path, family: str) -> None:
        self._path = home
        self._home = Home(str(home))
        self._family = family

    @contextlib.contextmanager
    def room(self, operation: Operation, parameters: Parameters) -> Iterator[int]:
        """How many new servers the operation makes, once there is room for them.

        Who makes a job's record with that number within the context has taken the room: nobody else counts meanwhile.

        Raises:
            LivchatError: RATE_LIMITED, when the family makes too many within jobs.CREATIONS_KEPT; INPUT_INVALID, when
                they are more than there ever is room for; HOME_LOCKED.
        """
        with self._home.lock():
            number = self._new(operation, parameters)
            if number and (error := self._limited(operation, number)):
                raise error
            yield number

    def _new(self, operation: Operation, parameters: Parameters) -> int:
        named = getattr(parameters, operation.creates)
        names = {named} if isinstance(named, str) else set(named)
        known = names & set(index.of(self._path).tree()["servers"])
        return len(names) - sum(not self._leaves(name) for name in known)

    def _leaves(self, name: str) -> bool:
        """Whether a job is about to destroy that server: who asks for it now has it made anew."""
        found = jobs.of(self._path).all(
            status=ALIVE, server=name, limit=1, seen=lambda one: one["operation"] in _DESTROY
        )
        return bool(found)

    def _limited(self, operation: Operation, number: int) -> LivchatError | None:
        most: int = Settings(self._home).get(SETTING)
        if number > most:
            message = f"{operation.creates}: {number} new servers at once; a token may have {most} an hour ({SETTING})"
            details = {"operation": operation.name, "field": operation.creates, "limit": most}
            return LivchatError("INPUT_INVALID", f"{message}: ask for fewer", details)
        ages = self._ages(most)
        if len(ages) + number <= most:
            return None
        # The newest of those that must be gone before there is room.
        gone = ages[most - number]
        message = f"more than {most} new servers an hour by this token ({SETTING}), and those it made or that made it"
        return rate_limited(message, most, max(1.0, (jobs.CREATIONS_KEPT - gone).total_seconds()))

    def _ages(self, most: int) -> list[datetime.timedelta]:
        """For how long the newest of the family's servers have been asked for, the newest first."""
        now = datetime.datetime.now(datetime.UTC)

        def ours(one: dict[str, Any]) -> bool:
            # An earlier version wrote down the token alone.
            return bool(one["creates"]) and self._family in (one["family"], one["token"])

        # Each made one at least, so that these are enough.
        made = jobs.of(self._path).all(limit=most, seen=ours)
        found = ((now - datetime.datetime.fromisoformat(one["created_at"]), one["creates"]) for one in made)
        return [age for age, number in found if age < jobs.CREATIONS_KEPT for _one in range(number)]
