"""How the command line ends: exit codes, and the error that carries one."""

from __future__ import annotations

from typing import Any

FAILED, BAD_INPUT, REFUSED, INTERRUPTED = 1, 2, 4, 130


class OperationError(Exception):
    """An operation that did not succeed: the error's object, and the exit code."""

    def __init__(self, code: str, message: str, details: dict[str, Any] | None = None, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.error = {"code": code, "message": message, "details": details or {}, "retry_after": None}
