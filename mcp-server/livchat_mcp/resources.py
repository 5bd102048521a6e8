"""What can be read without a tool: servers, applications, jobs, logs, the catalogue, the operations' parameters."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import anyio.to_thread
from mcp import types

from livchat_cli.errors import LivchatError
from livchat_cli.operations import Operation, get
from livchat_mcp import joblog, present, schemas
from livchat_mcp.backend import Backend
from livchat_mcp.clean import Cleaner, Foreign
from livchat_mcp.reply import LONGEST, Marker, Reply, compact
from livchat_mcp.texts import Texts

SCHEME = "livchat"
# Jobs that are read for a page: more than find room in it.
_JOBS = 200
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}"
Read = Callable[[str, dict[str, Any]], Awaitable[Any]]
# What names an entry of a list.
Key = tuple[str, ...]


@dataclass(frozen=True)
class _Resource:
    """One resource, or a family of them where the path has names in braces."""

    path: str
    portuguese: str
    english: str
    # The operation that a caller must be allowed to use.
    operation: str

    @property
    def uri(self) -> str:
        return f"{SCHEME}://{self.path}"

    @property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\\{(\w+)\\}", rf"(?P<\1>{_NAME})", re.escape(self.uri)))


RESOURCES = (
    _Resource("servidores", "Servidores conhecidos", "Known servers", "server.list"),
    _Resource("apps", "Aplicações instaladas, segundo o índice", "Installed applications, from the index", "app.list"),
    _Resource("catalogo", "O que pode ser instalado", "What can be installed", "catalog.list"),
    _Resource("trabalhos", "Trabalhos, os mais novos primeiro", "Jobs, the newest first", "jobs.list"),
    _Resource("operacoes", "Operações e seus parâmetros", "Operations and their parameters", "catalog.list"),
)
# What a list that is longer than a page goes on with: what comes after the named one. Names, and no numbers of pages,
# since what is added or removed meanwhile moves nothing from one page into another then.
PAGES = (
    _Resource("servidores/depois/{servidor}", "Servidores depois desse", "Servers after this one", "server.list"),
    _Resource("apps/depois/{servidor}/{app}", "Aplicações depois dessa", "Applications after this one", "app.list"),
    _Resource("catalogo/depois/{app}", "Catálogo depois dessa", "The catalogue after this one", "catalog.list"),
    _Resource("trabalhos/depois/{job}", "Trabalhos antes desse", "Jobs older than this one", "jobs.list"),
    _Resource("operacoes/depois/{operacao}", "Operações depois dessa", "Operations after this one", "catalog.list"),
)
TEMPLATES = (
    *PAGES,
    _Resource("servidores/{servidor}", "Um servidor e suas aplicações", "A server with its apps", "server.show"),
    _Resource("servidores/{servidor}/apps/{app}/logs", "Log de uma aplicação", "Log of an application", "logs"),
    _Resource("catalogo/{app}", "Definição de uma aplicação", "Definition of an application", "catalog.show"),
    _Resource("trabalhos/{job}", "Um trabalho e seu resultado", "A job and its result", "jobs.show"),
    _Resource("trabalhos/{job}/log", "Fim do log de um trabalho", "End of a job's log", "jobs.log"),
    _Resource("trabalhos/{job}/log/{vistas}", "Antes das tantas já vistas", "Before so many lines seen", "jobs.log"),
    _Resource("operacoes/{operacao}", "Parâmetros de uma operação", "An operation's parameters", "catalog.list"),
)
_LISTS = {one.path for one in (*RESOURCES, *PAGES)}


class Resources:
    """Resources of one principal."""

    def __init__(
        self, backend: Backend, read: Read, permitted: dict[str, Operation], texts: Texts, clean: Cleaner
    ) -> None:
        self._backend = backend
        self._read = read
        self._permitted = permitted
        self._texts = texts
        self._clean = clean

    def listed(self) -> list[types.Resource]:
        return [
            types.Resource(name=one.path, uri=one.uri, description=self._words(one), mime_type="application/json")
            for one in RESOURCES
            if one.operation in self._permitted
        ]

    def templates(self) -> list[types.ResourceTemplate]:
        return [
            types.ResourceTemplate(name=one.path, uri_template=one.uri, description=self._words(one))
            for one in TEMPLATES
            if one.operation in self._permitted
        ]

    async def content(self, uri: str) -> types.TextResourceContents:
        """The text behind the address.

        Raises:
            LivchatError: RESOURCE_NOT_FOUND, or what reading it failed with.
        """
        for one in (*RESOURCES, *TEMPLATES):
            if (match := one.pattern.fullmatch(unquote(uri))) and one.operation in self._permitted:
                try:
                    text = await self._text(one.path, match.groupdict())
                except LivchatError as error:
                    if error.code == "INPUT_INVALID":
                        break
                    raise
                kind = "text/plain" if "log" in one.path.split("/") or one.path.endswith("logs") else "application/json"
                return types.TextResourceContents(uri=uri, mime_type=kind, text=text)
        raise LivchatError("RESOURCE_NOT_FOUND", "there is no such resource")

    def _words(self, resource: _Resource) -> str:
        return self._texts.pick(resource.portuguese, resource.english)

    async def _text(self, path: str, names: dict[str, str]) -> str:
        if path.endswith("/logs"):
            result = await self._read(
                "logs", {"target": names["servidor"], "instance": names["app"], "lines": present.MOST_LINES}
            )
            reply = present.present("logs", self._clean(result), None, self._texts)
            return self._foreign(str((reply.result or {})["log"]))
        if "/log" in path:
            return await self._log(names)
        if path in _LISTS:
            return await self._page(path.partition("/")[0], tuple(names.values()))
        reply = Reply.of(self._clean(present.marked(await self._value(path, names))))
        return compact(reply.fit(self._texts, []).payload(self._texts))

    async def _page(self, family: str, after: Key) -> str:
        """As much of a list as finds room, from behind what `after` names; a hint says where the rest is."""
        entries = await self._entries(family, after)

        def following(number: int) -> str:
            return f"{SCHEME}://{family}/depois/{'/'.join(entries[number - 1][0])}"

        operation = next(one.operation for one in RESOURCES if one.path == family)
        reply = Reply.of(self._clean(present.told(operation, [one for _key, one in entries])))
        return compact(reply.fit(self._texts, [], address=following).payload(self._texts))

    async def _entries(self, family: str, after: Key) -> list[tuple[Key, dict[str, Any]]]:
        """What a list holds behind what `after` names."""
        if family == "trabalhos":
            records = await self._read("jobs.list", {"limit": _JOBS, **({"before": after[0]} if after else {})})
            return [((one["id"],), present.job(one)) for one in records]
        entries = await self._named(family)
        return [(key, entries[key]) for key in sorted(entries) if key > after]

    async def _named(self, family: str) -> dict[Key, dict[str, Any]]:
        """A list whose order is that of its names."""
        if family == "catalogo":
            return {(one["name"],): present.entry(one) for one in await self._read("catalog.list", {})}
        if family == "operacoes":
            permitted, pick = self._permitted.values(), self._texts.pick
            return {(one.name,): {"name": one.name, "summary": pick(one.summary_pt, one.summary)} for one in permitted}
        index = await anyio.to_thread.run_sync(lambda: self._backend.index(applications=family == "apps"))
        if family == "servidores":
            return {(name,): present.server(one) for name, one in index.servers.items()}
        parts = {key.partition("/"): one for key, one in index.applications.items()}
        return {(server, app): {"server": server, **one} for (server, _slash, app), one in parts.items()}

    async def _value(self, path: str, names: dict[str, str]) -> Any:
        if path.startswith("operacoes"):
            return self._operation(names["operacao"])
        if path.startswith("catalogo"):
            return await self._read("catalog.show", {"app": names["app"]})
        if path.startswith("trabalhos"):
            record = await self._read("jobs.show", {"job": names["job"]})
            return {
                **present.job(record),
                "error": present.failed(record.get("error"), self._texts),
                "result": present.result_of_job(record, self._texts),
            }
        name = names["servidor"]
        index = await anyio.to_thread.run_sync(self._backend.index, {name})
        if name not in index.servers:
            raise LivchatError("RESOURCE_NOT_FOUND", "there is no such server")
        return present.told("server.show", {**index.servers[name], "applications": index.on(name)})

    def _operation(self, name: str) -> Any:
        if name not in self._permitted:
            raise LivchatError("RESOURCE_NOT_FOUND", "there is no such operation")
        operation = get(name)
        shown = {"name": name, "summary": self._texts.pick(operation.summary_pt, operation.summary)}
        parameters = schemas.parameters(operation, self._texts.language)
        return {**shown, "required": schemas.required(operation), "parameters": parameters}

    async def _log(self, names: dict[str, str]) -> str:
        """The newest lines that find room before those that were seen; a hint says where the older ones are."""
        asked = names.get("vistas", "0")
        if not (asked.isascii() and asked.isdigit()):
            raise LivchatError("RESOURCE_NOT_FOUND", "there is no such page")
        lines = await joblog.lines_of(self._read, self._clean, names["job"])
        left = lines[: max(0, len(lines) - int(asked))]
        shown = present.newest(left, present.MOST_LINES)
        text = self._foreign("\n".join(shown))
        if len(shown) == len(left):
            return text
        address = f"{SCHEME}://trabalhos/{names['job']}/log/{int(asked) + len(shown)}"
        return f"{text}\n{self._texts('older_at', address=address)}"

    def _foreign(self, text: str) -> str:
        mark = secrets.token_hex(6)
        text = text if len(text) <= (room := LONGEST - 300) else "…" + text[-room:]
        return f"{self._texts('foreign', mark=mark)}\n{Marker(mark)(Foreign(text))}"
