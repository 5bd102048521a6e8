# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""Plain data as YAML that a person can read and edit. Servers have no library for it."""

from __future__ import annotations

import json
import re
import typing as t

# Words that every version of YAML reads as text.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
_ESCAPED = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
_RESERVED = ("y", "n", "yes", "no", "on", "off", "true", "false", "null", "none")


def as_yaml(value: t.Any) -> str:
    """The data, mappings in their order."""
    if isinstance(value, (dict, list)) and value:
        return "".join(f"{line}\n" for line in _lines(value))
    return f"{_scalar(value)}\n"


def _lines(value: dict[str, t.Any] | list[t.Any]) -> t.Iterator[str]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _entry(f"{_key(str(key))}:", one)
    else:
        for one in value:
            yield from _item(one)


def _entry(start: str, value: t.Any) -> t.Iterator[str]:
    if isinstance(value, (dict, list)) and value:
        yield start
        yield from _indented(_lines(value))
    elif isinstance(value, str) and _reads_as_block(value):
        yield f"{start} |"
        yield from _indented(value.splitlines())
    else:
        yield f"{start} {_scalar(value)}"


def _item(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, (dict, list)) and value:
        first, *others = _lines(value)
        yield f"- {first}"
        yield from _indented(others)
    else:
        yield from _entry("-", value)


def _indented(lines: t.Iterable[str]) -> t.Iterator[str]:
    return (f"  {line}" if line else "" for line in lines)


def _reads_as_block(text: str) -> bool:
    """Whether a text is the same as a literal block: whole lines, with nothing at their ends that is not seen."""
    lines = text.split("\n")
    whole = len(lines) > 2 and lines[-1] == "" and lines[-2] != "" and lines[0][:1] not in ("", " ")
    return whole and text.isascii() and all(line.isprintable() and line == line.rstrip() for line in lines)


def _key(key: str) -> str:
    return key if _PLAIN.fullmatch(key) and key.lower() not in _RESERVED else _text(key)


def _scalar(value: t.Any) -> str:
    # What JSON writes is YAML too, but for characters beyond 16 bits.
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(value: str) -> str:
    return f'"{"".join(map(_character, value))}"'


def _character(one: str) -> str:
    if one in _ESCAPED:
        return _ESCAPED[one]
    if one.isprintable():
        return one
    return f"\\u{ord(one):04x}" if ord(one) < 0x10000 else f"\\U{ord(one):08x}"
