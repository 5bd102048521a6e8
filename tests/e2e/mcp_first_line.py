"""One call by the client of the official SDK's first line (1.x), in the environment that has it.

    python tests/e2e/mcp_first_line.py < REQUEST

The request is a JSON object with `tool` and `arguments`, and with either `url` and `key` or `command`, `args` and
`env`. Prints the text of the result.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client  # type: ignore[attr-defined]  # only the first line has it


async def call(request: dict[str, Any]) -> str:
    if "url" in request:
        headers = {"Authorization": f"Bearer {request['key']}"}
        opened = streamablehttp_client(request["url"], headers=headers)
    else:
        opened = stdio_client(StdioServerParameters(**{name: request[name] for name in ("command", "args", "env")}))
    async with opened as streams, ClientSession(*streams[:2]) as session:
        await session.initialize()
        result = await session.call_tool(request["tool"], request["arguments"])
    return "".join(one.text for one in result.content if one.type == "text")


if __name__ == "__main__":
    print(asyncio.run(call(json.load(sys.stdin))))
