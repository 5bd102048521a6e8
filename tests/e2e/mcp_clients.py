"""MCP clients that nobody here wrote, asked for one call at a time: the official inspector and the official SDK."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import anyio
import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

# The inspector asks for Node 22.19 or newer, which a distribution may not have.
PACKAGES = (
    "node@24.21.0",
    "@modelcontextprotocol/inspector@2.12.0",
    "@modelcontextprotocol/conformance@0.1.16",
)
# Seconds that a call may take: the gateway comes back after 45.
PATIENCE = 120


class Caller(Protocol):
    """Something that calls tools."""

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """What the tool said, as the one JSON text of its result."""


class Programs:
    """The clients that are programs of Node, installed in a folder of the lab."""

    def __init__(self, folder: Path) -> None:
        self._bin = folder / "node_modules" / ".bin"
        if not (self._bin / "mcp-inspector").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            command = ["npm", "install", "--no-fund", "--no-audit", "--no-save", "--prefix", str(folder), *PACKAGES]
            subprocess.run(command, cwd=folder, check=True, capture_output=True)

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self._bin / "node"), str(self._bin / program), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)


class Inspector:
    """`mcp-inspector --cli`, over standard input and output or HTTP."""

    def __init__(self, programs: Programs, target: Sequence[str]) -> None:
        self._programs = programs
        self._target = target

    @classmethod
    def over_stdio(cls, programs: Programs, server: StdioServerParameters) -> Inspector:
        kept = {key: one for key, one in (server.env or {}).items() if key.startswith(("LIVCHAT_", "PYTHONPATH"))}
        environment = [word for key, one in kept.items() for word in ("-e", f"{key}={one}")]
        return cls(programs, [*environment, server.command, *server.args])

    @classmethod
    def over_http(cls, programs: Programs, url: str, key: str) -> Inspector:
        return cls(programs, ["--server-url", url, "--transport", "http", "--header", f"Authorization: Bearer {key}"])

    def ask(self, method: str, *more: str) -> dict[str, Any]:
        done = self._programs.run(
            "mcp-inspector", "--cli", *self._target, "--method", method, *more, "--format", "json"
        )
        if not done.stdout.startswith("{"):
            raise RuntimeError(f"{method} ended with {done.returncode}: {done.stdout}{done.stderr}")
        result: dict[str, Any] = json.loads(done.stdout)["result"]
        return result

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        result = self.ask("tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(arguments))
        said: dict[str, Any] = json.loads(result["content"][0]["text"])
        return said


class Sdk:
    """The official SDK's client, in the current era of the protocol or the one before, a connection for each call."""

    def __init__(self, server: StdioServerParameters | str, key: str = "", mode: str = "auto") -> None:
        self._server = server
        self._key = key
        self._mode = mode

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        async def ask() -> Any:
            if isinstance(self._server, StdioServerParameters):
                async with Client(self._server, mode=self._mode) as client:
                    return await client.call_tool(tool, arguments)
            headers = {"Authorization": f"Bearer {self._key}"}
            async with (
                httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http,
                Client(streamable_http_client(self._server, http_client=http), mode=self._mode) as client,
            ):
                return await client.call_tool(tool, arguments)

        said: dict[str, Any] = json.loads(anyio.run(ask).content[0].text)
        return said
