"""What a request asks for: its query and its JSON body as typed values, and nothing that was not asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from livchat_cli.errors import LivchatError
from livchat_cli.operations import shown
from livchat_cli.routes import kind

_INTEGER = re.compile(r"-?[0-9]{1,18}")
_BOOLEANS = {"true": True, "false": False}


def query(request: Request, schemas: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The query's values, in the types of their schemas; what has no schema stays a text, for others to refuse.

    Raises:
        LivchatError: INPUT_INVALID, when what is one value came several times.
    """
    found: dict[str, Any] = {}
    for name in request.query_params:
        given = request.query_params.getlist(name)
        schema = schemas.get(name, {})
        if kind(schema) == "array":
            found[name] = [_typed(kind(schema.get("items", {})), one) for one in given]
        elif len(given) > 1:
            raise invalid(shown(name), "it is given more than once")
        else:
            found[name] = _typed(kind(schema), given[0])
    return found


async def body(request: Request) -> dict[str, Any]:
    """The body's JSON object; an empty one where there is no body.

    Raises:
        LivchatError: MEDIA_TYPE_UNKNOWN, REQUEST_INVALID, INPUT_INVALID.
    """
    raw = await request.body()
    if not raw:
        return {}
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise LivchatError("MEDIA_TYPE_UNKNOWN", "a body must be JSON: send it with `Content-Type: application/json`")
    try:
        found = json.loads(raw.decode("utf-8"), parse_constant=_refuse, parse_float=_number, object_pairs_hook=_once)
        # Half of a character is a text in JSON, and in no file.
        json.dumps(found, ensure_ascii=False).encode("utf-8")
    # What a parser says of a text quotes it.
    except (ValueError, RecursionError):
        raise LivchatError("REQUEST_INVALID", "the body is no JSON") from None
    if not isinstance(found, dict):
        raise invalid("body", "it must be a JSON object")
    return found


def refuse_others(given: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Raises LivchatError INPUT_INVALID when the query holds what the route does not take."""
    for name in given:
        if name not in known:
            raise invalid(shown(name), "there is no such parameter", ", ".join(known))


def invalid(field: str, message: str, allowed: str = "") -> LivchatError:
    """INPUT_INVALID about what belongs to no operation's parameters, in the same form."""
    sentence = f"{field}: {message}" + (f"; allowed: {allowed}" if allowed else "")
    about = {"field": field, "value": None, "message": message, "allowed": allowed}
    return LivchatError("INPUT_INVALID", sentence, {"fields": [about]})


def _typed(wanted: str, text: str) -> Any:
    if wanted == "integer" and _INTEGER.fullmatch(text):
        return int(text)
    if wanted == "boolean":
        return _BOOLEANS.get(text, text)
    return text


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _number(text: str) -> int | float:
    """For JSON, 22.0 is a whole number."""
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two readers of one object must not understand it in two ways."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name comes twice")
    return found
