"""MCP clients that nobody here wrote, asked for one call at a time: the official inspector, both lines of the SDK."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import anyio
import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from tests.e2e.locked import environment

# The inspector asks for Node 22.19 or newer, which a distribution may not have.
PACKAGES = (
    "node@24.21.0",
    "@modelcontextprotocol/inspector@2.12.0",
    "@modelcontextprotocol/conformance@0.1.16",
    # What it will be for the protocol of 2026.
    "conformance-next@npm:@modelcontextprotocol/conformance@0.2.0-alpha.12",
    "@anthropic-ai/claude-code@2.1.197",
)
# Seconds that a call may take: the gateway comes back after 45.
PATIENCE = 120


class Caller(Protocol):
    """Something that calls tools."""

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """What the tool said, as the one JSON text of its result."""


class Programs:
    """The clients, installed in a folder of the lab."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        modules = folder / "node_modules"
        self._node = modules / ".bin" / "node"
        self._paths = {name: modules / ".bin" / name for name in ("mcp-inspector", "conformance", "claude")}
        self._paths["conformance-next"] = modules / "conformance-next" / "dist" / "index.js"
        installed = folder / "installed"
        if not installed.exists() or installed.read_text() != " ".join(PACKAGES):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            command = ["npm", "install", "--no-fund", "--no-audit", "--no-save", "--prefix", str(folder), *PACKAGES]
            subprocess.run(command, cwd=folder, check=True, capture_output=True)
            installed.write_text(" ".join(PACKAGES))

    def run(
        self, program: str, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        path = self._paths[program]
        # The one that is no script of Node's.
        command = [str(path), *arguments] if program == "claude" else [str(self._node), str(path), *arguments]
        env = {**os.environ, **(environment or {})}
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=PATIENCE)


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


class FirstSdk:
    """The client of the official SDK's first line, in an environment of its own, since both lines are one package."""

    def __init__(self, folder: Path, server: StdioServerParameters | str, key: str = "") -> None:
        self._python = environment(folder, "mcp-v1") / "python"
        self._target = (
            {"command": server.command, "args": server.args, "env": server.env}
            if isinstance(server, StdioServerParameters)
            else {"url": server, "key": key}
        )

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        request = json.dumps({"tool": tool, "arguments": arguments, **self._target})
        command = [str(self._python), str(Path(__file__).with_name("mcp_first_line.py"))]
        done = subprocess.run(command, input=request, capture_output=True, text=True, check=False, timeout=PATIENCE)
        if done.returncode:
            raise RuntimeError(f"{tool} ended with {done.returncode}: {done.stderr}")
        said: dict[str, Any] = json.loads(done.stdout)
        return said
