"""Modules that change one server take turns, and one that nobody waits for any more makes room."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
PROGRAM = """
import sys, time
sys.path.insert(0, {root!r})
from ansible_collections.livchat.setup.plugins.module_utils import _alone
from ansible_collections.livchat.setup.plugins.module_utils._errors import LivchatError
_alone.FOLDER = {folder!r}
try:
    _alone.be_alone(patience={patience})
except LivchatError as error:
    sys.exit(error.code)
open({began!r}, "w").close()
deadline = time.monotonic() + {seconds}
while time.monotonic() < deadline:
    _alone.give_way()
    time.sleep(0.05)
open({ended!r}, "w").close()
"""


class Modules:
    """Processes that stand for modules: what a module prints is read by its controller, as long as that lives."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, seconds: float, patience: float = 20) -> subprocess.Popen[bytes]:
        program = PROGRAM.format(
            root=str(ROOT / "build" / "collections"),
            folder=str(self.folder / "run"),
            patience=patience,
            seconds=seconds,
            began=str(self.folder / f"{name}.began"),
            ended=str(self.folder / f"{name}.ended"),
        )
        module = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.running.append(module)
        return module

    def has(self, what: str, seconds: float = 10) -> bool:
        deadline = time.monotonic() + seconds
        while not (self.folder / what).exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        return (self.folder / what).exists()


@pytest.fixture
def modules(tmp_path: Path) -> Iterator[Modules]:
    made = Modules(tmp_path)
    yield made
    for module in made.running:
        module.kill()
        module.wait()


def hang_up(module: subprocess.Popen[bytes]) -> None:
    """What the module sees of a controller that dies."""
    assert module.stdout
    module.stdout.close()


def test_one_waits_for_another_whose_controller_lives(modules: Modules) -> None:
    first = modules.start("first", 2)
    assert modules.has("first.began")
    second = modules.start("second", 0)
    assert second.wait(20) == 0
    assert first.wait(1) == 0
    assert modules.has("first.ended") and modules.has("second.ended")


def test_who_waits_too_long_is_told(modules: Modules) -> None:
    modules.start("first", 20)
    assert modules.has("first.began")
    second = modules.start("second", 0, patience=0.3)
    _, said = second.communicate(timeout=20)
    assert said.strip() == b"SERVER_BUSY"


def test_one_whose_controller_died_makes_room_for_the_next(modules: Modules) -> None:
    first = modules.start("first", 60)
    assert modules.has("first.began")
    hang_up(first)
    second = modules.start("second", 0)
    assert second.wait(20) == 0
    assert first.wait(5) != 0
    assert modules.has("second.ended") and not modules.has("first.ended", 0)


def test_one_whose_controller_died_finishes_when_nobody_waits(modules: Modules) -> None:
    first = modules.start("first", 1)
    assert modules.has("first.began")
    hang_up(first)
    assert first.wait(20) == 0
    assert modules.has("first.ended")
