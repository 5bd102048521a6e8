"""Simulated: as much of AWX's API as its collection asks for when it loads an export. It keeps what it is given."""

from __future__ import annotations

from typing import Any

HIDDEN = "$encrypted$"
Item = dict[str, Any]


class Controller:
    """The objects by kind, as AWX lists them, and the surveys and credentials of job templates."""

    def __init__(self) -> None:
        self.kinds: dict[str, dict[int, Item]] = {"organizations": {1: {"name": "Default"}}}
        self.surveys: dict[int, Item] = {}
        self.associated: dict[int, list[int]] = {}
        self.secrets: dict[int, Item] = {}

    def names(self, kind: str) -> dict[str, Item]:
        return {one["name"]: one for one in self.kinds.get(kind, {}).values()}

    def answer(self, method: str, path: str, query: dict[str, str], body: Item) -> tuple[int, Item]:
        kind, *rest = path.removeprefix("/api/v2/").strip("/").split("/")
        known = self.kinds.setdefault(kind, {})
        if kind == "project_updates":
            return 200, {"status": "successful", "finished": True, "failed": False, "scm_revision": "1"}
        if not rest:
            if method == "POST":
                number = 1 + sum(map(len, self.kinds.values()))
                known[number] = {}
                return 201, self._keep(kind, number, body)
            found = [self._shown(kind, number) for number in known if self._fits(known[number], number, query)]
            return 200, {"count": len(found), "next": None, "results": found}
        number, sub = int(rest[0]), rest[1] if len(rest) > 1 else ""
        if sub == "survey_spec":
            if method == "POST":
                self.surveys[number] = body
            if method == "DELETE":
                self.surveys.pop(number, None)
            return 200, self.surveys.get(number, {})
        if sub == "credentials":
            mine = self.associated.setdefault(number, [])
            if method == "POST":
                mine.append(body["id"])
                return 204, {}
            return 200, {"count": len(mine), "next": None, "results": [{"id": one} for one in mine]}
        if sub == "update":
            return 202, {"url": "/api/v2/project_updates/1/"}
        if method == "PATCH":
            return 200, self._keep(kind, number, body)
        return 200, self._shown(kind, number)

    def _keep(self, kind: str, number: int, body: Item) -> Item:
        if kind == "credentials":
            self.secrets[number] = body["inputs"]
        self.kinds[kind][number].update(body)
        return self._shown(kind, number)

    def _shown(self, kind: str, number: int) -> Item:
        url = f"/api/v2/{kind}/{number}/"
        item = {**self.kinds[kind][number], "id": number, "url": url, "type": kind.rstrip("s")}
        item |= {"related": {"survey_spec": f"{url}survey_spec/", "update": f"{url}update/"}, "summary_fields": {}}
        if kind == "credentials":
            fields = self.kinds["credential_types"][item["credential_type"]]["inputs"]["fields"]
            secret = {one["id"] for one in fields if one.get("secret")}
            item["inputs"] = {name: HIDDEN if name in secret else one for name, one in item["inputs"].items()}
        if kind == "projects":
            item["scm_revision"] = "1"
        return item

    @staticmethod
    def _fits(item: Item, number: int, query: dict[str, str]) -> bool:
        """AWX's filters, which are all that have to hold, and any of those that begin with `or__`."""
        whole = {**item, "id": number}
        every = [(name, value) for name, value in query.items() if not name.startswith("or__")]
        some = [(name.removeprefix("or__"), value) for name, value in query.items() if name.startswith("or__")]
        return all(str(whole.get(name)) == value for name, value in every) and (
            not some or any(str(whole.get(name)) == value for name, value in some)
        )
