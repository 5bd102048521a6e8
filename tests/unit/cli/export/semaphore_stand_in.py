"""Simulated: as much of Semaphore's API as loading an export asks for. A restore makes a new project each time."""

from __future__ import annotations

from typing import Any


class Semaphore:
    def __init__(self, tells_empty: bool = True) -> None:
        """`tells_empty`: whether it says which keys are empty, which 2.10 with its database in BoltDB does not."""
        self.backups: list[dict[str, Any]] = []
        # By name; the API shows none.
        self.secrets: dict[str, str] = {}
        self._tells_empty = tells_empty

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        match method, path.removeprefix("/api/").split("/"):
            case "GET", ["projects"]:
                return 200, [{"id": 7 + number, "name": one["meta"]["name"]} for number, one in enumerate(self.backups)]
            case "POST", ["projects", "restore"]:
                self.backups.append(body)
                return 200, {"id": 6 + len(self.backups), "name": body["meta"]["name"]}
            case "GET", ["project", "7", "keys"]:
                return 200, self._keys()
            case "PUT", ["project", "7", "keys", number] if int(number) == body["id"] and body["project_id"] == 7:
                # Another type would be kept too, and the job that needs the key would fail.
                (key,) = (one for one in self._keys() if one["id"] == body["id"])
                if body["override_secret"] and (body["name"], body["type"]) == (key["name"], key["type"]):
                    self.secrets[body["name"]] = body[body["type"]]["password"]
                    return 204, None
        return 404, {"error": f"{method} {path}"}

    def _keys(self) -> list[dict[str, Any]]:
        nothing = {"string": "", "login_password": {"login": "", "password": ""}, "override_secret": False}
        keys = [{"id": number, "project_id": 7, **one, **nothing} for number, one in enumerate(self.backups[0]["keys"])]
        empty = [one for one in keys if one["name"] not in self.secrets and self._tells_empty]
        return [{**one, "empty": True} if one in empty else one for one in keys]
