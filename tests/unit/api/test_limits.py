"""Sliding windows: what fits in them, when there is room again, and what a restart does not forget."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from livchat_cli.access import Principal
from livchat_cli.api import limits
from livchat_cli.api.limits import Limits, Window
from livchat_cli.errors import LivchatError
from livchat_cli.jobs import JobFolder
from livchat_cli.operations import get

WHO = Principal("token:ci", frozenset({"admin"}), token="1a2b3c4d")


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


def test_several_are_taken_together_or_not_at_all() -> None:
    window = Window(3, 60.0, Clock())
    assert window.take("a", 2) == 0
    assert window.take("a", 2) > 0
    assert window.take("a") == 0
    window.give_back("a", 1)
    assert window.take("a") == 0
    assert window.take("b", 4) > 0


def test_only_so_many_keys_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "KEPT", 3)
    window = Window(1, 60.0, Clock())
    for key in "abcd":
        assert window.take(key) == 0
    # The one that was quiet for longest is forgotten, the others are not.
    assert window.take("d") > 0
    assert window.take("a") == 0


def test_servers_made_before_a_restart_count(tmp_path: Path) -> None:
    now = datetime.datetime.now(datetime.UTC)
    made = [
        ("server.create", {"name": "a"}, 50),
        ("launch", {"names": ["b", "c", "d"]}, 10),
        ("server.create", {"name": "x"}, 70),
    ]
    for operation, parameters, minutes in made:
        folder = JobFolder.make(tmp_path / "jobs")
        folder.update(
            operation=operation,
            parameters=parameters,
            principal="token:ci",
            token=WHO.token,
            servers=[],
            status="successful",
            created_at=(now - datetime.timedelta(minutes=minutes)).isoformat(timespec="seconds"),
        )
    found = Limits(tmp_path)
    create = get("server.create")
    one = create.parse({"name": "e", "domain": "e.example.com"})
    assert found.creation(WHO, create, one) == 1
    with pytest.raises(LivchatError, match="RATE_LIMITED") as refused:
        found.creation(WHO, create, one)
    # The one of fifty minutes ago is over in ten.
    assert 500 < (refused.value.retry_after or 0) <= 600
    found.undo(WHO, 1)
    assert found.creation(WHO, create, one) == 1
