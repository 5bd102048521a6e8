"""The story by MCP clients that nobody here wrote, headless: over standard input and output, and over HTTP."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home
from ansible_collections.livchat.setup.plugins.plugin_utils._settings import Settings
from mcp import StdioServerParameters

from tests.e2e.conftest import SERVER
from tests.e2e.https import get
from tests.e2e.mcp_clients import Caller, FirstSdk, Inspector, Programs, Sdk
from tests.e2e.story import Story
from tests.throwaway import ROOT, Tree
from tests.unit.api.running import Running
from tests.unit.mcp.running import Served, over_stdio

NAME = f"{SERVER}-mcp"
# Seconds that a job may take on a machine which has much else to do.
PATIENCE = 900
# Of the official conformance suite, those that any server can be asked for.
SCENARIOS = (
    "server-initialize",
    "ping",
    "tools-list",
    "resources-list",
    "prompts-list",
    "completion-complete",
    "dns-rebinding-protection",
)
# Of the suite for the protocol of 2026, whose version is not out yet.
SCENARIOS_2026 = (
    "tools-list",
    "resources-list",
    "caching",
    "http-header-validation",
    "dns-rebinding-protection",
    "sep-2164-resource-not-found",
    "server-session-lifecycle",
    "server-sse-multiple-streams",
    "input-required-result-unsupported-methods",
)


@pytest.fixture(scope="module")
def programs(story: Story) -> Programs:
    return Programs(story.lab.folder / "mcp-clients")


@pytest.fixture(scope="module")
def served(story: Story) -> Iterator[Served]:
    gateway = Served(Tree(ROOT), story.home, password="")
    gateway.start("--commands")
    yield gateway
    gateway.stop()


@pytest.fixture(scope="module")
def remote(story: Story, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway with a home of its own, that has a REST API do the work."""
    api = Running(Tree(ROOT), story.home, settings=None)
    api.start()
    home = tmp_path_factory.mktemp("gateway")
    Settings(Home(str(home))).update({"mcp.model_may_destroy": True})
    gateway = Served(Tree(ROOT), home, password="")
    gateway.start(environment={"LIVCHAT_API_URL": api.url, "LIVCHAT_API_TOKEN": api.key()})
    yield gateway
    gateway.stop()
    api.stop()


@pytest.fixture(scope="module")
def stdio(story: Story) -> StdioServerParameters:
    return over_stdio(Tree(ROOT), story.home, password="")


@pytest.fixture
def headless(story: Story) -> Iterator[None]:
    """Nobody is there who could approve: the operator lets a model do it."""
    settings = Settings(Home(str(story.home)))
    settings.update({"mcp.model_may_destroy": True})
    yield
    settings.update({"mcp.model_may_destroy": False})


class Person:
    """Whoever has tools called: shows plans to nobody, agrees to all, and waits for jobs."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self.plans: list[dict[str, Any]] = []

    def do(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """What the tool said in the end."""
        said = self._caller.call(tool, **arguments)
        if said.get("estado") == "plano":
            self.plans.append(said["plano"])
            said = self._caller.call(tool, **arguments, plano=said["plano"]["id"])
        deadline = time.monotonic() + PATIENCE
        while said.get("estado") == "andando":
            assert time.monotonic() < deadline, said
            said = self._caller.call("trabalhos", acao="show", job=said["trabalho"], aguardar=True)
        assert "erro" not in said, said
        assert (said.get("resultado") or {}).get("status") not in ("failed", "killed", "cancelled"), said
        return said


DOORS = ("the inspector over stdio", "the first SDK over HTTP", "the SDK over HTTP, to a gateway over REST")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.usefixtures("headless")
def test_the_whole_story(  # noqa: PLR0917  # pytest passes them by name
    story: Story, programs: Programs, served: Served, remote: Served, stdio: StdioServerParameters, door: str
) -> None:
    caller: Caller = Sdk(remote.url, remote.key())
    if "inspector" in door:
        caller = Inspector.over_stdio(programs, stdio)
    elif "first" in door:
        caller = FirstSdk(programs.folder, served.url, served.key())
    person, lab, domain = Person(caller), story.lab, f"{NAME}.{story.lab.zone}"
    assert NAME not in json.dumps(person.do("listar-servidores", ao_vivo=True))
    person.do("criar-servidor", name=NAME, domain=domain)
    assert any(NAME in line for line in person.plans[-1]["cria"]) and "EUR" in person.plans[-1]["custo_mensal"]
    address = story.index()["servers"][NAME]["ip_address"]
    person.do("preparar-servidor", target=[NAME])
    assert "postgres" in json.dumps(person.do("planejar-instalacao", apps=["n8n"], target=[NAME]))
    person.do("instalar-app", apps=["n8n"], target=[NAME])
    assert get(f"n8n.{domain}", address, lab.acme_root_file).status == 200
    record = {"name": f"extra.{domain}", "type": "A"}
    person.do("configurar-dns", acao="set", value="203.0.113.7", **record)
    assert "203.0.113.7" in json.dumps(person.do("configurar-dns", acao="list", name=record["name"]))
    person.do("configurar-dns", acao="remove", **record)
    assert "n8n" in json.dumps(person.do("verificar-status", target=[NAME]))
    logs = person.do("ver-logs", instance="n8n", target=NAME)
    # What a server printed stands between marks.
    assert logs["aviso"]
    person.do("desinstalar-app", instance="n8n", target=NAME, drop_data=True)
    assert person.plans[-1]["dados_perdidos"]
    person.do("destruir-servidor", name=NAME)
    assert NAME not in story.index()["servers"]
    assert len(person.plans) == 4


@pytest.mark.parametrize("door", ["stdio", "http"])
def test_a_model_alone_destroys_nothing(
    programs: Programs, served: Served, stdio: StdioServerParameters, door: str
) -> None:
    caller = (
        Inspector.over_stdio(programs, stdio)
        if door == "stdio"
        else Inspector.over_http(programs, served.url, served.key())
    )
    plan = caller.call("destruir-servidor", name=f"{NAME}-no")["plano"]
    said = caller.call("destruir-servidor", name=f"{NAME}-no", plano=plan["id"])
    assert said["erro"]["code"] == "APPROVAL_REQUIRED"


@pytest.mark.parametrize("door", ["stdio", "http"])
def test_the_inspector_finds_nothing_wrong_with_the_tools(
    programs: Programs, served: Served, stdio: StdioServerParameters, door: str
) -> None:
    inspector = (
        Inspector.over_stdio(programs, stdio)
        if door == "stdio"
        else Inspector.over_http(programs, served.url, served.key())
    )
    tools = inspector.ask("tools/list", "--strict")["tools"]
    assert {"listar-servidores", "instalar-app", "configurar-dns"} <= {one["name"] for one in tools}
    assert inspector.ask("resources/list")["resources"]
    assert inspector.ask("prompts/list")["prompts"]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("door", ["stdio", "http"])
def test_both_eras_of_the_protocol_give_the_same(
    served: Served, stdio: StdioServerParameters, door: str, mode: str
) -> None:
    caller = Sdk(stdio, mode=mode) if door == "stdio" else Sdk(served.url, served.key(), mode)
    said = caller.call("catalogo", acao="order", apps=["n8n"])
    assert said["itens"] == [{"valor": one} for one in ("postgres", "redis", "n8n")]


@pytest.mark.parametrize("door", ["stdio", "http"])
def test_the_first_line_of_the_sdk_gives_the_same(
    programs: Programs, served: Served, stdio: StdioServerParameters, door: str
) -> None:
    caller = FirstSdk(programs.folder, *((stdio,) if door == "stdio" else (served.url, served.key())))
    said = caller.call("catalogo", acao="order", apps=["n8n"])
    assert said["itens"] == [{"valor": one} for one in ("postgres", "redis", "n8n")]


def test_claude_code_connects(programs: Programs, served: Served, stdio: StdioServerParameters, tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path), "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
    environment = [word for name, one in (stdio.env or {}).items() for word in ("--env", f"{name}={one}")]
    programs.run("claude", "mcp", "add", "livchat", *environment, "--", stdio.command, *stdio.args, environment=home)
    header = f"Authorization: Bearer {served.key()}"
    http = ("--transport", "http", "livchat-remote", served.url, "--header", header)
    programs.run("claude", "mcp", "add", *http, environment=home)
    listed = programs.run("claude", "mcp", "list", environment=home)
    connected = [line.partition(":")[0] for line in listed.stdout.splitlines() if line.endswith("Connected")]
    assert sorted(connected) == ["livchat", "livchat-remote"], listed.stdout + listed.stderr


@pytest.fixture(scope="module")
def open_door(served: Served) -> Iterator[str]:
    """The gateway for a suite that cannot send a token: one who forwards requests adds it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tests.e2e.bearer", str(port), served.url, served.key()]
    forwarder = subprocess.Popen(command, cwd=ROOT)
    while socket.socket().connect_ex(("127.0.0.1", port)) and forwarder.poll() is None:
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}/mcp"
    forwarder.terminate()
    forwarder.wait()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_conformance_suite(programs: Programs, open_door: str, scenario: str) -> None:
    done = programs.run("conformance", "server", "--url", open_door, "--scenario", scenario)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


@pytest.mark.parametrize("scenario", SCENARIOS_2026)
def test_the_conformance_suite_of_2026(programs: Programs, open_door: str, scenario: str) -> None:
    done = programs.run("conformance-next", "server", "--url", open_door, "--scenario", scenario)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_the_conformance_suite_of_2026_finds_no_state(programs: Programs, open_door: str) -> None:
    """Two of the checks in this scenario want a tool that only the suite's own example has."""
    done = programs.run("conformance-next", "server", "--url", open_door, "--scenario", "server-stateless")
    errors = {line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip().startswith("Error:")}
    assert errors, done.stdout[-3000:] + done.stderr[-1000:]
    assert {one for one in errors if "'test_missing_capability'" not in one} == set()
