"""From what an operation gave to what is worth reading of it. It leaves out, and marks what servers printed; no more.

Operations that are not named here are shown as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from livchat_cli import collection
from livchat_mcp.clean import Foreign, plain
from livchat_mcp.errors import sentence
from livchat_mcp.options import COMMAND_OUTPUT
from livchat_mcp.reply import Reply, compact
from livchat_mcp.texts import Texts
from livchat_mcp.tools import Call

collection.activate()

from ansible_collections.livchat.setup.plugins.module_utils._cloudflare import MARK  # noqa: E402

# Lines of a log at most.
MOST_LINES = 200
# Lines that may have come meanwhile, when older ones are asked for.
SLACK = 300
# Operations whose results others have a part in: who writes into a zone, or has Docker on a server. Of their texts only
# names are sure to be no orders.
_TOLD = {
    "app.list",
    "dns.check",
    "dns.list",
    "dns.remove",
    "dns.set",
    "server.loss",
    "server.show",
    "status",
}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+Z")
# Characters of all lines at most, as JSON, so that they find room in a result.
_LOG_ROOM = 7_500


def present(operation: str, result: Any, call: Call | None, texts: Texts) -> Reply:
    """The answer for an operation's result; `call` is the one that asked, if it was for this very operation."""
    if operation == "logs":
        return _logs(result, call, texts)
    shown = _SHOWN[operation](result) if operation in _SHOWN else result
    return Reply.of(told(operation, shown))


def told(operation: str, value: Any) -> Any:
    """The result of an operation with what others may have written marked as such."""
    return _named(value) if operation in _TOLD else marked(value)


def _named(value: Any) -> Any:
    if isinstance(value, str):
        owner = value.removeprefix(MARK)
        return value if not value or plain(owner) else Foreign(value)
    if isinstance(value, dict):
        return {key: _named(one) for key, one in value.items()}
    return [_named(one) for one in value] if isinstance(value, list) else value


def marked(value: Any) -> Any:
    """Texts of several lines come from programs: nothing of ours has any."""
    if isinstance(value, str):
        return Foreign(value) if "\n" in value.strip() else value
    if isinstance(value, dict):
        return {key: marked(one) for key, one in value.items()}
    if isinstance(value, list):
        return [marked(one) for one in value]
    return value


def result_of_job(record: Mapping[str, Any], texts: Texts) -> Any:
    """What a job of any operation gave; nothing where it has not, or not yet."""
    if record.get("result") is None:
        return None
    reply = present(record["operation"], record["result"], None, texts)
    return reply.result if reply.items is None else reply.items


def failed(error: Mapping[str, Any] | None, texts: Texts) -> dict[str, Any] | None:
    """The error of a job, which may quote what a server printed, be it in a single line."""
    if not error:
        return None
    details = {key: _quoted(one) for key, one in (error.get("details") or {}).items()}
    message = sentence(str(error.get("code")), error.get("message", ""), error.get("details") or {}, texts)
    return {**error, "message": Foreign(message), "details": details}


def _quoted(value: Any) -> Any:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return Foreign("\n".join(value)) if value else value
    if isinstance(value, str):
        return value if plain(value) else Foreign(value)
    if isinstance(value, dict):
        return {key: _quoted(one) for key, one in value.items()}
    return [_quoted(one) for one in value] if isinstance(value, list) else value


def server(record: Mapping[str, Any]) -> dict[str, Any]:
    """A server in a list."""
    metadata = record.get("metadata") or {}
    shown = {key: record.get(key) for key in ("name", "ip_address", "status", "provider")}
    return {**shown, "domain": metadata.get("domain"), "applications": record.get("applications") or []}


def entry(record: Mapping[str, Any]) -> dict[str, Any]:
    """An application in the catalogue's list."""
    return {key: record.get(key) for key in ("name", "version", "category", "description", "dependencies")}


def job(record: Mapping[str, Any]) -> dict[str, Any]:
    """A job in a list."""
    keys = ("id", "operation", "servers", "status", "principal", "created_at", "finished_at")
    shown = {key: record.get(key) for key in keys}
    return shown | ({"error": record["error"]["code"]} if record.get("error") else {})


def lines_wanted(call: Call) -> int:
    """How many lines of each service to read, so that those older than the cursor are among them."""
    if not call.cursor:
        return min(MOST_LINES, int(getattr(call.parameters, "lines", MOST_LINES)))
    return min(10_000, int(call.cursor.partition("~")[2]) + MOST_LINES + SLACK)


def _logs(result: list[Mapping[str, Any]], call: Call | None, texts: Texts) -> Reply:
    """Lines of all services by time, the newest that find room; the cursor names the oldest of them."""
    before, _, seen = (call.cursor if call else "").partition("~")
    lines = [line for one in result for line in one.get("lines") or []]
    # A line without a time belongs to the one before it, which it follows in a stable order.
    lines = sorted(lines, key=_time)
    if before:
        lines = [line for line in lines if _time(line) < before]
    wanted = (
        MOST_LINES if before or call is None else min(MOST_LINES, int(getattr(call.parameters, "lines", MOST_LINES)))
    )
    shown = newest(lines, wanted)
    services = sorted({str(one.get("service", "")) for one in result})
    reply = Reply(result={"servicos": services, "linhas": len(shown), "log": Foreign("\n".join(shown))})
    if call and len(shown) < len(lines) and shown:
        reply.cursor = f"{_time(shown[0])}~{int(seen or 0) + len(shown)}"
    elif call and shown and not before and len(lines) >= wanted:
        # As many as were asked for: there may be more.
        reply.cursor = f"{_time(shown[0])}~{len(shown)}"
    return _with_older(reply, call, texts)


def job_log(lines: list[str], call: Call, texts: Texts) -> Reply:
    """Of all lines, the newest that find room; the cursor says how many of the newest were seen."""
    parameters: Any = call.parameters
    seen = int(call.cursor) if call.cursor else parameters.skip
    shown = newest(lines[: max(0, len(lines) - seen)], min(MOST_LINES, parameters.lines))
    log = Foreign("\n".join(shown))
    reply = Reply(result={"job": parameters.job, "linhas": len(shown), "de": len(lines), "log": log})
    seen += len(shown)
    reply.cursor = str(seen) if shown and seen < len(lines) else ""
    return _with_older(reply, call, texts)


def newest(lines: list[str], most: int) -> list[str]:
    """The newest lines that find room, one at least."""
    shown: list[str] = []
    room = _LOG_ROOM
    for line in reversed(lines):
        # Its quotes stand for the line's end.
        room -= len(compact(line))
        if len(shown) == most or (room < 0 and shown):
            break
        shown.insert(0, line[:_LOG_ROOM])
    return shown


def _with_older(reply: Reply, call: Call | None, texts: Texts) -> Reply:
    if reply.cursor and call:
        narrow = texts("narrow", arguments=", ".join(call.narrowing()))
        reply.hints.append(texts("older", cursor=reply.cursor, narrow=narrow))
    return reply


def _time(line: str) -> str:
    found = _TIME.match(line)
    return found[0] if found else ""


def _ran(result: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    # What there is room for is shared out among all servers, and both outputs.
    room = COMMAND_OUTPUT // max(1, 2 * len(result))
    return [
        {
            **one,
            **{name: Foreign(_tail(str(one.get(name) or ""), room)) for name in ("stdout", "stderr") if one.get(name)},
        }
        for one in result
    ]


def _tail(text: str, length: int) -> str:
    return text if len(text) <= length else "…" + text[-length:]


def _status(result: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "server": one.get("server"),
            "reachable": one.get("reachable"),
            "facts": one.get("facts") or {},
            "docker": (one.get("docker") or {}).get("version"),
            "services": [
                {
                    "name": service.get("name"),
                    "image": str(service.get("image", "")).partition("@")[0],
                    "running": f"{service.get('running', 0)}/{service.get('replicas', 0)}",
                }
                for service in one.get("services") or []
            ],
        }
        for one in result
    ]


def _plans(result: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    keys = ("server", "domain", "changed", "summary", "dns_records", "images")
    entry = ("instance", "app", "version", "installed_version", "action", "requirements")
    return [
        {key: plan[key] for key in keys if key in plan}
        | {
            "apps": [
                {key: one[key] for key in entry if one.get(key)}
                | {"urls": [url.get("url") for url in one.get("urls") or []]}
                for level in plan.get("levels") or []
                for one in level
            ]
        }
        for plan in result
    ]


_SHOWN: dict[str, Callable[[Any], Any]] = {
    "server.list": lambda result: [server(one) for one in result],
    "catalog.list": lambda result: [entry(one) for one in result],
    "jobs.list": lambda result: [job(one) for one in result],
    "status": _status,
    "exec": _ran,
    "app.plan": _plans,
}
