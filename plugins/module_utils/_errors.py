# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one shape of an error: a code a program can act on, a sentence a person can act on, and details."""

from __future__ import annotations

import re
from typing import Any, NoReturn

_CODE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")


class LivchatError(Exception):
    """Something that went wrong, with a code. `message` says what happened, to what, and what to do next.

    Neither `message` nor `details` may hold a secret: both reach logs and people.
    """

    def __init__(
        self,
        code: str,
        message: str,
        details: dict[str, Any] | None = None,
        retry_after: int | None = None,
    ) -> None:
        if not _CODE.fullmatch(code):
            raise ValueError("an error code is made of upper case words joined by _, got %r" % (code,))
        super().__init__(message)
        self.code = code
        self.message = message
        self.details: dict[str, Any] = dict(details or {})
        self.retry_after = retry_after

    def __str__(self) -> str:
        return "%s: %s" % (self.code, self.message)

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions are pickled with `args` alone, which would lose the code between Ansible's processes.
        return (type(self), (self.code, self.message, self.details, self.retry_after))

    def to_dict(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "message": self.message,
            "details": dict(self.details),
            "retry_after": self.retry_after,
        }


def fail(module: Any, error: LivchatError, **result: Any) -> NoReturn:
    """Ends an Ansible module with the error: one line for people, the object for programs."""
    module.fail_json(msg=str(error), error=error.to_dict(), **result)
    raise error  # fail_json does not return; this tells type checkers, and tests that replace it, the same.
