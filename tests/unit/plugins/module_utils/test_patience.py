"""How long another try is worth it, with a clock that only moves when somebody waits."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ansible_collections.livchat.setup.plugins.module_utils._errors import LivchatError
from ansible_collections.livchat.setup.plugins.module_utils._patience import (
    ConnectionCutError,
    Patience,
    TransientError,
)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


class Api:
    """Fails so many times, each after so many seconds, and answers then."""

    def __init__(self, clock: Clock, error: LivchatError, times: int, silent: float = 0) -> None:
        self._clock, self._error, self._times, self._silent = clock, error, times, silent
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        if self.asked > self._times:
            return "answer"
        self._clock.now += self._silent
        raise self._error


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def patience(clock: Clock) -> Callable[[float], Patience]:
    return lambda seconds: Patience(seconds, clock.sleep, lambda: clock.now)


CUT = ConnectionCutError("API_UNREACHABLE", "no answer")


def test_pauses_grow_up_to_a_limit(clock: Clock, patience: Callable[[float], Patience]) -> None:
    assert patience(60).call(Api(clock, CUT, 6)) == "answer"
    assert clock.pauses == [1, 2, 4, 8, 15, 15]


def test_all_requests_share_the_patience(clock: Clock, patience: Callable[[float], Patience]) -> None:
    shared = patience(10)
    assert shared.call(Api(clock, CUT, 2)) == "answer"
    with pytest.raises(ConnectionCutError):
        shared.call(Api(clock, CUT, 100))
    assert clock.pauses == [1, 2, 1, 2, 4]


def test_silence_counts(clock: Clock, patience: Callable[[float], Patience]) -> None:
    api = Api(clock, CUT, 100, silent=30)
    with pytest.raises(ConnectionCutError):
        patience(60).call(api)
    assert api.asked == 2 and clock.now < 62


def test_what_is_asked_for_is_waited_exactly_or_not_at_all(clock: Clock, patience: Callable[[float], Patience]) -> None:
    limited = TransientError("API_RATE_LIMITED", "wait", retry_after=30, asked=30)
    shared = patience(45)
    assert shared.call(Api(clock, limited, 1)) == "answer"
    with pytest.raises(TransientError):
        shared.call(Api(clock, limited, 1))
    assert clock.pauses == [30]


def test_other_errors_end_it_at_once(clock: Clock, patience: Callable[[float], Patience]) -> None:
    wrong = Api(clock, LivchatError("TOKEN_INVALID", "no"), 1)
    with pytest.raises(LivchatError):
        patience(60).call(wrong)
    cut = Api(clock, CUT, 1)

    class RefusedError(TransientError):
        pass

    with pytest.raises(ConnectionCutError):
        patience(60).call(cut, only=RefusedError)
    assert (wrong.asked, cut.asked, clock.pauses) == (1, 1, [])
