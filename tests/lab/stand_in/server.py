"""A simulated application: it opens real connections to the databases its environment names, and serves HTTP.

`/health` tells what it reached, as JSON: 200 when that is everything, else 503. Every other path answers 200 and says
that this is a stand-in. It listens on the ports of PORT, PORTS and STAND_IN_PORTS (lists, by comma), or on 8080.
"""

from __future__ import annotations

import http.server
import json
import os
import re
import signal
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCHEMES = {
    "postgres": "postgres",
    "postgresql": "postgres",
    "mysql": "mysql",
    "mariadb": "mysql",
    "redis": "redis",
    "rediss": "redis",
}
PORTS = {"postgres": 5432, "mysql": 3306, "redis": 6379}
# What tells an engine, in a variable's name or in the value of DB_TYPE and its like.
ENGINE_WORDS = {"postgres": r"POSTGRES|^PG", "mysql": r"MYSQL|MARIADB", "redis": r"REDIS"}
# How applications call the same thing, after the same beginning as their ..._HOST.
SUFFIXES = {
    "port": ("PORT",),
    "user": ("USERNAME", "USER"),
    "password": ("PASSWORD", "PASS"),
    "database": ("DATABASE", "DB_NAME", "DBNAME", "NAME", "DB"),
}
KINDS = ("TYPE", "CONNECTION", "CLIENT", "DRIVER", "ENGINE", "ADAPTER")
# Seconds.
PATIENCE = 5


@dataclass(frozen=True)
class Database:
    """A database the environment names."""

    engine: str
    host: str
    port: int
    user: str
    password: str
    database: str


def values(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment with each NAME_FILE read into NAME."""
    result = dict(environment)
    for name, path in environment.items():
        if name.endswith("_FILE") and path.startswith("/"):
            result[name.removesuffix("_FILE")] = Path(path).read_text(encoding="utf-8").strip()
    return result


def databases(environment: Mapping[str, str]) -> list[Database]:
    """What the environment names, by URL (DATABASE_URL) or by parts (POSTGRES_HOST, WORDPRESS_DB_HOST …), each once."""
    known = values(environment)
    found = [one for name, value in sorted(known.items()) if (one := _from_url(name, value, known))]
    for name in sorted(known):
        if match := re.fullmatch(r"(.+)HOST(?:NAME)?", name):
            found += _from_parts(match[1], known[name], known)
    first: dict[tuple[object, ...], Database] = {}
    for one in found:
        first.setdefault((one.engine, one.host, one.port, one.database), one)
    return list(first.values())


def _from_url(name: str, value: str, known: Mapping[str, str]) -> Database | None:
    url = urllib.parse.urlsplit(value)
    engine = SCHEMES.get(url.scheme.partition("+")[0])
    if not engine or not url.hostname:
        return None
    prefix = re.sub(r"(URL|URI|DSN)$", "", name)
    return Database(
        engine,
        url.hostname,
        url.port or PORTS[engine],
        urllib.parse.unquote(url.username or "") or _part("user", prefix, known),
        urllib.parse.unquote(url.password or "") or _part("password", prefix, known),
        url.path.lstrip("/") or _part("database", prefix, known),
    )


def _from_parts(prefix: str, host: str, known: Mapping[str, str]) -> Iterator[Database]:
    host, _colon, port = host.partition(":")
    port = port or _part("port", prefix, known)
    kind = next((known[prefix + word] for word in KINDS if prefix + word in known), "")
    engine = _engine(prefix) or _engine(kind) or next((one for one in PORTS if str(PORTS[one]) == port), "")
    if engine and host:
        parts = {name: _part(name, prefix, known) for name in ("user", "password", "database")}
        yield Database(engine, host, int(port or PORTS[engine]), **parts)


def _engine(text: str) -> str:
    return next((one for one, words in ENGINE_WORDS.items() if re.search(words, text.upper())), "")


def _part(name: str, prefix: str, known: Mapping[str, str]) -> str:
    return next((known[prefix + one] for one in SUFFIXES[name] if known.get(prefix + one)), "")


def _reach_postgres(one: Database) -> str:
    import psycopg

    with psycopg.connect(
        host=one.host,
        port=one.port,
        user=one.user,
        password=one.password,
        dbname=one.database,
        connect_timeout=PATIENCE,
    ) as connection:
        (version,) = connection.execute("SHOW server_version").fetchone()
        return str(version)


def _reach_mysql(one: Database) -> str:
    import pymysql

    connection = pymysql.connect(
        host=one.host,
        port=one.port,
        user=one.user,
        password=one.password,
        database=one.database or None,
        connect_timeout=PATIENCE,
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT VERSION()")
        (version,) = cursor.fetchone()
        return str(version)


def _reach_redis(one: Database) -> str:
    import redis

    client = redis.Redis(
        host=one.host,
        port=one.port,
        username=one.user or None,
        password=one.password or None,
        db=int(one.database or 0),
        socket_timeout=PATIENCE,
    )
    with client:
        return str(client.info("server")["redis_version"])


REACH: dict[str, Callable[[Database], str]] = {
    "postgres": _reach_postgres,
    "mysql": _reach_mysql,
    "redis": _reach_redis,
}


def health(wanted: list[Database]) -> dict[str, Any]:
    """What of it was reached now. Names a failure by its kind only: a driver's message may hold what it was given."""
    told = []
    for one in wanted:
        said: dict[str, Any] = {name: getattr(one, name) for name in ("engine", "host", "port", "user", "database")}
        try:
            said["version"] = REACH[one.engine](one)
        except Exception as error:  # every driver has errors of its own
            said["error"] = type(error).__name__
        told.append(said)
    return {"simulated": True, "databases": told, "reached_all": not any("error" in said for said in told)}


def listening_ports(environment: Mapping[str, str]) -> list[int]:
    named = " ".join(environment.get(name, "") for name in ("PORT", "PORTS", "STAND_IN_PORTS"))
    return sorted({int(one) for one in re.findall(r"[0-9]+", named)}) or [8080]


class Page(http.server.BaseHTTPRequestHandler):
    """Answers any method on any path."""

    wanted: list[Database]

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.partition("?")[0] == "/health":
            told = health(self.wanted)
            self._send(200 if told["reached_all"] else 503, "application/json", json.dumps(told))
        else:
            text = "<!doctype html><title>Stand-in</title><p>Simulated: a stand-in of the lab, not the application."
            self._send(200, "text/html; charset=utf-8", text)

    # The names http.server looks for.
    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

    def _send(self, status: int, kind: str, text: str) -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Livchat-Simulated", "stand-in")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def main() -> None:
    wanted = databases(os.environ)
    ended = threading.Event()
    # The first process of a container dies of no signal that it does not handle.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    handler = type("Handler", (Page,), {"wanted": wanted})
    for port in listening_ports(os.environ):
        server = http.server.ThreadingHTTPServer(("", port), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    ended.wait()


if __name__ == "__main__":
    main()
