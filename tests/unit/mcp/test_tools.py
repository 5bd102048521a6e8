"""The tools as clients see them: all of the operations, few words, plain schemas, honest hints."""

from __future__ import annotations

import fnmatch
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field

from livchat_cli import parameters
from livchat_cli.operations import OPERATIONS, Effect, Operation, Scope, get
from livchat_mcp import schemas, table
from livchat_mcp.options import Options
from livchat_mcp.texts import _TEXTS, Language, Texts
from livchat_mcp.tools import Tool, Toolbox
from livchat_mcp.translations import PORTUGUESE
from tests.throwaway import Tree

SEED = {
    "listar-servidores",
    "criar-servidor",
    "destruir-servidor",
    "instalar-app",
    "desinstalar-app",
    "verificar-status",
    "executar-comando",
    "ver-logs",
}


def tools(language: Language = "pt", operations: Sequence[Operation] = OPERATIONS, **options: Any) -> dict[str, Tool]:
    return Toolbox(Options(language=language, commands=True, **options), Texts(language), operations).tools(Scope)


def listed(language: Language = "pt", operations: Sequence[Operation] = OPERATIONS) -> list[dict[str, Any]]:
    found = tools(language, operations).values()
    return [one.listed().model_dump(by_alias=True, mode="json", exclude_none=True) for one in found]


def tokens(shown: list[dict[str, Any]]) -> float:
    """The tokenizer that Anthropic published (in anthropic 0.34) takes 3.9 characters of this list as one token in
    Portuguese, and 4.2 in English."""
    return len(json.dumps(shown, ensure_ascii=False, separators=(",", ":"))) / 3.9


def nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """The schema and all within it."""
    if isinstance(schema, dict):
        yield schema
        for one in schema.values():
            yield from nodes(one)
    elif isinstance(schema, list):
        for one in schema:
            yield from nodes(one)


def test_the_tools_have_the_names_of_the_seed_and_never_more_than_twenty_fit() -> None:
    assert set(tools()) >= SEED
    has_dns = any(one.name.startswith("dns.") for one in OPERATIONS)
    has_backup = any(fnmatch.fnmatch(one.name, "*backup*") for one in OPERATIONS)
    assert ("configurar-dns" in tools(), "backup-servidor" in tools()) == (has_dns, has_backup)
    assert len(table.NAMED) + len([table.REST]) <= 20


@pytest.mark.parametrize("language", ["pt", "en"])
def test_the_list_of_tools_is_short(language: Language) -> None:
    assert tokens(listed(language)) <= 3400


class Update(parameters.Parameters):
    apps: parameters.AppRequests
    target: parameters.Targets
    version: Annotated[str | None, Field(description="Version; else the newest")] = None
    variables: parameters.AppVariables = Field(default={})
    skip_backup: Annotated[bool, Field(description="Make no backup before")] = False


class Rollback(parameters.Parameters):
    instance: parameters.Instance
    target: parameters.Target
    version: Annotated[str | None, Field(description="Version to go back to; else the one before")] = None
    with_data: Annotated[bool, Field(description="Bring its data back as well, as they were then")] = False
    confirm_name: parameters.ConfirmName = None


class Backup(parameters.Parameters):
    target: parameters.Targets
    apps: Annotated[list[str], Field(description="Only these applications; all when none is named")] = Field(default=[])
    keep: Annotated[int, Field(ge=1, le=365, description="How many to keep")] = 7
    label: parameters.Word = None


class Restore(parameters.Parameters):
    backup: Annotated[str, Field(description="Id of the backup")]
    target: parameters.Target
    instance: Annotated[str | None, Field(description="Only this application; else all")] = None
    confirm_name: parameters.ConfirmName = None


def later() -> list[Operation]:
    """All operations, with those that are to come as they may be declared then."""
    common: dict[str, Any] = {
        "effect": Effect.WRITE,
        "target": "app",
        "summary": "Bring applications to another version, with a backup before",
        "summary_pt": "Leva aplicações a outra versão, com um backup antes",
    }
    destroying: dict[str, Any] = {**common, "effect": Effect.DESTROY}
    declared = {one.name for one in OPERATIONS}
    coming = (
        Operation("app.update", parameters="Update", changes="target", **common),
        Operation("app.rollback", parameters="Rollback", changes="target", confirm="instance", **destroying),
        Operation("server.backup", parameters="Backup", changes="target", **common),
        Operation("backup.restore", parameters="Restore", changes="target", confirm="target", **destroying),
    )
    return [*OPERATIONS, *(one for one in coming if one.name not in declared)]


@pytest.mark.parametrize("language", ["pt", "en"])
def test_the_tools_that_are_to_come_find_room(language: Language, monkeypatch: pytest.MonkeyPatch) -> None:
    for model in (Update, Rollback, Backup, Restore):
        monkeypatch.setattr(parameters, model.__name__, model, raising=False)
    shown = listed(language, later())
    assert {"atualizar-app", "reverter-app", "backup-servidor"} <= {one["name"] for one in shown}
    assert len(shown) <= 20
    assert tokens(shown) <= 4000


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_every_operation_is_reachable_with_all_its_parameters(operation: Any) -> None:
    tool = tools()[table.tool_of(operation)]
    assert operation in tool.operations
    shown = tool.listed()
    wanted = set(operation.schema()) - schemas.HIDDEN
    if tool.rest:
        assert operation.name in shown.input_schema["properties"]["nome"]["enum"]
        assert all(name in str(shown.description) for name in wanted)
    else:
        assert wanted <= set(shown.input_schema["properties"])


def test_no_tool_does_anything_but_operations() -> None:
    assert [one for tool in tools().values() for one in tool.operations if one not in OPERATIONS] == []
    assert sorted(one.name for tool in tools().values() for one in tool.operations) == sorted(
        one.name for one in OPERATIONS
    )


@pytest.mark.parametrize("tool", listed(), ids=lambda one: one["name"])
def test_schemas_are_of_the_plainest_kind(tool: dict[str, Any]) -> None:
    assert tool["inputSchema"]["additionalProperties"] is False
    assert tool["outputSchema"]["type"] == "object"
    for one in [*nodes(tool["inputSchema"]), *nodes(tool["outputSchema"])]:
        assert not {"const", "anyOf", "oneOf", "allOf", "$ref", "patternProperties"} & set(one)
        assert isinstance(one.get("type", "object"), (str, dict))
        if isinstance(one.get("enum"), list):
            assert all(isinstance(value, str) for value in one["enum"])


# By hand, of every operation that changes anything: whether it ends or replaces something, and whether doing it twice
# does no more than doing it once.
TRUE = {
    "launch": (False, True),
    "server.create": (False, True),
    "server.adopt": (False, True),
    "server.setup": (False, True),
    "server.destroy": (True, True),
    "app.install": (False, True),
    "app.uninstall": (True, True),
    # Other values of the name give way.
    "dns.set": (True, True),
    "dns.remove": (True, True),
    "exec": (True, False),
    "jobs.cancel": (True, True),
    # Another token each time.
    "token.create": (False, False),
    # The old key ends at once, and there is a new one each time.
    "token.rotate": (True, False),
    "token.revoke": (True, True),
}


def test_of_every_operation_that_changes_anything_it_is_said_here_how() -> None:
    assert set(TRUE) == {one.name for one in OPERATIONS if one.effect != "read"}


@pytest.mark.parametrize("tool", tools().values(), ids=lambda one: one.name)
def test_every_tool_says_truly_how_dangerous_it_is(tool: Tool) -> None:
    hints = tool.listed().annotations
    assert hints is not None
    changing = [TRUE[one.name] for one in tool.operations if one.name in TRUE]
    assert bool(hints.read_only_hint) == (not changing)
    if changing:
        assert hints.destructive_hint is any(destructive for destructive, _idempotent in changing)
        assert bool(hints.idempotent_hint) == all(idempotent for _destructive, idempotent in changing)


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one.name in TRUE], ids=lambda one: one.name)
def test_a_tool_of_one_operation_says_truly_how_dangerous_that_is(operation: Operation) -> None:
    hints = table.ANNOTATIONS[table.kind([operation])]
    assert (hints.destructive_hint, bool(hints.idempotent_hint)) == TRUE[operation.name]


def test_of_several_operations_each_hint_is_that_of_the_most_dangerous() -> None:
    hints = table.ANNOTATIONS[table.kind([get("token.create"), get("token.revoke")])]
    assert (hints.destructive_hint, hints.idempotent_hint) == (True, None)


def test_the_gateway_does_not_start_with_a_kind_of_tool_nobody_annotated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(table.ANNOTATIONS, table.Kind.DESTROY)
    with pytest.raises(RuntimeError, match="destroy"):
        tools()


def test_the_order_of_tools_never_changes() -> None:
    assert [one["name"] for one in listed()] == [one["name"] for one in listed()]
    assert listed()[0]["name"] == "listar-servidores"


def test_every_parameter_is_described_in_portuguese() -> None:
    english = {one["description"] for operation in OPERATIONS for one in operation.schema().values()}
    assert english - set(PORTUGUESE) == set()
    shown = json.dumps(listed("pt"), ensure_ascii=False)
    assert not [text for text in english if text in shown]
    assert get("server.destroy").summary in json.dumps(listed("en"))


def test_every_sentence_stands_in_both_languages_with_the_same_names() -> None:
    for key, (portuguese, english) in _TEXTS.items():
        names = [sorted(one.split("}")[0] for one in text.split("{")[1:]) for text in (portuguese, english)]
        assert portuguese and english and names[0] == names[1], key


def test_a_new_operation_is_a_tool_with_no_other_line_changed(tree: Tree, tmp_path: Path) -> None:
    program = (
        "import json\nfrom livchat_mcp.tools import *\n"
        "box = Toolbox(Options(), Texts('pt')).tools({'admin'})\n"
        "tool = box['operacao']\n"
        "call = tool.read({'nome': 'server.nap', 'parametros': {'apps': ['n8n'], 'target': ['prod']}})\n"
        "print(json.dumps([tool.listed().model_dump(mode='json'), call.operation.name, call.values]))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env=tree.environment(tmp_path / "home"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    tool, name, values = json.loads(done.stdout)
    assert "server.nap" in tool["input_schema"]["properties"]["nome"]["enum"]
    assert "server.nap (apps, target, variables?): Deixa servidores descansarem um pouco" in tool["description"]
    assert (name, values) == ("server.nap", {"apps": ["n8n"], "target": ["prod"]})
