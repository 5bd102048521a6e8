"""The bundle for Claude Desktop, started as that does: uv fetches what its packages say they need, and no more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, types

from tests.bundle import Bundle


def test_it_lists_its_tools_and_runs_a_playbook_with_the_packages_that_it_asks_for(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)

    async def ask() -> tuple[int, dict[str, Any]]:
        async with Client(Bundle(tmp_path).server(home)) as client:
            (block,) = (await client.call_tool("verificar-status", {})).content
            assert isinstance(block, types.TextContent)
            return len((await client.list_tools()).tools), json.loads(block.text)

    number, said = anyio.run(ask)
    assert number > 10
    # A home without servers.
    assert (said["estado"], said["itens"]) == ("pronto", []) and said["trabalho"]
