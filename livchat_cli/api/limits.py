"""How often somebody may ask, and how much at once: kept in memory, for each token or address."""

from __future__ import annotations

import contextlib
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock

from livchat_cli import collection
from livchat_cli.access import Principal
from livchat_cli.errors import rate_limited

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

    def take(self, key: str) -> float:
        """Takes one; 0, or the seconds after which there is one to be had and for which nothing was taken."""
        with self._lock:
            now = self._clock()
            seen = self._of(key, now)
            if len(seen) < self.most:
                seen.append(now)
                return 0.0
            return max(0.001, seen[0] + self._seconds - now)

    def _of(self, key: str, now: float) -> deque[float]:
        seen = self._seen.setdefault(key, deque())
        self._seen.move_to_end(key)
        while seen and seen[0] <= now - self._seconds:
            seen.popleft()
        if len(self._seen) > KEPT:
            self._seen.popitem(last=False)
        return seen


class Places:
    """At most `each` of something at once for each key, and `most` for all. For one event loop."""

    def __init__(self, each: int, most: int) -> None:
        self._each = each
        self._most = most
        self._taken: Counter[str] = Counter()

    @contextlib.contextmanager
    def one(self, key: str) -> Iterator[bool]:
        """Takes a place for as long as the context lasts; false: there was none to be had."""
        # Looked at and taken in one step: nothing else runs in between.
        free = self._taken[key] < self._each and self._taken.total() < self._most
        self._taken[key] += free
        try:
            yield free
        finally:
            self._taken[key] -= free
            if not self._taken[key]:
                del self._taken[key]


class Limits:
    """The limits of one API, as the settings say: how often one may ask, and how often one may be wrong."""

    def __init__(self, home: Path) -> None:
        settings = Settings(Home(str(home)))
        self._calls = Window(settings.get("api.calls_per_hour"), HOUR)
        # A token that is right is let through all the same: who shares an address with an attacker is not locked out.
        self._failures = Window(settings.get("api.refusals_per_minute"), MINUTE)

    def call(self, principal: Principal) -> None:
        """Raises LivchatError RATE_LIMITED when the token has asked too often."""
        if wait := self._calls.take(principal.token):
            message = f"more than {self._calls.most} calls an hour by this token (api.calls_per_hour)"
            raise rate_limited(message, self._calls.most, wait)

    def failure(self, address: str) -> None:
        """Notes a wrong token. Raises LivchatError RATE_LIMITED when there were too many from that address."""
        if wait := self._failures.take(address):
            message = f"more than {self._failures.most} refused calls a minute (api.refusals_per_minute)"
            raise rate_limited(message, self._failures.most, wait)
