# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""The answers of a survey, which are mostly texts, as the typed parameters that a JSON schema describes."""

from __future__ import annotations

import json
import re
import shlex
import typing as t

from ..module_utils._errors import LivchatError

Schema = t.Mapping[str, t.Any]
# What a text may say for a yes or a no, as Ansible reads them.
YES = ("true", "yes", "on", "1")
NO = ("false", "no", "off", "0")


def allowed(schema: Schema) -> str:
    """What a parameter's schema allows, in words where it has some."""
    if "x-allowed" in schema:
        return str(schema["x-allowed"])
    if "minimum" in schema and "maximum" in schema:
        return f"{schema['minimum']} to {schema['maximum']}"
    parts = [*schema.get("anyOf", ()), schema.get("items")]
    return next((words for part in parts if part and (words := allowed(part))), "")


def plain(schema: Schema, definitions: Schema | None = None) -> dict[str, t.Any]:
    """The schema of a parameter that may be left out, as that of one that may not; references are followed."""
    while "$ref" in schema:
        found = (definitions or {})[schema["$ref"].rpartition("/")[2]]
        schema = {**found, **{key: value for key, value in schema.items() if key != "$ref"}}
    kinds = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if len(kinds) != 1:
        return dict(schema)
    return {**plain(kinds[0], definitions), **{key: value for key, value in schema.items() if key != "anyOf"}}


def nested(schema: Schema) -> bool:
    """Whether a mapping holds mappings, as INSTANCE.NAME=VALUE does."""
    inner = [schema.get("additionalProperties"), *schema.get("patternProperties", {}).values()]
    return any(isinstance(one, t.Mapping) and one.get("type") == "object" for one in inner)


def pairs(lines: t.Iterable[str], deep: bool) -> dict[str, t.Any]:
    """KEY=VALUE, or OUTER.KEY=VALUE when it is deep, as a mapping.

    Raises:
        ValueError: with the key of a line that says something else; the value may be a password and stays out of it.
    """
    result: dict[str, t.Any] = {}
    for line in lines:
        key, equals, text = line.partition("=")
        outer, dot, inner = key.partition(".") if deep else ("", ".", key)
        if not equals or not dot:
            raise ValueError(key)
        (result.setdefault(outer, {}) if deep else result)[inner] = text
    return result


def read(schema: Schema, answers: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The parameters: those that were answered, and the defaults of the others; an empty text is no answer.

    Raises:
        LivchatError: INPUT_INVALID with each field and what is allowed.
    """
    definitions = schema.get("$defs", {})
    properties = {name: plain(one, definitions) for name, one in schema["properties"].items()}
    given: dict[str, t.Any] = {}
    wrong: dict[str, str] = {}
    for name, said in answers.items():
        answer = said.strip() if isinstance(said, str) else said
        if answer in (None, ""):
            continue
        if name not in properties:
            wrong[name] = f"there is no such parameter; allowed: {', '.join(properties) or 'no parameters'}"
            continue
        try:
            given[name] = _typed(properties[name], answer)
        except ValueError:
            wrong[name] = _not_allowed(properties[name])
    defaults = {
        name: one["default"] for name, one in properties.items() if one.get("default") is not None and name not in given
    }
    for name in schema.get("required", ()):
        if name not in given and name not in wrong:
            wrong[name] = "it is required"
    wrong |= _violations(schema, properties, given)
    if wrong:
        fields = [{"field": name, "message": text} for name, text in sorted(wrong.items())]
        sentences = ". ".join(f"{one['field']}: {one['message']}" for one in fields)
        raise LivchatError("INPUT_INVALID", sentences, {"fields": fields})
    return {**defaults, **given}


def _not_allowed(schema: Schema) -> str:
    # Without what was given: it may be a password.
    words = allowed(schema)
    return f"not allowed; allowed: {words}" if words else "not allowed"


def _violations(schema: Schema, properties: Schema, given: t.Mapping[str, t.Any]) -> dict[str, str]:
    # Importing it costs 60 ms, which those who only ask what is allowed need not pay.
    import jsonschema  # noqa: PLC0415

    validator = jsonschema.Draft202012Validator({"properties": properties, "$defs": schema.get("$defs", {})})
    return {
        str(error.absolute_path[0]): _not_allowed(properties[error.absolute_path[0]])
        for error in validator.iter_errors(given)
    }


def _typed(schema: Schema, answer: t.Any) -> t.Any:
    """The answer as what the schema wants; ValueError when it cannot be that."""
    kind = schema.get("type")
    if not isinstance(answer, str):
        # YAML on a command line makes a number of a text of digits.
        return str(answer) if kind == "string" and not isinstance(answer, (list, dict)) else answer
    if kind == "boolean":
        if answer.lower() not in YES + NO:
            raise ValueError(answer)
        return answer.lower() in YES
    if kind == "integer":
        return int(answer)
    if kind == "number":
        return float(answer)
    if kind == "array":
        return _listed(schema.get("items", {}), answer)
    if kind == "object":
        return json.loads(answer) if answer.startswith("{") else pairs(_lines(answer), nested(schema))
    return answer


def _listed(items: Schema, answer: str) -> list[t.Any]:
    if answer.startswith("["):
        found: list[t.Any] = json.loads(answer)
        return found
    if plain(items).get("type") == "object":
        raise ValueError("a list of mappings is written as JSON")
    # Where any text is allowed, a comma or a space may be part of it: those are words as a shell takes them apart.
    words = shlex.split(answer) if free(items) else re.split(r"[\s,]+", answer.strip(" ,"))
    return [_typed(items, word) for word in words]


def free(items: Schema) -> bool:
    """Whether a list's items may be any text, spaces and commas included."""
    return items.get("type") == "string" and not {"pattern", "enum"} & set(items)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]
