"""New keys for programs: what an operation shows once, to a person, goes into a file and not to a model or a log."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from livchat_cli import collection
from livchat_cli.operations import Operation

collection.activate()

from ansible_collections.livchat.setup.plugins.plugin_utils._home import writing  # noqa: E402

FOLDER = "keys"


class Keys:
    """The files of one home."""

    def __init__(self, home: Path) -> None:
        self._folder = home / FOLDER

    def keep(self, operation: Operation, result: Mapping[str, Any]) -> str:
        """Writes the result's secrets into a new file that only the operator may read; its path."""
        path = self._folder / f"{operation.name}-{secrets.token_hex(4)}"
        with writing(str(path)):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
                handle.writelines(f"{result[name]}\n" for name in operation.reveals if result.get(name))
        return str(path)
