"""Reads DNS records out of requests as Cloudflare does: what it fills in, what it refuses and with which error."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from typing import Any

import dns.exception

from tests.lab.cloudflare.errors import ApiError, invalid_content, validation
from tests.lab.dns_server import Record, Zone, now, quote_text

TYPES = ("A", "AAAA", "CAA", "CNAME", "MX", "NS", "SRV", "TXT")
PROXIABLE = ("A", "AAAA", "CNAME")
_LABEL = re.compile(r"(\*|[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)", re.IGNORECASE)


def read(zone: Zone, body: Any, base: Record | None = None) -> Record:
    """A record from a request's body; `base` is the one a PATCH changes or a PUT replaces."""
    if not isinstance(body, dict):
        raise ApiError(400, 9207, "Request body is invalid.")
    kind = str(body.get("type", base.type if base else "")).upper()
    if not kind:
        raise validation("Record type is required.")
    if kind not in TYPES:
        raise ApiError(400, 9004, f"Invalid DNS record type {kind}.")
    if base and base.type != kind:
        raise ApiError(400, 9020, "The type of a DNS record cannot be changed.")
    name = _name(zone, body.get("name", base.name if base else None))
    content, priority = _content(kind, body, base)
    record = Record(name, kind, content, priority=priority)
    record.proxied = bool(body.get("proxied", base.proxied if base else False))
    if record.proxied and kind not in PROXIABLE:
        raise ApiError(400, 9004, "This record type cannot be proxied.")
    record.ttl = 1 if record.proxied else _ttl(body.get("ttl", base.ttl if base else 1))
    record.comment = body.get("comment", base.comment if base else None) or None
    if record.comment and len(record.comment) > 500:
        raise ApiError(400, 9310, f"DNS record comment exceeds the maximum length of 500: {len(record.comment)}.")
    record.tags = sorted(body.get("tags", base.tags if base else None) or [])
    if base:
        record.id, record.created_on = base.id, base.created_on
    record.modified_on = now()
    try:
        record.rdata()
    except (dns.exception.DNSException, ValueError) as error:
        raise invalid_content(kind, "is invalid.") from error
    _check_conflicts(zone, record)
    return record


def show(zone: Zone, record: Record) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": record.id,
        "name": record.name,
        "type": record.type,
        "content": record.content,
        "proxiable": record.type in PROXIABLE,
        "proxied": record.proxied,
        "ttl": record.ttl,
        "settings": {},
        "meta": {},
        "comment": record.comment,
        "tags": record.tags,
        "created_on": record.created_on,
        "modified_on": record.modified_on,
    }
    if record.comment:
        shown["comment_modified_on"] = record.modified_on
    if record.priority is not None:
        shown["priority"] = record.priority
    if record.type == "CAA":
        flags, tag, value = record.content.split(" ", 2)
        shown["data"] = {"flags": int(flags), "tag": tag, "value": value.strip('"')}
    return shown


def _name(zone: Zone, given: Any) -> str:
    if not given or not isinstance(given, str):
        raise ApiError(400, 9000, "DNS name is invalid.")
    name = given.lower().rstrip(".")
    if name == "@":
        return zone.name
    if name != zone.name and not name.endswith("." + zone.name):
        name = f"{name}.{zone.name}"
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")) or "*" in name[1:]:
        raise ApiError(400, 9000, "DNS name is invalid.")
    return name


def _ttl(given: Any) -> int:
    if not isinstance(given, int) or (given != 1 and not 60 <= given <= 86400):
        raise ApiError(400, 9021, "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.")
    return given


def _content(kind: str, body: dict[str, Any], base: Record | None) -> tuple[str, int | None]:
    priority = body.get("priority", base.priority if base else None)
    data = body.get("data")
    if kind == "CAA" and isinstance(data, dict):
        return f'{data.get("flags", 0)} {data.get("tag", "")} "{data.get("value", "")}"', None
    if kind == "SRV" and isinstance(data, dict):
        return f"{data.get('weight')} {data.get('port')} {data.get('target')}", data.get("priority")
    content = body.get("content", base.content if base else None)
    if not content or not isinstance(content, str):
        raise validation(f"Content for {kind} record is required.")
    if kind in ("A", "AAAA"):
        version = "4" if kind == "A" else "6"
        try:
            content = str((ipaddress.IPv4Address if kind == "A" else ipaddress.IPv6Address)(content))
        except ValueError:
            raise invalid_content(kind, f"must be a valid IPv{version} address.") from None
    elif kind in ("CNAME", "NS", "MX"):
        content = content.lower().rstrip(".")
        if not all(_LABEL.fullmatch(label) for label in content.split(".")) or "*" in content:
            raise invalid_content(kind, "is invalid.")
    elif kind == "TXT" and len(content) > 4096:
        raise ApiError(400, 9015, "Record content exceeds the allowed length of 4096 wire format bytes.")
    if kind == "MX" and not isinstance(priority, int):
        raise validation("Priority for MX record is required.")
    return content, priority if kind in ("MX", "SRV") else None


def _check_conflicts(zone: Zone, record: Record) -> None:
    others = [other for other in zone.records.values() if other.name == record.name and other.id != record.id]
    addresses = [other for other in others if other.type in PROXIABLE]
    if record.type == "CNAME" and (found := addresses):
        if any(other.type != "CNAME" for other in found):
            raise ApiError(400, 81053, "An A, AAAA, or CNAME record with that host already exists.")
        raise ApiError(400, 81053, "A CNAME record with that host already exists.")
    if record.type in ("A", "AAAA") and any(other.type == "CNAME" for other in addresses):
        raise ApiError(400, 81054, "A CNAME record with that host already exists.")
    if any(_identity(other) == _identity(record) for other in others):
        raise ApiError(400, 81058, "An identical record already exists.")


def _identity(record: Record) -> tuple[Any, ...]:
    content = quote_text(record.content) if record.type == "TXT" else record.content
    return record.type, content, record.priority


def matches(record: Record, filters: dict[str, str]) -> bool:
    """Whether a record is one of those that a list's query asks for."""
    found = [_matches(record, key, value) for key, value in filters.items() if _is_filter(key)]
    if not found:
        return True
    return any(found) if filters.get("match") == "any" else all(found)


def _is_filter(key: str) -> bool:
    return key.partition(".")[0] in ("name", "content", "comment", "tag", "type", "proxied", "search")


def _matches(record: Record, key: str, value: str) -> bool:
    field, _, how = key.partition(".")
    if field == "type":
        return record.type == value.upper()
    if field == "proxied":
        return record.proxied == (value == "true")
    if field == "search":
        return any(value.lower() in text.lower() for text in (record.name, record.content, record.comment or ""))
    if field == "tag":
        return _tag_matches(record, how, value)
    have = dataclasses.asdict(record)[field]
    if how in ("present", "absent"):
        return bool(have) == (how == "present")
    have, value = (have or "").lower(), value.lower()
    if field == "content" and record.type == "TXT":
        have, value = have.strip('"'), value.strip('"')
    return {
        "contains": value in have,
        "startswith": have.startswith(value),
        "endswith": have.endswith(value),
    }.get(how, have == value)


def _tag_matches(record: Record, how: str, value: str) -> bool:
    if how in ("present", "absent"):
        present = any(tag.partition(":")[0] == value for tag in record.tags)
        return present == (how == "present")
    name, _, wanted = value.partition(":")
    values = [tag.partition(":")[2] for tag in record.tags if tag.partition(":")[0] == name]
    compare = {"contains": str.__contains__, "startswith": str.startswith, "endswith": str.endswith}.get(
        how, str.__eq__
    )
    return any(compare(have, wanted) for have in values)
