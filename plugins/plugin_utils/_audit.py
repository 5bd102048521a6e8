# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""audit.jsonl: who did what to which server, when, and how it ended. Lines are only ever added."""

from __future__ import annotations

import contextlib
import datetime
import getpass
import json
import os
import re
import typing as t

from ._home import Home
from ._processes import VARIABLE

FILE = "audit.jsonl"
REDACTED = "(redacted)"
# A name that says that its value is a secret; `password_file` and the like only say where one is.
_SECRET = re.compile(r"(pass(word|wd|phrase)?|secret|token|api_?key|private_?key|credential|authorization)s?$", re.I)
# A line of a text such as the answer of a survey.
_PAIR = re.compile(r"^([^=\s]+)=.+$", re.M)
# A line is one write, and a write is whole only up to what a file system takes at once.
LONGEST = 2000


def redacted(value: t.Any, name: str = "") -> t.Any:
    """The value without what its names say is secret, at any depth; long texts cut."""
    if name and _SECRET.search(name) and value not in (None, "", [], {}):
        return REDACTED
    if isinstance(value, dict):
        return {str(key): redacted(one, str(key)) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [redacted(one) for one in value]
    if isinstance(value, str):
        text = _redacted_text(value)
        return text[:LONGEST] + "…" if len(text) > LONGEST else text
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


def _redacted_text(text: str) -> str:
    """The same for a mapping that comes as text: JSON, or lines of KEY=VALUE."""
    if text.lstrip().startswith("{"):
        with contextlib.suppress(ValueError):
            return json.dumps(redacted(json.loads(text)), ensure_ascii=False)
    return _PAIR.sub(lambda line: f"{line[1]}={REDACTED}" if _SECRET.search(line[1]) else line[0], text)


def actor() -> str:
    """Who asked: what the front door says (LIVCHAT_ACTOR), else the user of the system."""
    try:
        return os.environ.get("LIVCHAT_ACTOR") or getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


# The environment's variable that says by which request, as a front door named it, a job was asked for.
REQUEST = "LIVCHAT_REQUEST_ID"


def _asked() -> dict[str, str]:
    """The job, and the request that it was asked for by, of a process that is a job's."""
    names = {"job": VARIABLE, "request_id": REQUEST}
    return {name: os.environ[variable] for name, variable in names.items() if os.environ.get(variable)}


class Audit:
    """The audit log of a home.

    >>> Audit(Home()).add("deploy", "prod", {"apps": "n8n"}, "success", 41.2)  # doctest: +SKIP
    """

    def __init__(self, home: Home) -> None:
        self._home = home

    def add(
        self, operation: str, target: str, parameters: dict[str, t.Any], outcome: str, duration: float, **more: t.Any
    ) -> None:
        """Adds a line: `outcome` is begun, success, failed or unreachable, `duration` is in seconds."""
        line = {
            "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds"),
            "actor": actor(),
            "operation": operation,
            "target": target,
            "parameters": redacted(parameters),
            "outcome": outcome,
            "duration": round(duration, 3),
            **_asked(),
            **redacted(more),
        }
        self._home.append(FILE, json.dumps(line, sort_keys=False, ensure_ascii=False))

    def lines(self) -> list[dict[str, t.Any]]:
        """What is in the log, oldest first; a line cut by a full disk, or by the end of its writer, is left out."""
        result = []
        for line in self._raw().splitlines():
            try:
                result.append(json.loads(line))
            except ValueError:
                continue
        return result

    def _raw(self) -> bytes:
        # Not as text: a line may end in the middle of a character.
        try:
            with open(self._home.file(FILE), "rb") as handle:
                return handle.read()
        except FileNotFoundError:
            return b""
