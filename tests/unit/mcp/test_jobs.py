"""Jobs behind the gateway: they need neither it nor its client, are found again, and tell no secret.

All of it where the gateway does the work itself, and where a REST API does.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home
from ansible_collections.livchat.setup.plugins.plugin_utils._vault import Vault
from mcp import Client
from mcp.client.stdio import stdio_client

from livchat_cli.jobs import Jobs
from tests.throwaway import Tree
from tests.unit.api.running import Running
from tests.unit.mcp.running import PASSWORD, over_stdio

CANARY = "cAnArY-5e70d1c2-secret"
GIVEN = "cAnArY-0b6f4a11-given"


@dataclass(frozen=True)
class Side:
    """Where the work is done."""

    tree: Tree
    # The gateway's own home, and the one whose operations it carries out.
    home: Path
    works_on: Path
    environment: dict[str, str] = field(default_factory=dict)

    def server(self) -> Any:
        return over_stdio(self.tree, self.home, environment=self.environment)


@pytest.fixture(params=["here", "over an API"])
def side(request: pytest.FixtureRequest, tree: Tree, home: Path, tmp_path: Path) -> Iterator[Side]:
    if request.param == "here":
        yield Side(tree, home, home)
        return
    api = Running(tree, tmp_path / "api")
    api.start()
    yield Side(tree, home, api.home, {"LIVCHAT_API_URL": api.url, "LIVCHAT_API_TOKEN": api.key()})
    api.stop(signal.SIGKILL)


def wait(condition: Callable[[], Any], seconds: float = 120) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)
    return found


async def running(home: Path) -> Any:
    return await anyio.to_thread.run_sync(lambda: wait(lambda: Jobs(home).all(status=["running"])))


def nap(target: str = "prod", **variables: str) -> dict[str, Any]:
    given = {"apps": ["nap"], "target": [target], "variables": {"nap": variables}}
    return {"nome": "server.nap", "parametros": given}


def said(result: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.content[0].text)
    return found


def audited(home: Path) -> list[dict[str, Any]]:
    """What the gateway wrote into the audit log."""
    lines = [json.loads(line) for line in (home / "audit.jsonl").read_text().splitlines()]
    return [one for one in lines if one.get("door") == "mcp"]


def gateways(home: Path) -> list[int]:
    """Processes of the gateway of that home."""
    found = []
    mine = f"LIVCHAT_HOME={home}".encode()
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and b"livchat_mcp" in (entry / "cmdline").read_bytes():
                found += [int(entry.name)] if mine in (entry / "environ").read_bytes().split(b"\0") else []
    return found


@pytest.mark.anyio
async def test_a_new_operation_is_carried_out_with_its_steps_told(side: Side) -> None:
    told: list[str | None] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        told.append(message)

    async with Client(side.server()) as client:
        result = await client.call_tool("operacao", nap(seconds="0.1"), progress_callback=note)
        done = said(result)
        assert not result.is_error and done["resultado"]["rested"] == "prod", done
        assert {"localhost: Sleep", "localhost: Talk"} <= set(told)
        shown = said(await client.call_tool("trabalhos", {"acao": "show", "job": done["trabalho"]}))
        assert (shown["resultado"]["status"], shown["resultado"]["result"]) == ("successful", done["resultado"])
        failed = await client.call_tool("operacao", nap(fails="yes"))
        assert failed.is_error and said(failed)["erro"]["details"]["task"] == "Fail"
        log = said(await client.call_tool("trabalhos", {"acao": "log", "job": done["trabalho"]}))["resultado"]
        assert "TASK [Sleep]" in log["log"] and log["linhas"] <= log["de"]
        rest = {"acao": "log", "job": done["trabalho"], "lines": 3, "skip": log["de"] - 3}
        first = said(await client.call_tool("trabalhos", rest))["resultado"]["log"].splitlines()[1:-1]
        assert len(first) == 3 and log["log"].splitlines()[1:4] == first
        page = (await client.read_resource(f"livchat://trabalhos/{done['trabalho']}/log")).contents[0]
        assert "TASK [Sleep]" in page.text
    ours = audited(side.home)
    assert [one["outcome"] for one in ours] == ["success", "success", "failed", "success", "success"]
    assert ours[0]["actor"].startswith("mcp:") and ours[0]["job"] == done["trabalho"]
    # The job itself names the call.
    assert Jobs(side.works_on).get(done["trabalho"]).record()["request_id"] == ours[0]["request_id"]


@pytest.mark.anyio
@pytest.mark.parametrize("victim", ["the gateway", "the client"])
async def test_a_job_goes_on_when_who_asked_is_killed_and_is_found_exactly_once(side: Side, victim: str) -> None:
    # A client in a process of its own, which starts the gateway.
    program = (
        "import anyio, json, sys\nfrom mcp import Client, StdioServerParameters\n"
        "async def main():\n"
        "    given = json.load(sys.stdin)\n"
        "    async with Client(StdioServerParameters(**given[0])) as client:\n"
        "        await client.call_tool('operacao', given[1])\n"
        "anyio.run(main)"
    )
    server = side.server()
    process = subprocess.Popen(
        [server.command, "-c", program], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdin
    process.stdin.write(json.dumps([server.model_dump(mode="json", exclude_none=True), nap(seconds="15")]))
    process.stdin.close()
    (job,) = await running(side.works_on)
    for pid in gateways(side.home) if victim == "the gateway" else [process.pid]:
        os.kill(pid, signal.SIGKILL)
    process.kill()
    process.wait()
    async with Client(side.server()) as client:
        (found,) = said(await client.call_tool("trabalhos", {}))["itens"]
        assert (found["id"], found["status"]) == (job["id"], "running")
        done = said(await client.call_tool("trabalhos", {"acao": "show", "job": job["id"], "aguardar": True}))
        assert done["resultado"]["status"] == "successful" and done["resultado"]["result"]["rested"] == "prod"
        assert len(said(await client.call_tool("trabalhos", {}))["itens"]) == 1


@pytest.mark.anyio
async def test_a_call_that_is_given_up_ends_no_job_and_cancelling_does(side: Side) -> None:
    async with Client(side.server()) as client:
        with anyio.move_on_after(120) as scope:
            async with anyio.create_task_group() as group:

                async def give_up() -> None:
                    await running(side.works_on)
                    scope.cancel()

                group.start_soon(give_up)
                await client.call_tool("operacao", nap(seconds="600"))
        (job,) = Jobs(side.works_on).all()
        assert job["status"] == "running"
        done = said(await client.call_tool("cancelar-trabalho", {"job": job["id"]}))
        assert done["resultado"]["status"] == "cancelled"
        again = await client.call_tool("cancelar-trabalho", {"job": job["id"]})
        assert again.is_error and said(again)["erro"]["code"] == "JOB_ENDED"
    assert [one["outcome"] for one in audited(side.home)] == ["disconnected", "success", "failed"]


@pytest.mark.anyio
async def test_a_secret_is_in_nothing_that_anybody_sees(
    side: Side, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LIVCHAT_VAULT_PASSWORD", PASSWORD)
    Vault(Home(str(side.works_on))).set("tokens/cloudflare", CANARY)
    seen: list[Any] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        seen.append(message)

    log = tmp_path / "stderr"
    with log.open("w") as errors:
        async with Client(stdio_client(side.server(), errlog=errors)) as client:
            for given in (nap(secret=GIVEN), nap(secret=f"{CANARY} and more"), nap(secret=GIVEN, fails="yes")):
                seen.append(await client.call_tool("operacao", given, progress_callback=note))
            seen.append(await client.call_tool("operacao", nap(secret=GIVEN) | {"unknown": GIVEN}))
            seen.append(await client.call_tool("trabalhos", {}))
            for job in Jobs(side.works_on).all():
                seen.append(await client.call_tool("trabalhos", {"acao": "show", "job": job["id"]}))
                # Slowly: this is more than a caller may ask for at once.
                await anyio.sleep(0.5)
                seen.append(await client.read_resource(f"livchat://trabalhos/{job['id']}/log"))
                seen.append(await client.read_resource(f"livchat://trabalhos/{job['id']}"))
    whole = "\n".join(map(repr, seen)) + log.read_text()
    kept = "".join(
        path.read_text(errors="replace")
        for place in {side.home, side.works_on}
        for path in place.rglob("*")
        if path.is_file()
    )
    assert "said (redacted)" in whole and "woken by (redacted)" in whole
    for secret in (CANARY, GIVEN, PASSWORD):
        assert secret not in whole and secret not in kept
