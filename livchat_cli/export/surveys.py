"""An operation's parameters as the questions of a survey."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from livchat_cli import collection
from livchat_cli.operations import MAY_HOLD_SECRETS, Operation, allowed

collection.activate()

from ansible_collections.livchat.setup.plugins.plugin_utils._answers import free, plain  # noqa: E402

# Answers are variables of their own: an extra-var wins over everything, so that one with the name of a playbook's
# variable could not be made from a text into a list or a number any more.
PREFIX = "survey_"
# A password question has one line in AWX, for what are lines here, and hides a command from who has to look it over.
_WARNING = "whoever may see the job reads it, so no password here"


class Kind(StrEnum):
    TEXT = "text"
    # A text of several lines.
    LINES = "lines"
    SECRET = "secret"  # noqa: S105  # the name of a kind of question
    INTEGER = "integer"
    NUMBER = "number"
    CHOICE = "choice"
    # Several of the choices.
    CHOICES = "choices"


@dataclass(frozen=True)
class Question:
    parameter: str
    title: str
    description: str
    kind: Kind
    required: bool
    # None: the answer may be left out, or has to be given.
    default: str | int | float | None = None
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None

    @property
    def variable(self) -> str:
        return PREFIX + self.parameter


def questions(operation: Operation) -> list[Question]:
    """One for each parameter; where something is destroyed, the confirmation has to be given."""
    schema = operation.model.model_json_schema()
    definitions = schema.get("$defs", {})
    required = {*schema.get("required", ()), *(["confirm_name"] if operation.confirm else [])}
    return [
        _question(name, plain(one, definitions), name in required) for name, one in schema.get("properties", {}).items()
    ]


def _question(name: str, schema: Mapping[str, Any], required: bool) -> Question:
    kind = _kind(schema)
    limits = ("minimum", "maximum") if kind in (Kind.INTEGER, Kind.NUMBER) else ("minLength", "maxLength")
    minimum, maximum = (schema.get(limit) for limit in limits)
    warning = f"; {_WARNING}" if name in MAY_HOLD_SECRETS else ""
    return Question(
        parameter=name,
        title=str(schema.get("title", name)).capitalize(),
        description=_description(schema) + warning,
        kind=kind,
        required=required,
        default=None if required else _default(schema),
        choices=_choices(schema),
        minimum=minimum if isinstance(minimum, int) else None,
        maximum=maximum if isinstance(maximum, int) else None,
    )


def _kind(schema: Mapping[str, Any]) -> Kind:
    if schema.get("format") == "password" or schema.get("writeOnly"):
        return Kind.SECRET
    if _choices(schema):
        return Kind.CHOICES if schema.get("type") == "array" else Kind.CHOICE
    kinds = {"integer": Kind.INTEGER, "number": Kind.NUMBER, "object": Kind.LINES}
    return kinds.get(str(schema.get("type")), Kind.TEXT)


def _choices(schema: Mapping[str, Any]) -> tuple[str, ...]:
    if schema.get("type") == "boolean":
        return ("false", "true")
    return tuple(map(_written, plain(schema.get("items", schema)).get("enum", ())))


def _default(schema: Mapping[str, Any]) -> str | int | float | None:
    default = schema.get("default")
    if default in (None, [], {}):
        return None
    if isinstance(default, (int, float)) and not isinstance(default, bool):
        return default
    # AWX wants one a line.
    return "\n".join(default) if _kind(schema) is Kind.CHOICES else _written(default, schema)


def _description(schema: Mapping[str, Any]) -> str:
    """What it is, in which form, what is allowed, and an example in that form."""
    parts = [str(schema.get("description", "")).rstrip(".")]
    if schema.get("type") == "array" and not _choices(schema):
        parts.append("words as a shell takes them apart" if _free(schema) else "several by commas")
    if schema.get("type") == "object":
        parts.append("one a line")
    if words := allowed(schema):
        parts.append(f"allowed: {words}")
    if examples := schema.get("examples"):
        parts.append(f"such as {_written(examples[0], schema)}")
    return "; ".join(part for part in parts if part)


def _written(value: Any, schema: Mapping[str, Any] = MappingProxyType({})) -> str:
    """A value as somebody would type it; the inverse of what `_answers` reads."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "\n".join(
            f"{key}.{name}={_written(one)}" if name else f"{key}={_written(one)}"
            for key, inner in value.items()
            for name, one in (inner.items() if isinstance(inner, dict) else [("", inner)])
        )
    if isinstance(value, list):
        if not all(isinstance(one, str) for one in value):
            return json.dumps(value)
        return shlex.join(value) if _free(schema) else ", ".join(value)
    return str(value)


def _free(schema: Mapping[str, Any]) -> bool:
    return free(plain(schema.get("items", {})))
