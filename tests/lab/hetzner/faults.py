"""Faults on demand: what a client must live through when the real cloud has a bad day."""

from __future__ import annotations

import fnmatch
import threading
from typing import Any

from .errors import ApiError

# Each value is how often it still happens, or what it happens to.
DEFAULTS: dict[str, Any] = {
    # Patterns of action commands (`create_server`) that end in error.
    "action_fails": [],
    # Server types that no location can deliver.
    "sold_out": [],
    # The next N requests are answered 429, 503.
    "rate_limited": 0,
    "server_error": 0,
    # Seconds before each answer.
    "slow": 0,
    # The next N writes are carried out, and then the connection is cut in place of the answer.
    "cut_after": 0,
}


class Faults:
    """The switches, and the counters that requests use up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = dict(DEFAULTS)

    def clear(self) -> None:
        self.set(DEFAULTS)

    def set(self, wanted: dict[str, Any]) -> None:
        for name, value in wanted.items():
            if name not in DEFAULTS or isinstance(value, list) != isinstance(DEFAULTS[name], list):
                raise ApiError(422, "invalid_input", f"fault {name}={value!r}; there are {DEFAULTS}")
        with self._lock:
            self._now.update(wanted)

    def show(self) -> dict[str, Any]:
        with self._lock:
            return dict(self._now)

    def take(self, name: str) -> bool:
        with self._lock:
            if self._now[name] < 1:
                return False
            self._now[name] -= 1
            return True

    def fails(self, command: str) -> bool:
        return any(fnmatch.fnmatch(command, pattern) for pattern in self.show()["action_fails"])

    def sold_out(self, server_type: str) -> bool:
        return server_type in self.show()["sold_out"]
