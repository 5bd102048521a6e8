"""A person who is asked by their client, over the real ways in: the gateway is a process of its own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, types
from mcp.client.streamable_http import streamable_http_client

from tests.throwaway import Tree
from tests.unit.api.running import state
from tests.unit.mcp.running import Served, over_stdio
from tests.unit.mcp.scripted import ERAS
from tests.unit.mcp.test_jobs import audited, said

# An adopted server, which is forgotten without asking any provider. Nothing listens there.
SERVER = "s0"


@pytest.fixture
def home(home: Path) -> Path:
    index = state(servers=1, applications=0)
    index["servers"][SERVER]["ip_address"] = "127.0.0.1"
    index["servers"][SERVER]["metadata"] |= {"port": 1, "domain": ""}
    (home / "config.yaml").write_text("dns: {provider: none}\n")
    (home / "ssh_keys").mkdir(mode=0o700)
    (home / "ssh_keys" / f"{SERVER}.pub").write_text("ssh-ed25519 AAAA of-nobody\n")
    (home / "state.json").write_text(json.dumps(index))
    return home


class Somebody:
    """A person at the client, who types `types_in` whatever they are asked."""

    def __init__(self, types_in: str) -> None:
        self.types_in = types_in
        self.asked: list[str] = []

    async def answer(self, _context: Any, params: Any) -> types.ElicitResult:
        self.asked.append(params.message)
        (field,) = params.requested_schema["properties"]
        return types.ElicitResult(action="accept", content={field: self.types_in})


@asynccontextmanager
async def client(tree: Tree, home: Path, way: str, era: Any, somebody: Somebody) -> AsyncIterator[Client]:
    """A client that can ask that person."""
    async with AsyncExitStack() as stack:
        server: Any = over_stdio(tree, home)
        if way == "http":
            served = Served(tree, home)
            served.start()
            stack.callback(served.stop)
            bearer = {"Authorization": f"Bearer {served.key()}"}
            # The answer comes when the job has ended.
            http = await stack.enter_async_context(httpx2.AsyncClient(headers=bearer, timeout=120))
            server = streamable_http_client(served.url, http_client=http)
        yield await stack.enter_async_context(Client(server, mode=era, elicitation_callback=somebody.answer))


def servers(home: Path) -> list[str]:
    return list(json.loads((home / "state.json").read_text())["servers"])


@pytest.mark.anyio
@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("way", ["stdio", "http"])
async def test_it_is_done_once_a_person_types_the_name(tree: Tree, home: Path, way: str, era: Any) -> None:
    somebody = Somebody("another")
    async with client(tree, home, way, era, somebody) as ours:
        plan = said(await ours.call_tool("destruir-servidor", {"name": SERVER}))["plano"]["id"]
        assert not somebody.asked
        refused = await ours.call_tool("destruir-servidor", {"name": SERVER, "plano": plan})
        assert refused.is_error and said(refused)["erro"]["code"] == "CONFIRMATION_MISMATCH"
        assert servers(home) == [SERVER]
        somebody.types_in = SERVER
        done = await ours.call_tool("destruir-servidor", {"name": SERVER, "plano": plan})
        assert not done.is_error, said(done)
    assert len(somebody.asked) == 2 and all(SERVER in one for one in somebody.asked)
    assert servers(home) == []
    assert [one["confirmation"] for one in audited(home) if one["outcome"] == "success"][-1] == "person"
