"""Where operations are carried out: here, or by a REST API somewhere else. The gateway sees no difference."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from livchat_cli.errors import LivchatError
from livchat_cli.operations import Operation


@dataclass(frozen=True)
class Index:
    """What is known without asking any server: servers by name, applications by SERVER/INSTANCE."""

    servers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    applications: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    # Those that were removed and left their data; only the home itself knows them.
    left: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def on(self, server: str) -> dict[str, Mapping[str, Any]]:
        """The applications of a server, by instance."""
        found = {key.partition("/"): one for key, one in self.applications.items()}
        return {instance: one for (name, _slash, instance), one in found.items() if name == server}


class Backend(Protocol):
    """Carries operations out for one caller.

    Every method may block, and is called in a thread.

    Raises:
        LivchatError: from every method, as the operation's own error, or of the way to it.
    """

    def check(self, operation: Operation, values: Mapping[str, Any]) -> None:
        """Raises ACCESS_FORBIDDEN or JOB_UNKNOWN unless the caller may do this."""

    def call(self, operation: Operation, values: Mapping[str, Any], request_id: str) -> Any:
        """The result of an operation that needs no job."""

    def look(self, operation: Operation, values: Mapping[str, Any]) -> Any:
        """The result that the index has of an operation that otherwise needs a job."""

    def start(
        self, operation: Operation, values: Mapping[str, Any], request_id: str, timeout: int | None
    ) -> dict[str, Any]:
        """Starts the operation's job, which then needs nobody; its record."""

    def follow(self, job_id: str, tell: Callable[[dict[str, Any]], None], stopped: Callable[[], bool]) -> None:
        """Tells of the job's events from its beginning, until it has ended, or `stopped` says that nobody listens."""

    def show(self, job_id: str) -> dict[str, Any]:
        """The job's record, with its result."""

    def index(self, servers: Collection[str] = (), *, applications: bool = True) -> Index:
        """What is known of these servers, or of all that the caller may see; with their applications, or without."""


def indexed(
    ask: Callable[[str, dict[str, Any]], Any], mine: Collection[str], servers: Collection[str], applications: bool
) -> Index:
    """See `Backend.index`.

    `ask` gives what the index has of an operation, `mine` are the servers that the caller is limited to, if any.
    """
    names = {one for one in servers or mine if not mine or one in mine}
    if not servers and not mine:
        known = {one["name"]: one for one in ask("server.list", {})}
        apps = ask("app.list", {}) if applications else []
    else:
        known = {}
        for name in sorted(names):
            try:
                known[name] = ask("server.show", {"name": name})
            except LivchatError as error:
                if error.code != "SERVER_UNKNOWN":
                    raise
        apps = ask("app.list", {"target": sorted(known)}) if applications and known else []
    return Index(known, {f"{one['server']}/{one['instance']}": one for one in apps})
