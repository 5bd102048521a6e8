"""What a front door answers when an operation fails: one shape, one exit code for each kind."""

from __future__ import annotations

from typing import Any

# Exit codes of the command line.
FAILED, BAD_INPUT, REFUSED, INTERRUPTED = 1, 2, 4, 130


class OperationError(Exception):
    """An operation that did not succeed: the error's object, and the exit code."""

    def __init__(self, code: str, message: str, details: dict[str, Any] | None = None, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.error = {"code": code, "message": message, "details": details or {}, "retry_after": None}


# --- the rest of the front door is moving to this one error
from livchat_cli import collection  # noqa: E402

collection.importable()

from ansible_collections.livchat.setup.plugins.module_utils._errors import LivchatError  # noqa: E402

__all__ = ["LivchatError", "OperationError"]
