"""Where the REST API has an operation: method, path, and from where each parameter comes. Nothing here needs a server.

An operation says it itself (`Operation.route`), or this rule does: what reads is `GET /GROUP/VERB` with its parameters
in the query, everything else `POST /GROUP/VERB` with a JSON body. A mapping fits in no query, and may hold what must
not stand in an address: what reads and takes one is a POST too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlencode

from livchat_cli.operations import OPERATIONS, Effect, Operation

BASE = "/v1"
_NAME = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True)
class Request:
    """What to ask the API to have an operation carried out."""

    method: str
    # With its query.
    path: str
    body: dict[str, Any] | None


@dataclass(frozen=True)
class Route:
    operation: Operation
    method: str
    # Such as /v1/servers/{name}
    path: str
    # The operation's name for its first route; further ones add what they take from the path.
    id: str

    @property
    def in_path(self) -> tuple[str, ...]:
        """Parameters that come from the path."""
        return tuple(_NAME.findall(self.path))

    @property
    def has_body(self) -> bool:
        """Whether the other parameters come as a JSON object, and not from the query."""
        return self.method == "POST"

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The JSON schemas of the operation's parameters, which take a moment to make."""
        return self.operation.schema()

    def values(self, from_path: Mapping[str, str], others: Mapping[str, Any]) -> dict[str, Any]:
        """The operation's parameters; what the path says once fills a list with one."""
        named = {name: [value] if kind(self.schema[name]) == "array" else value for name, value in from_path.items()}
        return {**others, **named}

    def request(self, values: Mapping[str, Any]) -> Request:
        """The request for these parameters. One in the path is a single name, also where a list is taken."""
        left = {name: value for name, value in values.items() if name not in self.in_path}
        named = {
            name: quote(str(values[name][0] if isinstance(values[name], list) else values[name]), safe="")
            for name in self.in_path
        }
        path = _NAME.sub(lambda match: named[match[1]], self.path)
        if self.has_body:
            return Request(self.method, path, left)
        query = urlencode({name: _text(value) for name, value in left.items() if value is not None}, doseq=True)
        return Request(self.method, f"{path}?{query}" if query else path, None)


def of(operation: Operation) -> tuple[Route, ...]:
    """The operation's routes; the first takes all of its parameters."""
    declared = (operation.route or _general(operation), *operation.more_routes)
    found = []
    for number, one in enumerate(declared):
        method, _, path = one.partition(" ")
        name = operation.name if not number else f"{operation.name}.by_{'_'.join(_NAME.findall(path))}"
        found.append(Route(operation, method, BASE + path, name))
    return tuple(found)


def all_routes() -> list[Route]:
    return [route for operation in OPERATIONS for route in of(operation)]


def kind(schema: Mapping[str, Any]) -> str:
    """The type that a parameter's schema asks for, whether it may be left out or not."""
    types = [one["type"] for one in (schema, *schema.get("anyOf", ())) if one.get("type") not in (None, "null")]
    return str(types[0]) if types else "string"


def _general(operation: Operation) -> str:
    path = "/" + operation.name.replace(".", "/")
    if operation.effect is not Effect.READ or any(kind(one) == "object" for one in operation.schema().values()):
        return f"POST {path}"
    return f"GET {path}"


def _text(value: Any) -> Any:
    """As a query has it."""
    if isinstance(value, list):
        return [_text(one) for one in value]
    return str(value).lower() if isinstance(value, bool) else value
