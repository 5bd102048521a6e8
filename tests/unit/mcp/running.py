"""The gateway as an operator starts it: a process of its own, over HTTP or on its standard input and output."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import httpx
from mcp import StdioServerParameters

from livchat_cli.access import Tokens
from tests.listening import Listening
from tests.throwaway import Tree

PASSWORD = "a master password of no vault"
# What every request of the era before 2026-07-28 says of itself.
HEADERS = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "by hand", "version": "1"},
    },
}


def over_stdio(
    tree: Tree, home: Path, *options: str, environment: Mapping[str, str] | None = None, password: str = PASSWORD
) -> StdioServerParameters:
    """The gateway of that home; without a password that of a home which says in its settings where it is."""
    return StdioServerParameters(
        command=sys.executable,
        args=["-P", "-m", "livchat_mcp", *options],
        env={**tree.environment(home), **_opening(password), **(environment or {})},
    )


def _opening(password: str) -> dict[str, str]:
    return {"LIVCHAT_VAULT_PASSWORD": password} if password else {}


class Served(Listening):
    """One gateway over HTTP. The home stays when it is stopped."""

    def __init__(self, tree: Tree, home: Path, password: str = PASSWORD) -> None:
        super().__init__()
        self.tree = tree
        self._password = password
        self.home = home

    def start(self, *options: str, environment: Mapping[str, str] | None = None) -> None:
        """Starts it, and returns when it listens."""
        self.begin(
            [sys.executable, "-P", "-m", "livchat_mcp", "--http", "127.0.0.1:0", *options],
            {**self.tree.environment(self.home), **_opening(self._password), **(environment or {})},
        )

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def key(self, scope: str = "admin", servers: Iterable[str] = (), days: int | None = None) -> str:
        return Tokens(self.home).create(scope, [scope], servers, days)[1]

    def client(self, key: str | None = None) -> httpx.Client:
        """A client by hand, with a token of this home's."""
        return httpx.Client(headers={**HEADERS, "Authorization": f"Bearer {key or self.key()}"}, timeout=60)
