"""What tests of several parts need."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.lab.cloudflare.loopback import CloudflareLab
from tests.lab.dns_server import Upstream
from tests.throwaway import Tree, plant
from tests.unit.api.running import PLENTY, Running


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudflareLab]:
    """Cloudflare's API and a DNS server of its own, with the zone lab.test."""
    monkeypatch.setenv("LIVCHAT_LAB_DIR", str(tmp_path / "lab"))
    running = CloudflareLab(Upstream("127.0.0.1", tmp_path / "none", tmp_path / "none"))
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """A copy of the package and the collection with one more operation."""
    return plant(tmp_path_factory.mktemp("throwaway"))


@pytest.fixture
def another(tree: Tree, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Makes APIs of a test's own, which are gone when it ends; not started yet."""
    made: list[Running] = []

    def make(settings: Mapping[str, Any] = PLENTY, folder: str = "home") -> Running:
        made.append(Running(tree, tmp_path / folder, settings))
        return made[-1]

    yield make
    for running in made:
        if hasattr(running, "process") and running.process.poll() is None:
            running.process.kill()
            running.process.wait()
