"""What happened elsewhere and is reported to us: by Portainer, or by whoever checks whether applications answer.

A report is an operation that the REST API alone has, as a webhook: nobody else has anything to report. It goes to the
audit log, to the hooks of its event and to the outgoing webhooks; what the last one said of an application's health is
one of the API's metrics. It changes nothing: what a report says is no truth about a server.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livchat_cli import index
from livchat_cli.deliveries import Deliveries
from livchat_cli.errors import LivchatError
from livchat_cli.operations import Effect, Operation, Scope

if TYPE_CHECKING:
    from livchat_cli.parameters import HealthReport, PortainerReport

REPORTS: tuple[Operation, ...] = (
    Operation(
        name="webhooks.health",
        summary="Report whether a server or one of its applications answers",
        summary_pt="Informa se um servidor ou uma de suas aplicações responde",
        effect=Effect.WRITE,
        target="report",
        parameters="HealthReport",
        function="livchat_cli.reports:health",
        needs=Scope.REPORT,
        result="Recorded",
        route="POST /webhooks/health",
    ),
    Operation(
        name="webhooks.portainer",
        summary="Report an event of Portainer",
        summary_pt="Informa um evento do Portainer",
        effect=Effect.WRITE,
        target="report",
        parameters="PortainerReport",
        function="livchat_cli.reports:portainer",
        needs=Scope.REPORT,
        result="Recorded",
        route="POST /webhooks/portainer",
    ),
)
# What the health of each server and application was last said to be, by home: up or not.
_health: dict[Path, dict[tuple[str, str], bool]] = {}


def health(home: Path, parameters: HealthReport) -> dict[str, Any]:
    """The report webhooks.health; its event is `health.up` or `health.down`."""
    known = index.of(home).tree()
    server, instance = parameters.server, parameters.instance or ""
    _check_known(known["servers"], server)
    if instance and f"{server}/{instance}" not in known["applications"]:
        message = f"there is no application {instance} on {server} in the index; `livchat-setup app list` shows all"
        raise LivchatError("INSTANCE_UNKNOWN", message, {"server": server, "instance": instance})
    _health.setdefault(home, {})[server, instance] = parameters.status == "up"
    return _recorded(home, f"health.{parameters.status}", parameters.model_dump(mode="json"))


def portainer(home: Path, parameters: PortainerReport) -> dict[str, Any]:
    """The report webhooks.portainer; its event is `portainer.reported`."""
    _check_known(index.of(home).tree()["servers"], parameters.server)
    return _recorded(home, "portainer.reported", parameters.model_dump(mode="json"))


def last_health(home: Path) -> dict[tuple[str, str], bool]:
    """What was last reported of (server, instance) since this process began; no instance for the server itself."""
    return dict(_health.get(home, {}))


def _check_known(servers: Any, name: str) -> None:
    if name not in servers:
        message = f"there is no server {name} in the index; `livchat-setup server list` shows all"
        raise LivchatError("SERVER_UNKNOWN", message, {"server": name})


def _recorded(home: Path, event: str, report: dict[str, Any]) -> dict[str, Any]:
    deliveries = Deliveries(home)
    told = deliveries.report(event, report)
    if told:
        # A receiver that does not answer is tried again for minutes.
        threading.Thread(target=deliveries.send, name="deliveries", daemon=True).start()
    return {"event": event, "told": told}
