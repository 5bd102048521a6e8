"""What tests of several parts need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.cloudflare.loopback import CloudflareLab
from tests.lab.dns_server import Upstream
from tests.throwaway import Tree, plant


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
