"""Simulated: as much of Semaphore's API as loading an export asks for. A restore makes a new project each time."""

from __future__ import annotations

from typing import Any


class Semaphore:
    def __init__(self) -> None:
        self.backups: list[dict[str, Any]] = []
        # By name; the API names those that there are and shows none.
        self.secrets: dict[str, str] = {}

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        match method, path.removeprefix("/api/").split("/"):
            case "GET", ["projects"]:
                return 200, [{"id": 7 + number, "name": one["meta"]["name"]} for number, one in enumerate(self.backups)]
            case "POST", ["projects", "restore"]:
                self.backups.append(body)
                return 200, {"id": 6 + len(self.backups), "name": body["meta"]["name"]}
            case "GET", ["project", "7", "environment"]:
                return 200, [self._environment()]
            case "GET", ["project", "7", "environment", "3"]:
                secrets = [{"id": 1, "type": "env", "name": name, "secret": ""} for name in self.secrets]
                return 200, {**self._environment(), "secrets": secrets}
            case "PUT", ["project", "7", "environment", "3"] if body["id"] == 3 and body["project_id"] == 7:
                created = [one for one in body["secrets"] if one["operation"] == "create" and one["type"] == "env"]
                self.secrets |= {one["name"]: one["secret"] for one in created}
                return 204, None
        return 404, {"error": f"{method} {path}"}

    def _environment(self) -> dict[str, Any]:
        (environment,) = self.backups[0]["environments"]
        return {"id": 3, "project_id": 7, **environment}
