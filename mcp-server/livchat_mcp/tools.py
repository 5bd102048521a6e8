"""The tools: made from the list of operations, and from a caller's arguments back to one operation."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from mcp import types

from livchat_cli.errors import LivchatError
from livchat_cli.operations import OPERATIONS, Effect, Operation, Scope, allowed
from livchat_cli.parameters import Parameters
from livchat_mcp import schemas, table
from livchat_mcp.options import Options
from livchat_mcp.texts import Texts

# What arguments may take at most, as JSON. An installation with all its variables has a tenth of it.
LARGEST = 64 * 1024
# Arguments that the gateway adds, with what they must look like.
_PATTERNS = {
    "plano": re.compile(r"plano_[A-Za-z0-9_-]{22}"),
    "cursor": re.compile(r"[0-9]{1,9}"),
}
# That of a log of an application goes by time.
_LOG_CURSOR = re.compile(r"[0-9T:.Z-]{20,40}~[0-9]{1,9}")
# Parameters by which there is less to show, the first that an operation has being the best to use.
_NARROWING = ("service", "lines", "limit", "status", "category", "app", "target", "name")
_FLAGS = ("ao_vivo", "aguardar")


@dataclass(frozen=True)
class Call:
    """What a caller asks for: one operation, its parameters, and what is said to the gateway itself."""

    tool: Tool
    operation: Operation
    # As given, by parameter; without what was left out.
    values: dict[str, Any]
    parameters: Parameters
    plan: str = ""
    cursor: str = ""
    live: bool = False
    wait: bool = False

    def confirmed(self) -> dict[str, Any]:
        """The values with the confirmation that a plan's approval stands for."""
        name = self.operation.confirm
        return {**self.values, "confirm_name": getattr(self.parameters, name)} if name else self.values

    def narrowing(self) -> list[str]:
        """Arguments that make the result smaller."""
        known = self.operation.schema()
        return [name for name in _NARROWING if name in known]


@dataclass(frozen=True)
class Tool:
    """One tool: the operations that it carries out here, of those that the table gives it."""

    name: str
    operations: tuple[Operation, ...]
    # Whether the table gives it several, so that an argument says which.
    several: bool
    texts: Texts = field(repr=False)

    @property
    def rest(self) -> bool:
        return self.name == table.REST

    @property
    def kind(self) -> table.Kind:
        return table.kind(self.operations)

    @cached_property
    def actions(self) -> dict[str, Operation]:
        """The operations by what the argument that names one says."""
        if self.rest:
            return {one.name: one for one in self.operations}
        verbs = {one.name.rpartition(".")[2]: one for one in self.operations}
        return verbs if len(verbs) == len(self.operations) else {one.name: one for one in self.operations}

    @cached_property
    def own(self) -> dict[str, schemas.Schema]:
        """The arguments that the gateway adds."""
        text, flag = {"type": "string"}, {"type": "boolean"}
        added: dict[str, schemas.Schema] = {}
        if self.rest:
            added["nome"] = {**text, "enum": list(self.actions)}
            added["parametros"] = {"type": "object", "additionalProperties": True}
        elif self.several:
            choices = ", ".join(said for name in self.actions if (said := self._signature(name)) != name)
            more = {"description": self.texts("acao", choices=choices)} if choices else {}
            added["acao"] = {**text, "enum": list(self.actions), **more}
            if self._default_action:
                added["acao"]["default"] = self._default_action
        if any(plans(one) for one in self.operations):
            added["plano"] = {**text, "description": self.texts("plano")}
        if any(one.effect is Effect.READ for one in self.operations):
            # The answer that it goes on from says how.
            added["cursor"] = text
        if any(one.index for one in self.operations):
            added["ao_vivo"] = {**flag, "description": self.texts("ao_vivo")}
        if any(one.name == "jobs.show" for one in self.operations):
            added["aguardar"] = {**flag, "description": self.texts("aguardar")}
        return added

    def listed(self) -> types.Tool:
        """The tool as clients see it."""
        language = self.texts.language
        properties = dict(self.own)
        required: list[str] = [
            name for name in ("nome", "acao") if name in properties and "default" not in properties[name]
        ]
        if not self.rest:
            for operation in self.operations:
                for name, schema in schemas.parameters(operation, language).items():
                    properties.setdefault(name, schema)
            needed = [set(schemas.required(one)) for one in self.operations]
            required += sorted(set.intersection(*needed))
        return types.Tool(
            name=self.name,
            description=self._description(),
            input_schema={
                "type": "object",
                "properties": properties,
                **({"required": required} if required else {}),
                "additionalProperties": False,
            },
            output_schema=schemas.OUTPUT,
            annotations=table.ANNOTATIONS[self.kind],
        )

    def read(self, arguments: Mapping[str, Any]) -> Call:
        """The call that the arguments ask for.

        Raises:
            LivchatError: INPUT_INVALID; it says what is allowed, and never what was given.
        """
        if len(json.dumps(arguments)) > LARGEST:
            raise LivchatError("INPUT_INVALID", self.texts("too_large", limit=LARGEST), {"fields": []})
        given = dict(arguments)
        own = {name: given.pop(name) for name in self.own if name in given}
        operation = self._chosen(own)
        patterns = _PATTERNS | ({"cursor": _LOG_CURSOR} if operation.name == "logs" else {})
        for name, pattern in patterns.items():
            if name in own and not (isinstance(own[name], str) and pattern.fullmatch(own[name])):
                raise self._wrong(name)
        for name in _FLAGS:
            if not isinstance(own.get(name, False), bool):
                raise self._wrong(name)
        values = own.get("parametros", {}) if self.rest else given
        if not isinstance(values, dict):
            raise self._wrong("parametros")
        if self.rest and given:
            raise self._invalid([self.texts("argument_unknown", allowed=", ".join(self.own))])
        # What is null was left out.
        values = {name: value for name, value in values.items() if value is not None}
        return Call(
            tool=self,
            operation=operation,
            values=values,
            parameters=self._parsed(operation, values),
            plan=own.get("plano") or "",
            cursor=own.get("cursor") or "",
            live=own.get("ao_vivo", False),
            wait=own.get("aguardar", False),
        )

    # --- how it shows
    def _description(self) -> str:
        texts = self.texts
        if self.rest:
            listed = "; ".join(f"{self._signature(name)}: {_summary(one, texts)}" for name, one in self.actions.items())
            return texts("rest", choices=listed)
        return ". ".join(dict.fromkeys(_summary(one, texts) for one in self.operations))

    def _signature(self, action: str) -> str:
        """The action with the parameters that it must have, and in the rest, where no schema shows them, may have."""
        operation = self.actions[action]
        must = schemas.required(operation)
        if self.rest:
            may = [f"{name}?" for name in operation.schema() if name not in must and name not in schemas.HIDDEN]
            must = [*must, *may]
        return f"{action} ({', '.join(must)})" if must else action

    @property
    def _default_action(self) -> str:
        name, first = next(iter(self.actions.items()))
        harmless = all(one.effect is Effect.READ for one in self.operations)
        return name if harmless and not schemas.required(first) else ""

    # --- what is given
    def _chosen(self, own: Mapping[str, Any]) -> Operation:
        if not self.rest and not self.several:
            return self.operations[0]
        name = "nome" if self.rest else "acao"
        value = own.get(name) or ("" if self.rest else self._default_action)
        if not value:
            raise self._invalid([self.texts("argument_missing", field=name) + self._choices()])
        if not isinstance(value, str) or value not in self.actions:
            raise self._wrong(name, ", ".join(self.actions))
        return self.actions[value]

    def _choices(self) -> str:
        return self.texts("allowed", words=", ".join(self.actions))

    def _parsed(self, operation: Operation, values: Mapping[str, Any]) -> Parameters:
        known = operation.schema()
        if set(values) - (set(known) - schemas.HIDDEN):
            names = [*([] if self.rest else self.own), *(name for name in known if name not in schemas.HIDDEN)]
            raise self._invalid([self.texts("argument_unknown", allowed=", ".join(names) or "-")])
        try:
            return operation.parse(values, strict=True)
        except LivchatError as error:
            raise self._invalid([self._sentence(known, one) for one in error.details["fields"]]) from None

    def _sentence(self, known: Mapping[str, Any], wrong: Mapping[str, Any]) -> str:
        # Of the path only what the schema knows: the key of a mapping is a value as well.
        name, *_rest = str(wrong["field"]).split(".")
        name = name if name in known else "?"
        if wrong["message"] == "it is required":
            return self.texts("argument_missing", field=name)
        words = allowed(known[name]) if name in known else ""
        return self.texts("argument_wrong", field=name, allowed=self.texts("allowed", words=words) if words else "")

    def _wrong(self, name: str, words: str = "") -> LivchatError:
        more = self.texts("allowed", words=words) if words else ""
        return self._invalid([self.texts("argument_wrong", field=name, allowed=more)])

    @staticmethod
    def _invalid(sentences: Sequence[str]) -> LivchatError:
        return LivchatError("INPUT_INVALID", ". ".join(dict.fromkeys(sentences)))


class Toolbox:
    """The tools of a gateway, as far as its options and a caller's scopes let them through."""

    def __init__(self, options: Options, texts: Texts, operations: Sequence[Operation] = OPERATIONS) -> None:
        table.check()
        self._texts = texts
        self._permitted = [one for one in operations if options.permits(one)]
        all_of: dict[str, int] = {}
        for one in operations:
            all_of[table.tool_of(one)] = all_of.get(table.tool_of(one), 0) + 1
        self._several = {name for name, number in all_of.items() if number > 1}
        self._made: dict[frozenset[str], dict[str, Tool]] = {}

    def tools(self, scopes: Iterable[str]) -> dict[str, Tool]:
        """The tools by name, in an order that never changes."""
        key = frozenset(scopes)
        if key not in self._made:
            found: dict[str, list[Operation]] = {}
            for one in self._permitted:
                if within(one, key):
                    found.setdefault(table.tool_of(one), []).append(one)
            order = [*(name for name, _patterns in table.NAMED), table.REST]
            self._made[key] = {
                name: Tool(name, tuple(found[name]), name in self._several, self._texts)
                for name in order
                if name in found
            }
        return self._made[key]


def within(operation: Operation, scopes: Collection[str]) -> bool:
    """Whether who has these scopes may ask for the operation at all.

    A job is its owner's to end, and who may read may have jobs of their own; whose one is, `Principal.check_job` tells.
    """
    return operation.scope in scopes or (operation.target == "job" and Scope.READ in scopes)


def plans(operation: Operation) -> bool:
    """Whether it is carried out only by an approved plan: what destroys, and what costs money."""
    return operation.effect is Effect.DESTROY or bool(operation.creates)


def _summary(operation: Operation, texts: Texts) -> str:
    return texts.pick(operation.summary_pt, operation.summary)
