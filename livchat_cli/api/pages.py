"""Lists in pages, with filters; and the tags by which a client knows that nothing has changed."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from livchat_cli import results
from livchat_cli.api.asked import invalid
from livchat_cli.errors import LivchatError
from livchat_cli.operations import Operation

LIMIT = 100
MOST = 1000
PAGING: dict[str, dict[str, Any]] = {
    "limit": {
        "type": "integer",
        "minimum": 1,
        "maximum": MOST,
        "default": LIMIT,
        "description": "How many",
    },
    "cursor": {
        "type": "string",
        "pattern": "^[A-Za-z0-9_=-]{1,500}$",
        "description": "Where to go on: `next_cursor` of the page before",
    },
}


class Listing:
    """How the answer of an operation that lists is cut into pages.

    An operation that pages itself, by `limit` and `before`, keeps its own `limit`; `cursor` stands for `before`.
    """

    def __init__(self, row: Any, own: Mapping[str, Any]) -> None:
        self._is_row = isinstance(row, type) and issubclass(row, results.Row)
        self._key: tuple[str, ...] = row.KEY if self._is_row else ()
        self.pages_itself = "before" in own
        self._filters = [one for one in (row.FILTERS if self._is_row else ()) if one not in own]
        filters = {one: {"type": "string", "description": f"Only those with this `{one}`"} for one in self._filters}
        # The parameters that this adds to those of the operation.
        self.schemas = {**{name: one for name, one in PAGING.items() if name not in own}, **filters}

    @classmethod
    def of(cls, operation: Operation, own: Mapping[str, Any]) -> Listing | None:
        """That of the operation; None where it does not list."""
        found = getattr(results, operation.result) if operation.result else None
        return cls(typing.get_args(found)[0], own) if typing.get_origin(found) is list else None

    def prepare(self, values: dict[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
        """The operation's parameters, with the cursor where it pages itself."""
        cursor = asked.get("cursor")
        if cursor is None or not self.pages_itself:
            return values
        (last,) = _opened(cursor, 1)
        return {**values, "before": last}

    def page(self, rows: Sequence[Any], asked: Mapping[str, Any], limit: int | None = None) -> dict[str, Any]:
        """The page that was asked for; `limit` is the operation's own, which has cut the rows already."""
        if limit is not None:
            more = len(rows) == limit
            return {"items": rows, "next_cursor": self._cursor(rows[-1]) if more else None}
        wanted = asked.get("limit", LIMIT)
        if not isinstance(wanted, int) or not 1 <= wanted <= MOST:
            raise invalid("limit", "not allowed", f"1 to {MOST}")
        left = [row for row in rows if all(row[name] == asked[name] for name in self._filters if name in asked)]
        if self._is_row:
            left.sort(key=self._identity)
        if (cursor := asked.get("cursor")) is not None:
            left = list(self._after(left, _opened(cursor, len(self._key) or 1)))
        page = left[:wanted]
        return {"items": page, "next_cursor": self._cursor(page[-1]) if len(left) > wanted else None}

    def _after(self, rows: Sequence[Any], last: tuple[str, ...]) -> Iterator[Any]:
        if self._is_row:
            # Also when that row is gone by now.
            yield from (row for row in rows if self._identity(row) > last)
        elif last[0] in rows:
            yield from rows[rows.index(last[0]) + 1 :]

    def _identity(self, row: Any) -> tuple[str, ...]:
        return tuple(str(row[name]) for name in self._key) if self._is_row else (str(row),)

    def _cursor(self, row: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(self._identity(row)).encode()).decode()


def tagged(request: Request, content: Any) -> Response:
    """The content as an answer with a tag, or word that it is what the client has already."""
    text = json.dumps(content, ensure_ascii=False).encode()
    tag = f'"{hashlib.sha256(text).hexdigest()[:32]}"'
    known = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    # A token may see what another one may not; and what is kept must be asked after each time.
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Authorization"}
    if tag in known or known == ["*"]:
        return Response(status_code=304, headers=headers)
    return Response(text, media_type="application/json", headers=headers)


def _opened(cursor: Any, parts: int) -> tuple[str, ...]:
    try:
        found = json.loads(base64.urlsafe_b64decode(str(cursor).encode("ascii")))
    except (binascii.Error, ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or len(found) != parts or not all(isinstance(one, str) for one in found):
        raise LivchatError("CURSOR_UNKNOWN", "this cursor is none: take `next_cursor` of the page before")
    return tuple(found)
