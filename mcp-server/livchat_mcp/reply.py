"""What a tool answers with, made small enough: whole items first, then shorter texts, and a word on how to go on."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mcp import types

from livchat_mcp.clean import Foreign
from livchat_mcp.texts import Texts

# Characters of a result at most, marks, hints and all. What remains for the result itself.
LONGEST = 10_000
_ROOM = 9_200
# Marks of one foreign text.
_MARKS = 48
# Bytes of an error at most.
LARGEST_ERROR = 2_000
# How long texts, and lists, may be in a result that is too large, tried one after the other.
_SHORTER = ((4000, 200), (2000, 100), (1000, 60), (500, 40), (250, 20), (120, 10), (60, 5), (30, 2))


@dataclass
class Reply:
    """A tool's answer.

    `state` is pronto (done), plano (nothing done yet: this is what would be) or andando (the job goes on).
    """

    state: str = "pronto"
    items: list[dict[str, Any]] | None = None
    result: dict[str, Any] | None = None
    job: str = ""
    plan: dict[str, Any] | None = None
    # What to do with it.
    hints: list[str] = field(default_factory=list)
    cursor: str = ""

    @classmethod
    def of(cls, value: Any, **more: Any) -> Reply:
        """An answer with whatever an operation gave: lists as items, all else as one object."""
        if isinstance(value, list):
            return cls(items=[one if isinstance(one, dict) else {"valor": one} for one in value], **more)
        return cls(result=value if isinstance(value, dict) else {"valor": value}, **more)

    def fit(
        self, texts: Texts, narrowing: Sequence[str], start: int = 0, address: Callable[[int], str] | None = None
    ) -> Reply:
        """Makes it small enough. Items are those from `start` on; those that find no room come with the cursor.

        Where nobody can send a cursor, `address` says where what follows that many items is read.
        """
        narrow = texts("narrow", arguments=", ".join(narrowing)) if narrowing else ""
        if self.plan and _size(self.plan) > _ROOM:
            # Its identifier and the time it has stay whole, as all that is short does.
            self.plan = shorter(self.plan, _ROOM)
            self.hints.append(texts("cut", limit=LONGEST, narrow=narrow))
        if self.items is not None:
            total = len(self.items)
            left = self.items[start:]
            room = _ROOM - _size([self.result, self.plan])
            number = _fitting(left, room)
            self.items = left[:number]
            if left and not number:
                self.items = [shorter(left[0], room)]
                self.hints.append(texts("cut", limit=LONGEST, narrow=narrow))
            end = start + len(self.items)
            if end < total and address:
                self.hints.append(texts("more_at", shown=len(self.items), address=address(end)))
            elif end < total:
                self.cursor = str(end)
                shown = f"{start + 1}-{end}"
                self.hints.append(texts("more", shown=shown, total=total, cursor=self.cursor, narrow=narrow))
        elif _size(self.result) > _ROOM:
            self.result = shorter(self.result, _ROOM)
            self.hints.append(texts("cut", limit=LONGEST, narrow=narrow))
        return self

    def payload(self, texts: Texts) -> dict[str, Any]:
        """As clients get it, foreign texts between marks that nobody can know before."""
        mark = secrets.token_hex(6)
        parts = {
            "estado": self.state,
            "resultado": self.result,
            "itens": self.items,
            "trabalho": self.job,
            "plano": self.plan,
            "cursor": self.cursor,
            "proximo": "; ".join(dict.fromkeys(self.hints)),
        }
        marked = Marker(mark)
        payload = {key: marked(value) for key, value in parts.items() if value or isinstance(value, (list, dict))}
        if marked.used:
            payload["aviso"] = texts("foreign", mark=mark)
        return payload

    def to_result(self, texts: Texts) -> types.CallToolResult:
        payload = self.payload(texts)
        return types.CallToolResult(content=[_block(payload)], structured_content=payload)


class Marker:
    """Puts foreign texts between marks."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self.used = False

    def __call__(self, value: Any) -> Any:
        if isinstance(value, Foreign):
            self.used = True
            return f"<<{self._mark}\n{value}\n{self._mark}>>"
        if isinstance(value, dict):
            return {key: self(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self(one) for one in value]
        return value


def error_result(error: dict[str, Any], advice: str, texts: Texts) -> types.CallToolResult:
    """An error's object as a tool's result, under 2 kB: its sentence gives way."""
    marked = Marker(mark := secrets.token_hex(6))
    while True:
        payload: dict[str, Any] = {"erro": marked(error), "proximo": advice}
        if marked.used:
            payload["aviso"] = texts("foreign", mark=mark)
        message = error["message"]
        if len(compact(payload).encode()) < LARGEST_ERROR or len(message) < 2:
            return types.CallToolResult(content=[_block(payload)], is_error=True)
        error = {**error, "message": _cut(message, len(message) * 3 // 4)}


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _block(payload: dict[str, Any]) -> types.TextContent:
    return types.TextContent(type="text", text=compact(payload))


def _size(value: Any) -> int:
    return len(compact(value)) + _MARKS * _foreign(value)


def _foreign(value: Any) -> int:
    if isinstance(value, Foreign):
        return 1
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return sum(map(_foreign, parts))


def _fitting(items: list[dict[str, Any]], room: int) -> int:
    """How many of them find room."""
    for number, one in enumerate(items):
        room -= _size(one) + 1
        if room < 0:
            return number
    return len(items)


def shorter(value: Any, room: int) -> Any:
    """The value with its texts and lists cut until it finds room, in characters of JSON."""
    for text, length in _SHORTER:
        cut = _trimmed(value, text, length)
        if _size(cut) <= room:
            return cut
    return {"valor": _cut(compact(value), room // 2)}


def _trimmed(value: Any, text: int, length: int) -> Any:
    if isinstance(value, str):
        return _cut(value, text)
    if isinstance(value, dict):
        kept = {key: _trimmed(one, text, length) for key, one in list(value.items())[:length]}
        return {**kept, "…": f"+{len(value) - length}"} if len(value) > length else kept
    if isinstance(value, list):
        kept_items = [_trimmed(one, text, length) for one in value[:length]]
        return [*kept_items, f"… +{len(value) - length}"] if len(value) > length else kept_items
    return value


def _cut(value: str, length: int) -> str:
    if len(value) <= length:
        return value
    # Of what a server printed the end says most.
    return Foreign("…" + value[-length:]) if isinstance(value, Foreign) else value[:length] + "…"
