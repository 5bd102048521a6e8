"""What a gateway does at all: by how it was started, by a caller's scopes, and how often."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError

from livchat_cli.access import IMPLIED, Principal
from livchat_cli.jobs import JobFolder, Jobs, now
from livchat_cli.operations import OPERATIONS, Effect, Scope
from livchat_mcp.backend_local import LocalBackend
from livchat_mcp.main import main
from livchat_mcp.options import Options
from livchat_mcp.rate import BURST, RATE, Rates
from livchat_mcp.texts import Texts
from livchat_mcp.tools import Toolbox
from tests.unit.mcp.scripted import Scripted, asker, gateway


def names(scopes: Any = Scope, **options: Any) -> set[str]:
    return set(Toolbox(Options(**options), Texts("pt")).tools(scopes))


def operations(scopes: Any = Scope, **options: Any) -> set[str]:
    tools = Toolbox(Options(**options), Texts("pt")).tools(scopes).values()
    return {one.name for tool in tools for one in tool.operations}


def test_commands_are_off_unless_switched_on() -> None:
    assert "executar-comando" not in names()
    assert "executar-comando" in names(commands=True)


def test_read_only_beats_all_else() -> None:
    found = operations(read_only=True, commands=True, allow=["*"])
    assert found == {one.name for one in OPERATIONS if one.effect is Effect.READ}
    assert "executar-comando" not in names(read_only=True, commands=True, allow=["executar-comando"])
    assert "preparar-servidor" not in names(read_only=True, allow=["preparar-servidor"])


def test_no_destructive_leaves_out_what_destroys_and_what_may() -> None:
    found = operations(no_destructive=True, commands=True)
    assert {"server.destroy", "app.uninstall", "exec"} & found == set()
    assert {"app.install", "server.create", "server.setup"} <= found


def test_what_is_denied_is_gone_also_where_it_is_allowed() -> None:
    assert names(allow=["listar-*", "ver-logs"]) == {"listar-servidores", "listar-apps", "ver-logs"}
    assert names(allow=["listar-*"], deny=["listar-apps"]) == {"listar-servidores"}
    # By the operation as well.
    assert operations(allow=["jobs.show"]) == {"jobs.show"}
    assert "token.create" not in operations(deny=["token.*"])


def test_a_tool_of_which_some_operations_are_left_keeps_its_form() -> None:
    tool = Toolbox(Options(deny=["catalog.order"]), Texts("pt")).tools(Scope)["catalogo"]
    assert tool.own["acao"]["enum"] == ["list", "show", "server"]


@pytest.mark.parametrize("scope", [Scope.READ, Scope.DEPLOY, Scope.ADMIN, Scope.EXEC])
def test_a_token_shows_the_tools_that_its_scopes_are_good_for(scope: Scope) -> None:
    found = operations(IMPLIED[scope], commands=True)
    # Whoever has jobs may end them.
    assert found == {one.name for one in OPERATIONS if one.scope in IMPLIED[scope]} | {"jobs.cancel"}


def test_a_token_that_has_no_jobs_ends_none_and_who_only_reads_is_shown_no_way_to() -> None:
    assert names(IMPLIED[Scope.REPORT]) == set()
    for scope in Scope:
        assert "cancelar-trabalho" not in names(IMPLIED[scope], read_only=True, allow=["cancelar-trabalho"])


@pytest.mark.anyio
async def test_a_job_is_its_owners_to_end_and_no_others(home: Path) -> None:
    def holder(token: str) -> Principal:
        return Principal("token:ci", frozenset(IMPLIED[Scope.DEPLOY]), token=token)

    def ended(owner: Principal) -> str:
        folder = JobFolder.make(Jobs(home).folder)
        kept = {"operation": "app.install", "effect": "write", "servers": ["prod"], "status": "successful"}
        times = dict.fromkeys(("created_at", "started_at", "finished_at"), now())
        folder.update(**kept, **times, principal=owner.name, token=owner.token, error=None)
        return folder.id

    mine, other = holder("1"), holder("2")
    jobs = {one.token: ended(one) for one in (mine, other)}
    async with asker(gateway(home, LocalBackend(home, mine), principal=mine)) as client:
        refused = await client.call("cancelar-trabalho", job=jobs[other.token])
        assert refused["erro"]["code"] == "ACCESS_FORBIDDEN"
        let_through = await client.call("cancelar-trabalho", job=jobs[mine.token])
        assert let_through["erro"]["code"] == "JOB_ENDED"


@pytest.mark.anyio
async def test_a_tool_that_is_not_there_cannot_be_called(home: Path) -> None:
    scripted = Scripted()
    reader = Principal("token:r", frozenset({Scope.READ}))
    for options, principal in ((Options(read_only=True), Scripted().principal), (Options(), reader)):
        async with asker(gateway(home, scripted, options, principal=principal)) as client:
            for tool, arguments in (
                ("preparar-servidor", {"target": ["prod"]}),
                ("executar-comando", {"target": ["prod"], "command": ["id"]}),
                ("operacao", {"nome": "launch", "parametros": {"names": ["prod"]}}),
            ):
                said = await client.call(tool, **arguments)
                assert said["erro"]["code"] in ("TOOL_UNKNOWN", "INPUT_INVALID")
    assert scripted.started == []


def test_a_name_that_no_tool_has_stops_the_start(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--deny", "destroir-servidor"]) == 2
    assert "destroir-servidor" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--http", "0.0.0.0:8765"],
        ["--http", "example.com:8765"],
        ["--http", "8765"],
        ["--http", "127.0.0.1:8765", "--tls-cert", "/nonexistent"],
    ],
)
def test_it_listens_to_others_only_where_tokens_are_safe_on_their_way(
    arguments: list[str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVCHAT_HOME", str(home))
    assert main(arguments) == 2


@pytest.mark.parametrize(
    ("url", "token"),
    [("http://203.0.113.7", "x"), ("ftp://localhost", "x"), ("nonsense", "x"), ("https://setup.example.com", "")],
)
def test_a_token_is_not_sent_to_an_api_in_the_clear(
    url: str, token: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LIVCHAT_HOME", str(home))
    monkeypatch.setenv("LIVCHAT_API_URL", url)
    monkeypatch.setenv("LIVCHAT_API_TOKEN", token)
    assert main([]) in (2, 5)
    assert "LIVCHAT_API" in capsys.readouterr().err


def test_a_caller_may_call_ten_times_at_once_and_five_times_a_second() -> None:
    assert (RATE, BURST) == (5.0, 10)
    moment = [0.0]
    rates = Rates(clock=lambda: moment[0])
    assert [rates.wait("a") for _call in range(12)] == [0] * 10 + [1, 1]
    # Others are not kept waiting.
    assert rates.wait("b") == 0
    done = 0
    for _tenth in range(100):
        moment[0] += 0.1
        done += not rates.wait("a")
    # One more or less by what is left of a tenth of a second.
    assert 49 <= done <= 50


def test_callers_that_are_gone_are_forgotten() -> None:
    moment = [0.0]
    rates = Rates(clock=lambda: moment[0])
    for number in range(5000):
        moment[0] += 1
        rates.wait(f"caller {number}")
    assert len(rates._buckets) <= 1001


@pytest.mark.anyio
async def test_a_burst_is_told_to_wait_and_the_rest_goes_on(home: Path) -> None:
    scripted = Scripted({"server.list": []})
    async with asker(gateway(home, scripted, rates=Rates())) as client:
        said = [await client.call("listar-servidores") for _call in range(60)]
        refused = [one for one in said if "erro" in one]
        assert len(refused) >= 30
        assert {one["erro"]["code"] for one in refused} == {"RATE_LIMITED"}
        assert refused[0]["erro"]["retry_after"] == 1 and "1 s" in refused[0]["proximo"]
        with pytest.raises(MCPError, match="RATE_LIMITED"):
            for _call in range(60):
                await client.client.read_resource("livchat://servidores")
        assert (await client.client.list_tools()).tools
    audit = (home / "audit.jsonl").read_text().splitlines()
    assert len(audit) == len(said) - len(refused)


@pytest.mark.anyio
async def test_every_call_leaves_a_line_that_says_who_what_and_how_it_ended(home: Path) -> None:
    scripted = Scripted({"app.install": []})
    async with asker(gateway(home, scripted)) as client:
        await client.call("instalar-app", apps=["n8n"], target=["prod"], variables={"n8n": {"a": "hunter2hunter2"}})
        await client.call("ver-logs", instance="n8n", target="prod", lines=-1)
    first, second = (json.loads(line) for line in (home / "audit.jsonl").read_text().splitlines())
    assert (first["actor"], first["door"], first["tool"]) == ("somebody", "mcp", "instalar-app")
    assert (first["operation"], first["target"], first["outcome"]) == ("app.install", "prod", "success")
    assert first["parameters"]["variables"] == {"n8n": {"a": "(redacted)"}}
    assert (first["confirmation"], bool(first["job"]), first["duration"] >= 0) == ("none", True, True)
    assert (second["outcome"], second["error"], second["parameters"]) == ("failed", "INPUT_INVALID", {})
