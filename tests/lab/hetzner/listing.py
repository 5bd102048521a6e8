"""Lists as Hetzner answers them: filtered, sorted, in pages."""

from __future__ import annotations

from typing import Any

from fastapi import Request

from . import selector
from .errors import invalid
from .store import Resource

# What each list can be sorted by; what is in no entry is sorted by the fields of "".
SORTABLE: dict[str, tuple[str, ...]] = {
    "": ("id", "name", "created"),
    "actions": ("id", "command", "status", "started", "finished"),
    "ssh_keys": ("id", "name"),
    "locations": ("id", "name"),
    "primary_ips": ("id", "created"),
    "floating_ips": ("id", "created"),
}
FILTERS = ("name", "status", "architecture", "fingerprint", "type", "ip")
PAGE, PER_PAGE, MOST_PER_PAGE = 1, 25, 50


def listed(request: Request, key: str, resources: list[Resource]) -> dict[str, Any]:
    """The page of resources that a request asks for."""
    return _page(request, key, _sorted(request, key, _filtered(request, resources)))


def _filtered(request: Request, resources: list[Resource]) -> list[Resource]:
    query = request.query_params
    for field in FILTERS:
        if wanted := query.getlist(field):
            resources = [one for one in resources if field not in one or one[field] in wanted]
    if wanted_labels := query.get("label_selector"):
        try:
            # Also when there is nothing to match: a client must learn that it asks wrongly.
            selector.matches(wanted_labels, {})
            resources = [one for one in resources if selector.matches(wanted_labels, one.get("labels", {}))]
        except selector.SelectorError as error:
            raise invalid("label_selector", "label_selector is not a valid selector") from error
    return resources


def _sorted(request: Request, key: str, resources: list[Resource]) -> list[Resource]:
    allowed = SORTABLE.get(key, SORTABLE[""])
    # The first field counts most: sort by it last.
    for order in reversed(request.query_params.getlist("sort")):
        field, colon, direction = order.partition(":")
        if field not in allowed or direction not in (("asc", "desc") if colon else ("",)):
            raise invalid("sort", f"sort must be FIELD, FIELD:asc or FIELD:desc of {', '.join(allowed)}")
        resources = sorted(
            resources,
            key=lambda one: (one.get(field) is not None, one.get(field) or 0 if field == "id" else str(one.get(field))),
            reverse=direction == "desc",
        )
    return resources


def _page(request: Request, key: str, found: list[Resource]) -> dict[str, Any]:
    page = _number(request, "page", PAGE)
    size = min(_number(request, "per_page", PER_PAGE), MOST_PER_PAGE)
    last = max(1, -(-len(found) // size))
    return {
        key: found[(page - 1) * size : page * size],
        "meta": {
            "pagination": {
                "page": page,
                "per_page": size,
                "previous_page": min(page - 1, last) if page > 1 else None,
                "next_page": page + 1 if page < last else None,
                "last_page": last,
                "total_entries": len(found),
            }
        },
    }


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    # Seven digits are more than anyone pages through, and `int` of a longer text is work for nothing.
    if not (text.isascii() and text.isdigit() and len(text) <= 7 and int(text) > 0):
        raise invalid(name, f"{name} must be a positive number")
    return int(text)
