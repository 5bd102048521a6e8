"""How a gateway was started: what it may do at all, whoever asks."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

from livchat_cli.operations import Effect, Operation, Scope
from livchat_mcp.table import tool_of
from livchat_mcp.texts import Language

# Seconds a command on a server may take, and characters that may come back of it.
COMMAND_TIMEOUT = 120
COMMAND_OUTPUT = 6000


@dataclass(frozen=True)
class Options:
    language: Language = "pt"
    read_only: bool = False
    no_destructive: bool = False
    # Patterns of names of tools or operations. Without one to allow, all are.
    allow: Sequence[str] = ()
    deny: Sequence[str] = ()
    # Whether commands may be run on servers.
    commands: bool = False
    command_timeout: int = COMMAND_TIMEOUT

    def permits(self, operation: Operation) -> bool:
        """Whether the operation can be had here. To read only beats all else; to deny beats to allow."""
        if self.read_only and operation.effect is not Effect.READ:
            return False
        if operation.scope is Scope.EXEC and not self.commands:
            return False
        # Nobody knows what a command destroys.
        if self.no_destructive and (operation.effect is Effect.DESTROY or operation.scope is Scope.EXEC):
            return False
        if _named(operation, self.deny):
            return False
        return not self.allow or _named(operation, self.allow)


def _named(operation: Operation, patterns: Sequence[str]) -> bool:
    names = (operation.name, tool_of(operation))
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns for name in names)
