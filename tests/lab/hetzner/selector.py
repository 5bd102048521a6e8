"""Hetzner's label selectors: `k`, `!k`, `k=v`, `k==v`, `k!=v`, `k in (a,b)`, `k notin (a,b)`, joined by commas."""

from __future__ import annotations

import re
from collections.abc import Mapping

_KEY = r"[A-Za-z0-9][A-Za-z0-9._/-]*"
_PART = re.compile(
    rf"\s*(?:(?P<absent>!\s*{_KEY})"
    rf"|(?P<set_key>{_KEY})\s+(?P<op>in|notin)\s*\((?P<values>[^)]*)\)"
    rf"|(?P<key>{_KEY})\s*(?:(?P<equal>==|=|!=)\s*(?P<value>[A-Za-z0-9._-]*))?)\s*(?:,|$)"
)


class SelectorError(ValueError):
    """Not a label selector."""


def matches(selector: str, labels: Mapping[str, str]) -> bool:
    """Whether labels satisfy every part of the selector.

    Raises:
        SelectorError: the selector cannot be read.
    """
    position = 0
    result = True
    while position < len(selector):
        part = _PART.match(selector, position)
        if not part or part.end() == position:
            raise SelectorError(selector)
        position = part.end()
        if position == len(selector) and part[0].endswith(","):
            raise SelectorError(selector)
        result = result and _holds(part, labels)
    return result


def _holds(part: re.Match[str], labels: Mapping[str, str]) -> bool:
    if absent := part["absent"]:
        return absent.lstrip("! ") not in labels
    if key := part["set_key"]:
        inside = labels.get(key) in [value.strip() for value in part["values"].split(",")]
        return inside if part["op"] == "in" else not inside
    if part["equal"] is None:
        return part["key"] in labels
    equal = labels.get(part["key"]) == part["value"]
    return not equal if part["equal"] == "!=" else equal
