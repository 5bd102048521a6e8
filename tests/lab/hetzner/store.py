"""What the cloud project holds, kept in one file so that a restarted server still knows it."""

from __future__ import annotations

import datetime
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.lab.engine import LabError

from .errors import not_found, not_unique

Resource = dict[str, Any]
KINDS = ("servers", "ssh_keys", "firewalls", "networks", "primary_ips", "placement_groups", "actions")
VERSION = 2
# Old actions are of no use to anyone; without a limit the file grows with every poll of a long session.
ACTIONS_KEPT = 1000


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


class Store:
    """Resources by kind and id. Read several of them, and change any, inside `changing()`.

    Nothing is held twice: what one resource says about another (the firewalls of a server) is worked out when shown.

    Raises:
        LabError: the file was written by another version of the lab.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._depth = 0
        self._next = 1000
        self._resources: dict[str, dict[int, Resource]] = {kind: {} for kind in KINDS}
        if path.exists():
            loaded = json.loads(path.read_text())
            if loaded.get("version") != VERSION:
                raise LabError(f"{path} is of another version of the lab: end that lab first (make lab-down)")
            self._next = int(loaded["next"])
            for kind in KINDS:
                self._resources[kind] = {int(key): value for key, value in loaded["resources"].get(kind, {}).items()}

    @contextmanager
    def changing(self) -> Iterator[None]:
        with self._lock:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if not self._depth:
                    self._save()

    def all(self, kind: str) -> list[Resource]:
        with self._lock:
            return [self._resources[kind][key] for key in sorted(self._resources[kind])]

    def get(self, kind: str, number: int) -> Resource | None:
        return self._resources[kind].get(number)

    def must(self, kind: str, number: int) -> Resource:
        """Raises:
        ApiError: there is none (404).
        """
        resource = self.get(kind, number)
        if resource is None:
            raise not_found(kind, number)
        return resource

    def find(self, kind: str, wanted: int | str) -> Resource | None:
        """By id or name, as Hetzner's requests name things."""
        for one in self.all(kind):
            if wanted == one["name"] or str(wanted) == str(one["id"]):
                return one
        return None

    def check_free(self, kind: str, name: str, but: int | None = None) -> None:
        """Raises:
        ApiError: another resource of that kind has the name (409).
        """
        if any(one["name"] == name and one["id"] != but for one in self.all(kind)):
            raise not_unique()

    def add(self, kind: str, resource: Resource) -> Resource:
        with self._lock:
            self._next += 1
            resource["id"] = self._next
            self._resources[kind][self._next] = resource
            for old in sorted(self._resources["actions"])[:-ACTIONS_KEPT]:
                del self._resources["actions"][old]
            return resource

    def remove(self, kind: str, number: int) -> None:
        self._resources[kind].pop(number, None)

    def _save(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text(json.dumps({"version": VERSION, "next": self._next, "resources": self._resources}))
        temporary.chmod(0o600)
        temporary.replace(self._path)
