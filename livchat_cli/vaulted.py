"""What the vault holds, by name alone."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from livchat_cli import collection

if TYPE_CHECKING:
    from livchat_cli.parameters import SecretsList

collection.activate()

from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._vault import FILE, Vault  # noqa: E402


def list_secrets(home: Path, parameters: SecretsList) -> list[str]:
    """The operation secrets.list: paths, never a value."""
    try:
        stat = (home / FILE).stat()
    except FileNotFoundError:
        return []
    below = f"{parameters.below}/" if parameters.below else ""
    return [path for path in _paths(home, (stat.st_mtime_ns, stat.st_ino)) if path.startswith(below)]


@functools.lru_cache(maxsize=4)
def _paths(home: Path, _version: tuple[int, int]) -> tuple[str, ...]:
    """Opening the vault takes longer than all the rest, and only its names may stay in memory."""
    return tuple(Vault(Home(str(home))).paths())
