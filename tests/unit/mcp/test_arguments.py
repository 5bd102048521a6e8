"""Arguments: what is let through, and that nothing of what is not comes back to anybody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from livchat_cli.errors import LivchatError
from livchat_cli.operations import OPERATIONS, Operation, Scope
from livchat_mcp import schemas, table
from livchat_mcp.options import Options
from livchat_mcp.texts import Texts
from livchat_mcp.tools import LARGEST, Tool, Toolbox
from tests.unit.mcp.scripted import Scripted, asker, gateway

TOOLS = Toolbox(Options(commands=True), Texts("en")).tools(Scope)
CANARY = "cAnArY-9b1d"
# Each holds the canary, and would do something where somebody reads it as more than a text.
ATTACKS = [
    f"; touch {CANARY}",
    f"$(touch {CANARY})",
    f"`touch {CANARY}`",
    f"{CANARY}\n- hosts: all",
    f"{{{{ lookup('pipe', 'touch {CANARY}') }}}}",
    f"../../{CANARY}",
    f"--extra-vars=@{CANARY}",
    f"prod,all:!{CANARY}",
    f"{CANARY}\0",
    f"{CANARY}' OR 1=1 --",
    f"!!python/object/apply:os.system [{CANARY}]",
    f"\u202e{CANARY}",
]
# Texts that are data by their nature: no pattern is right for them, and no shell or template reads them, as
# tests/unit/cli/test_free_text.py tries. A key's file may be anywhere; its pattern keeps out what a shell or an option
# would be.
FREE = {("exec", "command"), ("dns.set", "value"), ("dns.remove", "value"), ("server.adopt", "private_key")}
GOOD: dict[str, Any] = {
    "name": "prod",
    "names": ["prod"],
    "domain": "prod.example.com",
    "address": "203.0.113.7",
    "target": ["prod"],
    "apps": ["n8n"],
    "instance": "n8n",
    "app": "n8n",
    "command": ["df"],
    "job": "20260102T030405-a1b2c3",
    "token": "1a2b3c4d",
    "type": "A",
    "value": "203.0.113.7",
}


def good(operation: Operation) -> dict[str, Any]:
    """Arguments that the operation takes."""
    schema = operation.schema()
    wanted = {name: GOOD[name] for name in schemas.required(operation)}
    if operation.name.startswith("dns.") and "name" in wanted:
        wanted["name"] = "blog.example.com"
    # A single server, where the parameter takes one.
    return {
        name: value[0] if isinstance(value, list) and schema[name].get("type") == "string" else value
        for name, value in wanted.items()
    }


def strings(name: str, schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """A name of each place in the parameter that takes a text, and a function that puts one there."""
    for one in (schema, *schema.get("anyOf", ())):
        kind = one.get("type")
        if kind == "string":
            yield name, lambda text: text
        elif kind == "array":
            yield f"{name}[]", lambda text: [text]
        elif kind == "object":
            yield f"{name} (key)", lambda text: {text: {"a": "b"} if name == "variables" else "b"}
            if name == "variables":
                yield f"{name} (inner key)", lambda text: {"n8n": {text: "b"}}
            else:
                yield f"{name} (value)", lambda text: {"a": text}


def places() -> list[tuple[str, str, str, Any]]:
    return [
        (operation.name, name, place, put)
        for operation in OPERATIONS
        for name, schema in operation.schema().items()
        if name not in schemas.HIDDEN and (operation.name, name) not in FREE
        for place, put in strings(name, schema)
    ]


def call(tool: Tool, operation: Operation, values: dict[str, Any]) -> Any:
    if tool.rest:
        return tool.read({"nome": operation.name, "parametros": values})
    action = {"acao": next(key for key, one in tool.actions.items() if one is operation)} if tool.several else {}
    return tool.read({**action, **values})


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_what_is_right_is_let_through(operation: Operation) -> None:
    made = call(TOOLS[table.tool_of(operation)], operation, good(operation))
    assert made.operation is operation
    assert made.values == good(operation)


@pytest.mark.parametrize("attack", ATTACKS, ids=range(len(ATTACKS)))
def test_no_text_goes_anywhere_unless_its_pattern_allows_it(attack: str) -> None:
    let_through = []
    for name, parameter, place, put in places():
        operation = next(one for one in OPERATIONS if one.name == name)
        tool = TOOLS[table.tool_of(operation)]
        try:
            call(tool, operation, {**good(operation), parameter: put(attack)})
        except LivchatError as error:
            said = json.dumps(error.to_dict())
            assert error.code == "INPUT_INVALID" and CANARY not in said, (name, place, said)
        else:
            let_through.append((name, place))
    assert let_through == []


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("listar-servidores", {CANARY: "x"}),
        ("listar-servidores", {"acao": CANARY}),
        ("listar-servidores", {"acao": [CANARY]}),
        ("listar-servidores", {"cursor": CANARY}),
        ("trabalhos", {"acao": "log", "job": "20260102T030405-a1b2c3", "cursor": "2026-01-02T03:04:05.000000001Z~5"}),
        ("ver-logs", {"instance": "n8n", "target": "prod", "cursor": "5"}),
        ("listar-servidores", {"ao_vivo": CANARY}),
        ("listar-servidores", {"acao": "list", "name": CANARY}),
        ("destruir-servidor", {"name": "prod", "plano": CANARY}),
        ("destruir-servidor", {"name": "prod", "plano": f"plano_{CANARY}../../etc/pw"}),
        ("destruir-servidor", {"name": "prod", "confirm_name": CANARY}),
        ("destruir-servidor", {"name": {"x": CANARY}}),
        ("operacao", {"nome": CANARY}),
        ("operacao", {"nome": "launch", "parametros": CANARY}),
        ("operacao", {"nome": "launch", "parametros": {"names": ["prod"], CANARY: 1}}),
        ("operacao", {"nome": "launch", CANARY: 1}),
        ("instalar-app", {"apps": ["n8n"], "target": ["prod"], "variables": {"n8n": {"a": [CANARY]}}}),
        ("instalar-app", {"apps": CANARY, "target": ["prod"]}),
        ("desinstalar-app", {"instance": "n8n", "target": "prod", "drop_data": CANARY}),
        ("ver-logs", {"instance": "n8n", "target": "prod", "lines": CANARY}),
        ("ver-logs", {"instance": "n8n", "target": "prod", "lines": 10**9}),
        ("executar-comando", {"target": ["prod"], "command": [CANARY * 2000]}),
    ],
)
def test_a_wrong_argument_is_named_and_never_quoted(tool: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(LivchatError) as caught:
        TOOLS[tool].read(arguments)
    assert caught.value.code == "INPUT_INVALID"
    assert CANARY not in json.dumps(caught.value.to_dict())


def test_arguments_are_not_taken_for_something_they_are_not() -> None:
    """A flag that deletes data must not be true because somebody wrote a word into it."""
    for value in ("true", 1, "yes"):
        with pytest.raises(LivchatError):
            TOOLS["desinstalar-app"].read({"instance": "n8n", "target": "prod", "drop_data": value})


def test_an_argument_of_another_action_is_refused() -> None:
    with pytest.raises(LivchatError, match=r"allowed: acao, cursor, app$"):
        TOOLS["catalogo"].read({"acao": "show", "app": "n8n", "category": "databases"})


def test_arguments_have_a_size() -> None:
    with pytest.raises(LivchatError, match=str(LARGEST)):
        TOOLS["instalar-app"].read({"apps": ["n8n"] * LARGEST, "target": ["prod"]})


def test_what_was_left_out_may_be_null() -> None:
    values = {"name": "prod", "domain": "prod.example.com", "image": None, "labels": None}
    assert TOOLS["criar-servidor"].read(values).values == {"name": "prod", "domain": "prod.example.com"}


@pytest.mark.anyio
async def test_what_was_wrong_reaches_neither_the_caller_nor_the_audit_log(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    backend = Scripted()
    async with asker(gateway(home, backend)) as client:
        said = await client.call("instalar-app", apps=[CANARY], target=["prod"], **{CANARY: CANARY})
        unknown = await client.call(f"tool-{CANARY}")
    assert said["erro"]["code"] == "INPUT_INVALID"
    assert unknown["erro"]["code"] == "TOOL_UNKNOWN"
    kept = "".join(path.read_text() for path in home.rglob("*") if path.is_file())
    out = capfd.readouterr()
    assert CANARY not in json.dumps([said, unknown]) + kept + out.out + out.err
    assert backend.started == [] and len(kept.splitlines()) == 2
