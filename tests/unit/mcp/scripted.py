"""A backend that answers as a test says, and a client of a gateway over it: what a gateway does, without any server."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mcp import Client, types

from livchat_cli.access import Principal
from livchat_cli.operations import Operation, Scope
from livchat_mcp.backend import Index
from livchat_mcp.gateway import Gateway
from livchat_mcp.options import Options
from livchat_mcp.rate import Rates

JOB = "20260102T030405-a1b2c3"
DEFAULTS = Options()
ANYBODY = Principal("somebody", frozenset(Scope))
ERAS: tuple[Literal["auto", "legacy"], ...] = ("auto", "legacy")


@dataclass
class Scripted:
    """See `livchat_mcp.backend.Backend`; what was asked for is remembered."""

    # Results by operation, or the error that the job ends with.
    results: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    known: Index = field(default_factory=Index)
    # Seconds that a job takes.
    takes: float = 0.0
    started: list[tuple[str, dict[str, Any], int | None]] = field(default_factory=list)
    called: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    principal: Principal = ANYBODY

    def check(self, operation: Operation, values: Mapping[str, Any]) -> None:
        self.principal.check(operation, operation.named_servers(operation.parse(values)))

    def call(self, operation: Operation, values: Mapping[str, Any], request_id: str) -> Any:
        self.called.append((operation.name, dict(values)))
        if operation.name == "jobs.log":
            lines = self.results["jobs.log"]
            end = len(lines) - values.get("skip", 0)
            shown = lines[max(0, end - values["lines"]) : max(0, end)]
            return {"job": values["job"], "total": len(lines), "lines": shown}
        if operation.name == "jobs.list":
            return self.results.get("jobs.list", [])
        return self.results[operation.name]

    def look(self, operation: Operation, values: Mapping[str, Any]) -> Any:
        return self.results[operation.name]

    def start(
        self, operation: Operation, values: Mapping[str, Any], request_id: str, timeout: int | None
    ) -> dict[str, Any]:
        self.started.append((operation.name, dict(values), timeout))
        return self._record(operation.name)

    def follow(self, job_id: str, tell: Callable[[dict[str, Any]], None], stopped: Callable[[], bool]) -> None:
        until = time.monotonic() + self.takes
        for event in self.events:
            tell(event)
        while time.monotonic() < until and not stopped():
            time.sleep(0.02)

    def show(self, job_id: str) -> dict[str, Any]:
        return self._record(self.started[-1][0])

    def index(self, servers: Collection[str] = (), *, applications: bool = True) -> Index:
        known = {name: one for name, one in self.known.servers.items() if not servers or name in servers}
        apps = {key: one for key, one in self.known.applications.items() if key.partition("/")[0] in known}
        return Index(known, apps)

    def _record(self, operation: str) -> dict[str, Any]:
        error = self.errors.get(operation)
        return {
            "id": JOB,
            "operation": operation,
            "servers": [],
            "status": "failed" if error else "successful",
            "principal": "somebody",
            "error": error,
            "result": None if error else self.results.get(operation),
        }

    def done(self, operation: str) -> list[dict[str, Any]]:
        """The parameters that the operation was carried out with."""
        return [values for name, values, _timeout in self.started if name == operation]


@dataclass
class Asker:
    """A client with its person, who answers as told, and what was seen."""

    client: Client
    asked: list[str]

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """What the tool's text says, which is what its structure says; an error has `erro`."""
        result = await self.client.call_tool(tool, arguments)
        (block,) = result.content
        assert isinstance(block, types.TextContent)
        said: dict[str, Any] = json.loads(block.text)
        if result.is_error:
            assert "erro" in said
        else:
            assert result.structured_content == said
        return said


def gateway(
    home: Path,
    backend: Any,
    options: Options = DEFAULTS,
    *,
    principal: Principal = ANYBODY,
    secrets: Callable[[], tuple[str, ...]] = tuple,
    rates: Rates | None = None,
) -> Gateway:
    return Gateway(
        home,
        options,
        backend=lambda _principal: backend,
        secrets=secrets,
        who=lambda _context: principal,
        rates=rates or Rates(rate=1e6, burst=10**6),
    )


@asynccontextmanager
async def asker(
    made: Gateway, era: Literal["auto", "legacy"] = "auto", answer: str | None = None, action: str = "accept"
) -> AsyncIterator[Asker]:
    """A client of the gateway. With an `answer` it says that it can ask a person, who then types it."""
    asked: list[str] = []

    async def ask(context: Any, params: Any) -> types.ElicitResult:
        asked.append(params.message)
        return types.ElicitResult(action=action, content={"nome": answer} if action == "accept" else None)  # type: ignore[arg-type]

    callback = ask if answer is not None else None
    async with Client(made.server(), mode=era, elicitation_callback=callback) as client:
        yield Asker(client, asked)
