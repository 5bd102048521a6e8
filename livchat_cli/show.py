"""Results for people: tables of what is alike, plain lines for the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Column, Table
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
    table = Table(*map(_column, columns), box=None, pad_edge=False, header_style="bold")
    for row in rows:
        # Text, not str: what servers answer is no markup.
        table.add_row(*(Text(_text(row.get(column, ""))) for column in columns))
    console.print(table)


def _column(name: str) -> Column:
    # A host name that is cut off is of no use to anybody.
    return Column(name, overflow="fold")


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
    rows = []
    for one in result:
        metadata = one.get("metadata") or {}
        rows.append({**one, "domain": metadata.get("domain", ""), "set_up": metadata.get("setup_at", "")[:10]})
    _table(console, rows, ["name", "ip_address", "status", "provider", "domain", "set_up", "applications"])


def _server(console: Console, result: dict[str, Any]) -> None:
    facts, docker, setup, metadata = result["facts"], result["docker"], result["setup"], result["metadata"]
    system, swarm = facts.get("os") or {}, docker.get("swarm") or {}
    role = "a manager of its Swarm" if swarm.get("is_manager") else "in a Swarm" if swarm.get("active") else "no Swarm"
    about = {
        "name": result["name"],
        "provider": result["provider"],
        "status": result["status"],
        "address": result["ip_address"],
        "domain": result["domain"],
        "login": f"{metadata.get('user', 'root')}, port {metadata.get('port', 22)}",
        "type": ", ".join(metadata[key] for key in ("server_type", "location", "image") if metadata.get(key)),
        "labels": metadata.get("labels"),
        "created": result["created_at"],
        "resources": result["resources"],
        "set up": f"{setup['state']} {setup['at']}".strip(),
        "system": " ".join(str(system.get(key, "")) for key in ("id", "version", "architecture")).strip(),
        "free": {key: facts[key] for key in ("memory_free_mb", "disk_free_gb") if key in facts},
        "docker": f"{docker.get('version') or 'not installed'}, {role}" if result["reachable"] else "",
        "answers": "yes" if result["reachable"] else f"no: {result['unreachable']}",
    }
    _any(console, {key: value for key, value in about.items() if value})
    installed, known = result["installed"], result["applications"]
    if installed:
        _line(console, "")
        _table(console, installed, ["instance", "app", "version", "running", "wanted", "volumes", "domains"])
    elif known and not result["reachable"]:
        _line(console, f"remembered applications: {_text(known)}")


def _destroyed(console: Console, result: dict[str, Any]) -> None:
    name = result["name"]
    if not result["changed"]:
        _line(console, f"nothing was known of a server {name}")
    elif result["adopted"]:
        kept = "" if result["key_removed"] else "; the public key of livchat.setup is still let in there"
        _line(console, f"{name} is forgotten; the server itself stays as it is{kept}")
    else:
        _line(console, f"{name} is deleted")
    if result["dns_records"]:
        _line(console, f"  removed DNS records: {_text(result['dns_records'])}")


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


def _removed(console: Console, result: list[dict[str, Any]]) -> None:
    for one in result:
        state = "removed" if one.get("removed") else "nothing to remove"
        _line(console, f"{one['server']}: {one['instance']}: {state}")
        for kind in ("volumes", "databases", "dns_records"):
            for what in one.get(kind) or []:
                _line(console, f"  removed {kind.replace('_', ' ').removesuffix('s')} {what}")
        for what in one.get("kept") or []:
            _line(console, f"  kept {what}")


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


def _job_log(console: Console, result: dict[str, Any]) -> None:
    for line in result["lines"]:
        _line(console, line)


def _ran(console: Console, result: list[dict[str, Any]]) -> None:
    for one in result:
        _line(console, f"{one['server']}: exit code {one['rc']}")
        for name in ("stdout", "stderr"):
            if one.get(name):
                _line(console, one[name])


def _checks(console: Console, result: dict[str, Any]) -> None:
    styles = {"ok": "green", "warning": "yellow", "failed": "red"}
    columns = map(_column, ("check", "", "found", "what to do"))
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for one in result["checks"]:
        state = Text(one["status"], style=styles[one["status"]])
        table.add_row(one["check"], state, Text(one["found"]), Text(one["cure"]))
    console.print(table)


def _doctor(console: Console, result: dict[str, Any]) -> None:
    _checks(console, result)
    _line(console, f"next: {result['next']}")


def _record(record: dict[str, Any]) -> dict[str, str]:
    """A DNS record as its row of a table begins."""
    priority = record.get("priority")
    return {
        "name": record["name"],
        "type": record["type"],
        "value": record["value"] if priority is None else f"{priority} {record['value']}",
        "ttl": "automatic" if record["ttl"] == 1 else str(record["ttl"]),
        "proxied": "yes" if record["proxied"] else "",
    }


def _records(console: Console, result: list[dict[str, Any]]) -> None:
    if not result:
        _line(console, "no records; `livchat-setup dns set NAME TYPE VALUE` makes one, `dns list --all` shows others'")
        return
    rows = [{**_record(one), "owner": one["owner"] or f"not ours ({one['comment'] or 'no comment'})"} for one in result]
    _table(console, rows)


def _records_changed(console: Console, result: dict[str, Any]) -> None:
    done = {"create": "made", "update": "changed", "delete": "removed", "none": "there already"}
    for one in result["records"]:
        row = _record(one)
        notes = [f"TTL {row['ttl']}"]
        if one["proxied"]:
            notes.append("proxied")
        if one.get("before", row["value"]) != row["value"]:
            notes.append(f"was {one['before']}")
        line = f"{done[one['action']]}: {row['name']} {row['type']} {row['value']} ({', '.join(notes)})"
        _line(console, line)
    if not result["records"]:
        _line(console, f"nothing to do: the zone {result['zone']} has no such record")


_SPECIAL: dict[str, Callable[[Console, Any], None]] = {
    "server.list": _servers,
    "server.show": _server,
    "launch": _launched,
    "server.loss": _plans,
    "server.destroy": _destroyed,
    "app.plan": _plans,
    "app.install": _installed,
    "app.uninstall": _removed,
    "catalog.list": _catalogue,
    "status": _status,
    "logs": _logs,
    "jobs.log": _job_log,
    "exec": _ran,
    "dns.set": _records_changed,
    "dns.list": _records,
    "dns.remove": _records_changed,
    "dns.check": _checks,
    "jobs.list": _jobs,
    "doctor": _doctor,
}
