"""What the cloud project holds, kept in one file so that a restarted server still knows it."""

from __future__ import annotations

import datetime
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Resource = dict[str, Any]
KINDS = ("servers", "ssh_keys", "firewalls", "networks", "primary_ips", "actions")


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


class Store:
    """Resources by kind and id. Change them inside `changing()`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        if path.exists():
            loaded = json.loads(path.read_text())
            self._next = int(loaded["next"])
            self._resources = {
                kind: {int(key): value for key, value in loaded["resources"].get(kind, {}).items()} for kind in KINDS
            }
        else:
            self._next = 1000
            self._resources = {kind: {} for kind in KINDS}

    @contextmanager
    def changing(self) -> Iterator[None]:
        with self._lock:
            yield
            self._save()

    def all(self, kind: str) -> list[Resource]:
        with self._lock:
            return [self._resources[kind][key] for key in sorted(self._resources[kind])]

    def get(self, kind: str, number: int) -> Resource | None:
        return self._resources[kind].get(number)

    def named(self, kind: str, name: str) -> Resource | None:
        return next((one for one in self.all(kind) if one["name"] == name), None)

    def add(self, kind: str, resource: Resource) -> Resource:
        self._next += 1
        resource["id"] = self._next
        self._resources[kind][self._next] = resource
        return resource

    def remove(self, kind: str, number: int) -> None:
        self._resources[kind].pop(number, None)

    def _save(self) -> None:
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text(json.dumps({"next": self._next, "resources": self._resources}))
        temporary.replace(self._path)
