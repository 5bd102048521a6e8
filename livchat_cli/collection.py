"""Where the collection is: packed with this package, or the checkout this file stands in."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent


def root() -> Path:
    """The folder that holds `ansible_collections`."""
    packed = HERE / "collection"
    return packed if packed.is_dir() else HERE.parent / "build" / "collections"


def importable() -> None:
    """Lets `ansible_collections.livchat.setup…` be imported."""
    if str(root()) not in sys.path:
        sys.path.insert(0, str(root()))
