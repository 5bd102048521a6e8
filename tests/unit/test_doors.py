"""Every front door takes every operation with the same parameters, and nothing else; a new one is behind each."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import typer.main

from livchat_cli import commands, reference, routes
from livchat_cli.access import Tokens
from livchat_cli.api.app import create
from livchat_cli.client import Client
from livchat_cli.errors import LivchatError
from livchat_cli.main import main
from livchat_cli.operations import OPERATIONS, Operation, Scope, get
from livchat_mcp import schemas
from livchat_mcp.options import Options
from livchat_mcp.table import tool_of
from livchat_mcp.texts import Texts
from livchat_mcp.tools import Toolbox
from tests.throwaway import Tree
from tests.unit.playbook_variables import PlaybookVariables

ROOT = Path(__file__).parents[2]
# Commands of this machine, and looking on at a job: no operations, and in no other door under these names.
OWN_COMMANDS = {"init", "doctor", "start", "jobs.follow", "export.awx", "export.semaphore"}
# Options of the command line itself: how it prints, that it does not ask, that it does not wait.
OWN_OPTIONS = {"as_json", "yes", "detach"}


def value(schema: Mapping[str, Any]) -> Any:
    """Something that the schema allows, and that is not what is taken when nothing is given."""
    if schema.get("examples"):
        return schema["examples"][0]
    for one in schema.get("anyOf", ()):
        if one["type"] != "null":
            return value(one)
    if "enum" in schema:
        return schema["enum"][-1]
    if schema["type"] == "array":
        return [value(schema["items"])]
    if schema["type"] == "object":
        return {}
    return {"boolean": True, "integer": schema.get("minimum", 1) + 1, "string": "prod"}[schema["type"]]


def everything(operation: Operation) -> dict[str, Any]:
    """All of its parameters, each with a value."""
    values = {name: value(schema) for name, schema in operation.schema().items()}
    if operation.confirm:
        values["confirm_name"] = values[operation.confirm]
    # What the examples of single parameters do not say of each other.
    operation.check_confirmed(operation.parse(values))
    return values


def extra_vars(operation: Operation, values: Mapping[str, Any]) -> dict[str, Any]:
    return operation.extra_vars(operation.parse(values))


class CapturedError(LivchatError):
    """What a door would have had carried out."""


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """The operations that were asked for, and what they were asked with; none is carried out."""
    found: list[tuple[str, dict[str, Any]]] = []

    def note(_client: Client, operation: Operation, values: Mapping[str, Any], *_: Any, **__: Any) -> Any:
        found.append((operation.name, dict(values)))
        raise CapturedError("OPERATION_CAPTURED", "captured")

    for method in ("perform", "start", "call", "look"):
        monkeypatch.setattr(Client, method, note)
    return found


def words(operation: Operation, values: Mapping[str, Any]) -> list[str]:
    """The command line for these parameters."""
    schema, options, positionals = operation.schema(), [], []
    for name, given in values.items():
        if name in operation.positionals:
            continue
        option = schema[name].get("x-option", f"--{name.replace('_', '-')}")
        if isinstance(given, bool):
            options += [option] if given else []
        elif isinstance(given, dict):
            pairs = [
                (f"{key}.{inner}", text)
                for key, one in given.items()
                if isinstance(one, dict)
                for inner, text in one.items()
            ] or list(given.items())
            options += [word for key, text in pairs for word in (option, f"{key}={text}")]
        else:
            options += [word for one in (given if isinstance(given, list) else [given]) for word in (option, str(one))]
    for name in operation.positionals:
        given = values[name]
        positionals += list(map(str, given)) if isinstance(given, list) else [str(given)]
    return [*operation.name.split("."), *options, "--json", "--", *positionals]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_the_command_line_hands_over_every_parameter(
    operation: Operation, captured: list[tuple[str, dict[str, Any]]]
) -> None:
    values = everything(operation)
    assert main(words(operation, values)) == 1
    ((name, handed),) = captured
    assert (name, extra_vars(operation, handed)) == (operation.name, extra_vars(operation, values))


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_the_rest_api_hands_over_every_parameter(
    operation: Operation, captured: list[tuple[str, dict[str, Any]]], tmp_path: Path
) -> None:
    values = everything(operation)
    _token, key = Tokens(tmp_path).create("doors", ["admin", "exec"])
    request = routes.of(operation)[0].request(values)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(create(tmp_path))
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as client:
            return await client.request(request.method, request.path, json=request.body)

    answer = anyio.run(ask)
    assert answer.json()["code"] == "OPERATION_CAPTURED", answer.text
    name, handed = captured[-1]
    assert (name, extra_vars(operation, handed)) == (operation.name, extra_vars(operation, values))


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_the_mcp_gateway_hands_over_every_parameter(operation: Operation) -> None:
    values = everything(operation)
    tool = Toolbox(Options(commands=True), Texts("pt")).tools(Scope)[tool_of(operation)]
    # A confirmation is what a plan's approval stands for.
    given = {name: one for name, one in values.items() if name not in schemas.HIDDEN}
    (action,) = (name for name, one in tool.actions.items() if one is operation)
    if tool.rest:
        call = tool.read({"nome": action, "parametros": given})
    else:
        call = tool.read({**given, "acao": action} if tool.several else given)
    assert call.operation is operation
    assert extra_vars(operation, call.confirmed()) == extra_vars(operation, values)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_its_playbook_takes_the_same_parameters_and_no_other(operation: Operation) -> None:
    taken = PlaybookVariables(ROOT / "playbooks" / f"{operation.playbook}.yml")
    # Confirming is asked of whoever comes through a door; who runs a playbook has typed its name.
    wanted = set(extra_vars(operation, everything(operation)))
    assert wanted - {"confirm_name"} <= taken.all()
    assert taken.own() <= wanted


def test_no_door_holds_anything_but_operations() -> None:
    groups = typer.main.get_command(commands.build())
    found: dict[str, Any] = {}
    for name, command in groups.commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        found |= {f"{name}.{verb}": one for verb, one in inner.items()} if inner else {name: command}
    assert set(found) == {one.name for one in OPERATIONS} | OWN_COMMANDS
    for operation in OPERATIONS:
        assert {one.name for one in found[operation.name].params} - OWN_OPTIONS == set(operation.schema())
    assert {one.operation.name for one in routes.all_routes()} == {one.name for one in OPERATIONS}
    tools = Toolbox(Options(commands=True), Texts("pt")).tools(Scope).values()
    assert sorted(one.name for tool in tools for one in tool.operations) == sorted(one.name for one in OPERATIONS)
    for tool in tools:
        known = {name for one in tool.operations for name in one.schema()} - schemas.HIDDEN
        assert set(tool.listed().input_schema["properties"]) - set(tool.own) == (set() if tool.rest else known)
    assert {one.stem for one in (ROOT / "playbooks").glob("*.yml")} == {one.playbook for one in OPERATIONS}


def test_a_new_operation_is_behind_every_door_with_no_other_line_changed(tree: Tree, tmp_path: Path) -> None:
    program = (
        "import json\n"
        "from livchat_cli import reference, routes\n"
        "from livchat_cli.api.document import document\n"
        "from livchat_cli.operations import get\n"
        "from livchat_mcp.tools import *\n"
        "tool = Toolbox(Options(), Texts('pt')).tools({'admin'})['operacao']\n"
        "print(json.dumps({'page': reference.page(), 'paths': list(document()['paths']),"
        " 'names': list(tool.actions), 'description': tool.listed().description}))"
    )

    def run(*command: str) -> str:
        done = subprocess.run(
            command, env=tree.environment(tmp_path / "home"), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    found = json.loads(run(sys.executable, "-P", "-c", program))
    assert "## server.nap" in found["page"] and "## server.nap" not in reference.page()
    assert "/v1/server/nap" in found["paths"]
    assert "server.nap" in found["names"] and "Deixa servidores descansarem" in found["description"]
    assert "Let servers rest" in run(*tree.command("server", "--help"))
    assert "--apps" in run(*tree.command("server", "nap", "--help"))
    for target, survey in (("awx", "awx/load.yml"), ("semaphore", "semaphore/project.json")):
        folder = tmp_path / target
        where = ("--to", str(folder), "--repository", "https://git.example.com/ops.git")
        image = ("--image", "registry.example.com/livchat-ee:1") if target == "awx" else ()
        run(*tree.command("export", target, *where, *image))
        assert "livchat.setup.nap" in (folder / "server_nap.yml").read_text()
        assert {"survey_target", "survey_apps"} <= set(re.findall(r"survey_\w+", (folder / survey).read_text()))
        assert "server.nap" in (folder / survey).read_text()
    bare = {"target": "prod", "apps": ["nap"], "variables": {}}
    collections = {"ANSIBLE_COLLECTIONS_PATH": str(tree.path / "build" / "collections")}
    command = [
        sys.executable,
        "-m",
        "ansible",
        "playbook",
        "livchat.setup.nap",
        "-i",
        "localhost,",
        "-e",
        json.dumps(bare),
    ]
    done = subprocess.run(command, env={**os.environ, **collections}, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "changed=1" in done.stdout, done.stdout + done.stderr
    rested = run(*tree.command("server", "nap", "prod", "--apps", "nap", "--yes", "--json"))
    assert json.loads(rested)["rested"] == "prod"
    with pytest.raises(LivchatError, match="no operation"):
        get("server.nap")
