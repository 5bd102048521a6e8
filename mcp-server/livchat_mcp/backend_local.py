"""Operations carried out on this machine, by the job layer that all doors share."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from livchat_cli import collection, index
from livchat_cli.access import Principal
from livchat_cli.client import Client
from livchat_cli.errors import LivchatError
from livchat_cli.jobs import Status
from livchat_cli.operations import Operation, get
from livchat_mcp.backend import Index, indexed

collection.activate()

from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._vault import Vault  # noqa: E402

# Seconds between two looks at a job.
_INTERVAL = 0.1
# Variables of the environment whose values are secrets.
SECRET_VARIABLES = ("LIVCHAT_VAULT_PASSWORD", "LIVCHAT_API_TOKEN", "HCLOUD_TOKEN", "CLOUDFLARE_API_TOKEN")


class VaultSecrets:
    """All secrets that this process knows of, read again only when the vault has changed."""

    def __init__(self, home: Path) -> None:
        self._vault = Vault(Home(str(home)))
        self._known: tuple[str, ...] = ()

    def __call__(self) -> tuple[str, ...]:
        given = [os.environ[name] for name in SECRET_VARIABLES if os.environ.get(name)]
        try:
            found = (*given, *self._vault.values())
        except LivchatError:
            # A vault that does not open here does not open in a job either: nothing of it can be in a result.
            found = tuple(given)
        if found != self._known:
            self._known = found
        return self._known


class LocalBackend:
    """See `Backend`."""

    def __init__(self, home: Path, principal: Principal) -> None:
        self._path = home
        self._client = Client(home, principal)
        self._principal = principal

    def check(self, operation: Operation, values: Mapping[str, Any]) -> None:
        self._client.check(operation, values)

    def call(self, operation: Operation, values: Mapping[str, Any], request_id: str) -> Any:
        return self._client.call(operation, values, request_id)

    def look(self, operation: Operation, values: Mapping[str, Any]) -> Any:
        return self._client.look(operation, values)

    def start(
        self, operation: Operation, values: Mapping[str, Any], request_id: str, timeout: int | None
    ) -> dict[str, Any]:
        return self._client.start(operation, values, request_id, timeout=timeout)

    def follow(self, job_id: str, tell: Callable[[dict[str, Any]], None], stopped: Callable[[], bool]) -> None:
        folder, after = self._client.jobs.get(job_id), 0
        while not stopped():
            # In this order: what is written before the end is read after it.
            ended = not Status(self._client.jobs.record(job_id)["status"]).alive
            for event in folder.events(after):
                after = event["next"]
                tell(event)
            if ended:
                return
            time.sleep(_INTERVAL)

    def show(self, job_id: str) -> dict[str, Any]:
        return self._client.jobs.show(job_id)

    def index(self, servers: Collection[str] = (), *, applications: bool = True) -> Index:
        def ask(operation: str, values: dict[str, Any]) -> Any:
            return self._client.look(get(operation), values)

        found = indexed(ask, self._principal.servers, servers, applications)
        return replace(found, left=index.left(self._path, found.servers) if applications else {})
