"""How often somebody may ask: sliding windows in memory, one for each token or address."""

from __future__ import annotations

import datetime
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from pathlib import Path
from threading import Lock

from livchat_cli import collection, index
from livchat_cli.access import Principal
from livchat_cli.errors import LivchatError
from livchat_cli.jobs import JOBS_KEPT, Jobs
from livchat_cli.operations import Operation, get
from livchat_cli.parameters import Parameters

collection.activate()

from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._settings import Settings  # noqa: E402

HOUR = 3600.0
MINUTE = 60.0
# Of how many tokens or addresses is kept what they did; the one that was quiet for longest is forgotten.
KEPT = 10_000


class Window:
    """At most `most` of something within `seconds`, for each key."""

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self._seconds = seconds
        self._clock = clock
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = Lock()

    def take(self, key: str, number: int = 1) -> float:
        """Takes that many; 0, or the seconds after which they are to be had and for which nothing was taken."""
        with self._lock:
            now = self._clock()
            seen = self._of(key, now)
            if len(seen) + number <= self.most:
                seen.extend([now] * number)
                return 0.0
            # The oldest that must be gone before there is room; more than there is room for never fits.
            gone = min(len(seen) + number - self.most, len(seen))
            return max(0.001, seen[gone - 1] + self._seconds - now) if gone else self._seconds

    def give_back(self, key: str, number: int) -> None:
        """What was taken last for something that did not happen after all."""
        with self._lock:
            seen = self._of(key, self._clock())
            for _one in range(min(number, len(seen))):
                seen.pop()

    def remember(self, key: str, age: float, number: int = 1) -> None:
        """What happened before this process began, the oldest first."""
        with self._lock:
            now = self._clock()
            self._of(key, now).extend([now - age] * number)

    def _of(self, key: str, now: float) -> deque[float]:
        seen = self._seen.setdefault(key, deque())
        self._seen.move_to_end(key)
        while seen and seen[0] <= now - self._seconds:
            seen.popleft()
        if len(self._seen) > KEPT:
            self._seen.popitem(last=False)
        return seen


class Limits:
    """The limits of one API, as the settings say: what is asked, what is created, and how often one may be wrong."""

    def __init__(self, home: Path) -> None:
        settings = Settings(Home(str(home)))
        self._home = home
        self._calls = Window(settings.get("api.calls_per_hour"), HOUR)
        self._creations = Window(settings.get("api.server_creations_per_hour"), HOUR)
        # A token that is right is let through all the same: who shares an address with an attacker is not locked out.
        self._failures = Window(settings.get("api.refusals_per_minute"), MINUTE)
        self._recall()

    def call(self, principal: Principal) -> None:
        """Raises LivchatError RATE_LIMITED when the token has asked too often."""
        if wait := self._calls.take(principal.token):
            message = f"more than {self._calls.most} calls an hour by this token (api.calls_per_hour)"
            raise _limited(message, wait, self._calls)

    def failure(self, address: str) -> None:
        """Notes a wrong token. Raises LivchatError RATE_LIMITED when there were too many from that address."""
        if wait := self._failures.take(address):
            message = f"more than {self._failures.most} refused calls a minute (api.refusals_per_minute)"
            raise _limited(message, wait, self._failures)

    def creation(self, principal: Principal, operation: Operation, parameters: Parameters) -> int:
        """How many servers it takes for the operation; `undo` gives them back.

        Raises:
            LivchatError: RATE_LIMITED, when the token makes too many servers.
        """
        number = len(set(_created(operation, parameters)) - set(index.of(self._home).tree()["servers"]))
        if number and (wait := self._creations.take(principal.token, number)):
            message = (
                f"more than {self._creations.most} new servers an hour by this token (api.server_creations_per_hour)"
            )
            raise _limited(message, wait, self._creations)
        return number

    def undo(self, principal: Principal, number: int) -> None:
        self._creations.give_back(principal.token, number)

    def _recall(self) -> None:
        """A restart is no way around a limit on what costs money: the jobs of the last hour count."""
        now = datetime.datetime.now(datetime.UTC)
        for job in sorted(Jobs(self._home).all(limit=JOBS_KEPT), key=lambda one: one["created_at"]):
            age = (now - datetime.datetime.fromisoformat(job["created_at"])).total_seconds()
            try:
                operation = get(job["operation"])
            except LivchatError:
                continue
            if operation.creates and age < HOUR:
                named = job["parameters"].get(operation.creates, ())
                self._creations.remember(job["token"], age, 1 if isinstance(named, str) else len(named))


def _created(operation: Operation, parameters: Parameters) -> tuple[str, ...]:
    named = getattr(parameters, operation.creates) if operation.creates else ()
    return (named,) if isinstance(named, str) else tuple(named)


def _limited(message: str, wait: float, window: Window) -> LivchatError:
    seconds = math.ceil(wait)
    return LivchatError("RATE_LIMITED", f"{message}: try again in {seconds} s", {"limit": window.most}, seconds)
