"""The collection's one shape of an error, and the exit code that each error ends the command line with."""

from __future__ import annotations

import math

from livchat_cli import collection

collection.activate()

from ansible_collections.livchat.setup.plugins.module_utils._errors import LivchatError  # noqa: E402

__all__ = ["EXIT_CODES", "LivchatError", "exit_code", "rate_limited"]

DONE, FAILED, INVALID, UNKNOWN, REFUSED, DENIED, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 4, 5, 6, 130
# The table of docs/reference/operations.md.
EXIT_CODES = {
    DONE: "done",
    FAILED: "the operation failed",
    INVALID: "the input is not allowed; nothing was done",
    UNKNOWN: "what was named does not exist",
    REFUSED: "not confirmed; nothing was done",
    DENIED: "no access: a token or the vault's password is missing, wrong, or lacks a right",
    UNREACHABLE: "a server or an API does not answer, or asks to wait: try again",
    INTERRUPTED: "interrupted",
}
_EXACT = {
    "INTERRUPTED": INTERRUPTED,
    "CONFIRMATION_REQUIRED": REFUSED,
    "CONFIRMATION_MISMATCH": REFUSED,
    "VAULT_LOCKED": DENIED,
    "SECRET_MISSING": DENIED,
    "HOME_LOCKED": UNREACHABLE,
    "INVALID_PARAMETER": INVALID,
    "DNS_NOT_MANAGED": INVALID,
}
# Tried in this order, so that DNS_TOKEN_INVALID is about access and not about input.
_ENDINGS = (
    (("_TOKEN_MISSING", "_TOKEN_INVALID", "_TOKEN_FORBIDDEN", "_TOKEN_READONLY", "_UNAUTHORIZED"), DENIED),
    (("_UNREACHABLE", "_UNAVAILABLE", "_RATE_LIMITED", "_TIMEOUT"), UNREACHABLE),
    (("_NOT_FOUND", "_UNKNOWN"), UNKNOWN),
    (("_INVALID", "_CONFLICT"), INVALID),
)


def rate_limited(message: str, most: int, wait: float) -> LivchatError:
    """RATE_LIMITED: more than `most` of something; there is room again after `wait` seconds."""
    seconds = math.ceil(wait)
    return LivchatError("RATE_LIMITED", f"{message}: try again in {seconds} s", {"limit": most}, seconds)


def exit_code(error: LivchatError) -> int:
    """The exit code for an error's code; 1 for whatever has none of its own."""
    if error.code in _EXACT:
        return _EXACT[error.code]
    return next((number for endings, number in _ENDINGS if error.code.endswith(endings)), FAILED)
