"""The operator's home, as the front doors need it."""

from __future__ import annotations

import json
import os
from pathlib import Path


def path() -> Path:
    """LIVCHAT_HOME, else ~/.livchat: the same rule as the collection's own `_home.py`."""
    return Path(os.environ.get("LIVCHAT_HOME") or "~/.livchat").expanduser().absolute()


def servers(home: Path) -> list[str]:
    """Names of the known servers, for shell completion; a damaged index completes nothing."""
    try:
        return sorted(json.loads((home / "state.json").read_text())["servers"])
    except (OSError, ValueError, KeyError, TypeError):
        return []
