"""From an operation's parameters to the JSON schema that clients see: short, and of the plainest kind.

Not every client, nor every model behind one, takes all of JSON Schema. What they all take is: objects, arrays, strings,
integers, booleans, and enumerations of strings. Patterns stay here: the gateway checks them, and says what is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from livchat_cli.operations import Operation
from livchat_mcp.texts import Language
from livchat_mcp.translations import PORTUGUESE

Schema = dict[str, Any]
# The approval of a plan takes its place.
HIDDEN = {"confirm_name"}
# What each tool answers with: how far it is, always. It says no more, since it stands in the list of tools as often as
# there are tools: what else there is of an answer the instructions say once, and `Reply` in full.
OUTPUT: Schema = {"type": "object", "required": ["estado"]}
# The least number of anything is none or one. The gateway checks that, too.
_KEPT = ("type", "enum", "maximum")


def parameters(operation: Operation, language: Language) -> dict[str, Schema]:
    """The operation's parameters by name."""
    return {name: _described(one, language) for name, one in operation.schema().items() if name not in HIDDEN}


def required(operation: Operation) -> list[str]:
    return [name for name, field in operation.model.model_fields.items() if field.is_required() and name not in HIDDEN]


def _described(schema: Mapping[str, Any], language: Language) -> Schema:
    description = schema.get("description", "")
    spoken = PORTUGUESE.get(description, description) if language == "pt" else description
    return {**_plain(schema), **({"description": spoken} if spoken else {})}


def _plain(schema: Mapping[str, Any]) -> Schema:
    # Optional: the type, or null, which is the same as leaving it out.
    for one in schema.get("anyOf", ()):
        if one.get("type") != "null":
            return {**_plain(one), **_default(schema)}
    plain = {key: schema[key] for key in _KEPT if key in schema} | _default(schema)
    if "const" in schema:
        plain |= {"type": "string", "enum": [schema["const"]]}
    if "items" in schema:
        plain["items"] = _plain(schema["items"])
    if schema.get("type") == "object":
        values = [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]
        plain["additionalProperties"] = next((_plain(one) for one in values if one), True)
    return plain


def _default(schema: Mapping[str, Any]) -> Schema:
    default = schema.get("default")
    return {} if default in (None, [], {}, False) else {"default": default}
