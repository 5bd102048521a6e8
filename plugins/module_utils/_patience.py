# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""How long an API may refuse, fail or stay silent before we give up, and how to wait until it is better."""

from __future__ import annotations

import time
import typing as t
from collections.abc import Callable

from ._errors import LivchatError

# Seconds of setting general.api_patience, when nobody set it: longer than an API takes to restart or to fail over.
DEFAULT = 60
# Between tries the pause doubles, up to this many seconds.
LONGEST_PAUSE = 15
T = t.TypeVar("T")


class TransientError(LivchatError):
    """Another try may succeed. `asked` is how many seconds the other side wants to be left alone before that."""

    def __init__(
        self,
        code: str,
        message: str,
        details: dict[str, t.Any] | None = None,
        retry_after: int | None = None,
        asked: int | None = None,
    ) -> None:
        super().__init__(code, message, details, retry_after)
        self.asked = asked


class ConnectionCutError(TransientError):
    """No proper answer came, so nobody knows whether the request was carried out."""


class Patience:
    """So many seconds for all that goes wrong in a run: pauses between tries, and silence."""

    def __init__(
        self,
        seconds: float,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._left = float(seconds)
        self._sleep = sleep
        self._clock = clock

    def call(self, ask: Callable[[], T], only: type[TransientError] = TransientError) -> T:
        """What `ask` answers, at once or at a later try; tries end with another error, or when patience does."""
        attempt = 0
        while True:
            began = self._clock()
            try:
                return ask()
            except TransientError as error:
                self._left -= self._clock() - began
                if not isinstance(error, only):
                    raise
                self.wait(error, attempt)
            attempt += 1

    def wait(self, error: TransientError, attempt: int) -> None:
        """The pause before another try, or the error if there is no patience left for it."""
        pause = min(2**attempt, LONGEST_PAUSE) if error.asked is None else error.asked
        if pause > self._left:
            raise error
        self._left -= pause
        self._sleep(pause)


def bounded(timeout: float, patience: float) -> float:
    """The timeout of one request: no answer is waited for longer than patience lasts."""
    return min(timeout, max(patience, 1))
