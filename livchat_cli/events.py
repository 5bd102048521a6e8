"""What happens during a run, in the few words that a display, a log or a stream of events needs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote

REDACTED = "(redacted)"
# What is a secret wherever it stands, though no vault holds it: our keys for programs, and private keys.
_SHAPES = (
    r"livchat_key_[0-9a-f]{8}_[A-Za-z0-9_-]{20,}"
    r"|-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]{0,20}PRIVATE KEY-----|\Z)"
)
# A line of a secret that has several is looked for alone where it is as long as this, and one word: a log may begin
# within a key, and has a time before each line.
_LONG_LINE = 16
# Shorter values would redact half of every sentence, and are no secrets worth the name.
_SHORTEST = 6


class Kind(StrEnum):
    STARTED = "started"
    OK = "ok"
    CHANGED = "changed"
    SKIPPED = "skipped"
    FAILED = "failed"
    IGNORED = "ignored"
    UNREACHABLE = "unreachable"
    # No step: something to know about a host, told in `task`.
    NOTE = "note"


@dataclass(frozen=True)
class Progress:
    """A step of one host: begun, or ended and how. `role` is empty for a playbook's own tasks."""

    kind: Kind
    host: str
    role: str
    task: str
    duration: float = 0.0


Listener = Callable[[Progress], None]
_KINDS = {
    "runner_on_start": Kind.STARTED,
    "runner_on_ok": Kind.OK,
    "runner_on_skipped": Kind.SKIPPED,
    "runner_on_failed": Kind.FAILED,
    "runner_on_unreachable": Kind.UNREACHABLE,
}


def progress(event: dict[str, Any]) -> Progress | None:
    """The step in an event of ansible-runner, if it is about one."""
    kind = _KINDS.get(event.get("event", ""))
    data = event.get("event_data") or {}
    if kind is None or not data.get("host"):
        return None
    result: dict[str, Any] = data["res"] if isinstance(data.get("res"), dict) else {}
    if kind is Kind.OK and result.get("changed"):
        kind = Kind.CHANGED
    elif kind is Kind.FAILED and data.get("ignore_errors"):
        kind = Kind.IGNORED
    role = str(data.get("role") or "").removeprefix("livchat.setup.")
    return Progress(kind, str(data["host"]), role, str(data.get("task") or ""), float(data.get("duration") or 0.0))


class Redactor:
    """Takes known secrets, and what looks like one of ours, out of texts, however deep they stand."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = {form for one in secrets if len(one) >= _SHORTEST for form in forms(one)}
        wanted = sorted(known, key=len, reverse=True)
        self._pattern = re.compile("|".join([_SHAPES, *map(re.escape, wanted)]))

    def __call__(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._pattern.sub(REDACTED, value)
        if isinstance(value, dict):
            return {key: self(one) for key, one in value.items()}
        if isinstance(value, (list, tuple)):
            return (
                self._lines(value) if value and all(isinstance(one, str) for one in value) else list(map(self, value))
            )
        return value

    def _lines(self, lines: Sequence[str]) -> list[str]:
        """A private key has several lines; where none goes over their ends, they stay what they are."""
        each = [self(one) for one in lines]
        whole: str = self("\n".join(lines))
        return each if whole == "\n".join(each) else whole.split("\n")


def forms(secret: str) -> set[str]:
    """The secret as it is, in JSON within a text, and in an address; and the long lines of one that has several."""
    written = {secret, json.dumps(secret, ensure_ascii=False)[1:-1], json.dumps(secret)[1:-1], quote(secret, safe="")}
    lines = [line.strip() for line in secret.splitlines()] if "\n" in secret else []
    return written | {line for line in lines if len(line) >= _LONG_LINE and len(line.split()) == 1}
