"""How often a caller may call: a bucket of tokens for each, so that one cannot keep the others waiting."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

# Calls a second in the long run, and at once.
RATE = 5.0
BURST = 10
# Callers remembered at most; those that have not called for a while have a full bucket anyway.
_MOST = 1000


class Rates:
    def __init__(self, rate: float = RATE, burst: int = BURST, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait(self, caller: str) -> int:
        """Takes a token; 0, or the seconds after which there is one again."""
        moment = self._clock()
        tokens, seen = self._buckets.get(caller, (float(self._burst), moment))
        tokens = min(float(self._burst), tokens + (moment - seen) * self._rate)
        if tokens < 1:
            self._buckets[caller] = (tokens, moment)
            return math.ceil((1 - tokens) / self._rate)
        if len(self._buckets) >= _MOST:
            self._buckets = {
                name: one for name, one in self._buckets.items() if moment - one[1] < self._burst / self._rate
            }
        self._buckets[caller] = (tokens - 1, moment)
        return 0
