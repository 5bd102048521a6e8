"""Results for people: tables of what is alike, plain lines for the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def show(result: Any, operation: str = "") -> None:
    """Prints a result on stdout."""
    console = Console(soft_wrap=True)
    if operation in _SPECIAL:
        _SPECIAL[operation](console, result)
    else:
        _any(console, result)


def _any(console: Console, result: Any) -> None:
    if isinstance(result, list) and result and all(isinstance(row, dict) for row in result):
        _table(console, result)
    elif isinstance(result, list):
        for row in result:
            _line(console, _text(row))
        if not result:
            _line(console, "none")
    elif isinstance(result, dict):
        table = Table(box=None, show_header=False, pad_edge=False)
        for key, value in result.items():
            table.add_row(Text(str(key), style="bold"), Text(_text(value)))
        console.print(table)
    elif result is not None:
        _line(console, _text(result))


def _table(console: Console, rows: list[dict[str, Any]], columns: list[str] | None = None) -> None:
    columns = columns or list(dict.fromkeys(key for row in rows for key in row))
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        # Text, not str: what servers answer is no markup.
        table.add_row(*(Text(_text(row.get(column, ""))) for column in columns))
    console.print(table)


def _line(console: Console, text: str) -> None:
    console.print(Text(text))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    if isinstance(value, dict):
        return ", ".join(f"{key}={_text(one)}" for key, one in value.items() if one not in ("", None, [], {}))
    return "" if value is None else str(value)


def _servers(console: Console, result: list[dict[str, Any]]) -> None:
    if not result:
        _line(console, "no servers; `livchat-setup server create NAME --domain DOMAIN` makes one")
        return
    rows = [{**one, "domain": (one.get("metadata") or {}).get("domain", "")} for one in result]
    _table(console, rows, ["name", "ip_address", "status", "provider", "domain", "applications"])


def _jobs(console: Console, result: list[dict[str, Any]]) -> None:
    if not result:
        _line(console, "no jobs yet")
        return
    rows = [{**one, "error": (one["error"] or {}).get("code", "")} for one in result]
    _table(console, rows, ["id", "operation", "servers", "status", "principal", "created_at", "finished_at", "error"])


def _plans(console: Console, result: list[dict[str, Any]]) -> None:
    for plan in result:
        _line(console, f"{plan['server']} ({plan.get('domain', '')}):")
        for line in plan.get("summary") or ["nothing to do"]:
            _line(console, f"  {line}")


def _launched(console: Console, result: dict[str, Any]) -> None:
    _table(console, result["servers"], ["name", "ip_address", "domain"])
    _installed(console, result["installed"])


def _installed(console: Console, result: list[dict[str, Any]]) -> None:
    for one in result:
        _line(console, f"{one['server']}: {'changed' if one.get('changed') else 'nothing to do'}")
        for line in one.get("summary") or []:
            _line(console, f"  {line}")
        for application in one.get("applications") or []:
            for url in application.get("urls") or []:
                _line(console, f"  {application['instance']}: {url}")
        for login in one.get("logins") or []:
            _line(console, f"  login: {_text(login)}")


def _catalogue(console: Console, result: list[dict[str, Any]]) -> None:
    _table(console, result, ["category", "name", "version", "description", "dependencies"])


def _status(console: Console, result: list[dict[str, Any]]) -> None:
    rows = [
        {
            "server": server["server"] if not number else "",
            "service": service.get("name", ""),
            "image": str(service.get("image", "")).partition("@")[0],
            "running": f"{service.get('running', 0)}/{service.get('replicas', 0)}" if service else "",
            "state": "" if server.get("reachable") else "unreachable",
        }
        for server in result
        for number, service in enumerate(server.get("services") or [{}])
    ]
    _table(console, rows, ["server", "service", "image", "running", "state"]) if rows else _line(console, "no servers")


def _logs(console: Console, result: list[dict[str, Any]]) -> None:
    for one in result:
        for line in one.get("lines") or []:
            _line(console, str(line))


def _ran(console: Console, result: list[dict[str, Any]]) -> None:
    for one in result:
        _line(console, f"{one['server']}: exit code {one['rc']}")
        for name in ("stdout", "stderr"):
            if one.get(name):
                _line(console, one[name])


def _doctor(console: Console, result: dict[str, Any]) -> None:
    styles = {"ok": "green", "warning": "yellow", "failed": "red"}
    table = Table("check", "", "found", "what to do", box=None, pad_edge=False, header_style="bold")
    for one in result["checks"]:
        state = Text(one["status"], style=styles[one["status"]])
        table.add_row(one["check"], state, Text(one["found"]), Text(one["cure"]))
    console.print(table)
    _line(console, f"next: {result['next']}")


_SPECIAL: dict[str, Callable[[Console, Any], None]] = {
    "server.list": _servers,
    "launch": _launched,
    "app.plan": _plans,
    "app.install": _installed,
    "catalog.list": _catalogue,
    "status": _status,
    "logs": _logs,
    "exec": _ran,
    "jobs.list": _jobs,
    "doctor": _doctor,
}
