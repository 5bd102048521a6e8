"""What the gateway's tests share: a home, a copy of the tree with one more operation, and anyio's own runner."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.throwaway import Tree, plant


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return plant(tmp_path_factory.mktemp("throwaway"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    return folder
