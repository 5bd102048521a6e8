"""Sliding windows: what fits in them, and when there is room again."""

from __future__ import annotations

import contextlib

import pytest

from livchat_cli.api import limits
from livchat_cli.api.limits import Places, Window


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_window_slides() -> None:
    clock = Clock()
    window = Window(2, 60.0, clock)
    assert window.take("a") == 0
    clock.now += 20
    assert window.take("a") == 0
    assert window.take("a") == pytest.approx(40)
    assert window.take("b") == 0
    clock.now += 39
    assert window.take("a") == pytest.approx(1)
    clock.now += 1
    assert window.take("a") == 0
    assert window.take("a") == pytest.approx(20)


def test_only_so_many_keys_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "KEPT", 3)
    window = Window(1, 60.0, Clock())
    for key in "abcd":
        assert window.take(key) == 0
    # The one that was quiet for longest is forgotten, the others are not.
    assert window.take("d") > 0
    assert window.take("a") == 0


def test_only_so_many_have_a_place_at_once_and_each_is_given_back() -> None:
    places = Places(2, 3)
    with places.one("a") as first, contextlib.ExitStack() as later:
        assert first
        assert [later.enter_context(places.one(key)) for key in "aabbc"] == [True, False, True, False, False]
    with places.one("a") as first, places.one("a") as second, places.one("b") as third:
        assert first and second and third
