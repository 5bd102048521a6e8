"""Errors as answers: the one shape of an error, with the HTTP status that fits its code."""

from __future__ import annotations

import json
from collections.abc import Mapping

from starlette.responses import Response

from livchat_cli import errors
from livchat_cli.errors import LivchatError, exit_code

_EXACT = {
    "TOKEN_IN_URL": 400,
    "REQUEST_INVALID": 400,
    "ACCESS_DENIED": 401,
    "ACCESS_FORBIDDEN": 403,
    "METHOD_NOT_ALLOWED": 405,
    "REQUEST_TIMEOUT": 408,
    "JOB_ENDED": 409,
    "TOKEN_EXPIRED": 409,
    "IDEMPOTENCY_CONFLICT": 409,
    "BODY_TOO_LARGE": 413,
    "MEDIA_TYPE_UNKNOWN": 415,
    "HOST_UNKNOWN": 421,
    "RATE_LIMITED": 429,
    "OVERLOADED": 503,
    "VAULT_LOCKED": 503,
}
# For all other codes: the kinds that the command line's exit codes tell apart.
_BY_EXIT = {
    errors.INVALID: 422,
    errors.UNKNOWN: 404,
    errors.REFUSED: 409,
    # A token or a secret of this home's, not of the caller's.
    errors.DENIED: 502,
    errors.UNREACHABLE: 503,
}
_CHALLENGE = 'Bearer realm="livchat-setup"'
# Those that a caller should expect of any operation, for the description.
USUAL = (400, 401, 403, 404, 409, 422, 429, 503)


def status(error: LivchatError) -> int:
    """The HTTP status of an error."""
    return _EXACT.get(error.code) or _BY_EXIT.get(exit_code(error), 500)


def answer(error: LivchatError, headers: Mapping[str, str] | None = None) -> Response:
    """The error as an answer."""
    number = status(error)
    more = dict(headers or {})
    if error.retry_after is not None:
        more["Retry-After"] = str(error.retry_after)
    if number == 401:
        more.setdefault("WWW-Authenticate", _CHALLENGE)
    elif number == 403:
        scope = error.details.get("scope")
        more["WWW-Authenticate"] = f'{_CHALLENGE}, error="insufficient_scope"' + (f', scope="{scope}"' if scope else "")
    if number in (408, 413):
        # What is left of the request is not going to be read.
        more["Connection"] = "close"
    text = json.dumps(error.to_dict(), ensure_ascii=False)
    return Response(text, number, media_type="application/json", headers=more)


def internal(defect: BaseException) -> LivchatError:
    """A defect of ours; its text stays out, since nobody knows what it quotes."""
    return LivchatError("INTERNAL_ERROR", f"a defect of livchat-setup ({type(defect).__name__})")
