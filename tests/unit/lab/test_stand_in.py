"""What the lab's stand-in reads from an application's environment, and what it says."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.lab.images import IMAGES, STAND_IN, without_image
from tests.lab.stand_in.server import Database, Page, databases, listening_ports


@pytest.fixture
def secret(tmp_path: Path) -> str:
    path = tmp_path / "password"
    path.write_text("hunter2\n")
    return str(path)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (
            {"DATABASE_URL": "postgresql://mine:p%40ss@postgres_postgres/mine"},
            Database("postgres", "postgres_postgres", 5432, "mine", "p@ss", "mine"),
        ),
        (
            {"DATABASE_URL": "postgres://mine@db:6543/mine", "DATABASE_PASSWORD_FILE": "SECRET"},
            Database("postgres", "db", 6543, "mine", "hunter2", "mine"),
        ),
        (
            {"SQLALCHEMY_URI": "mysql+pymysql://mine:pass@db/mine"},
            Database("mysql", "db", 3306, "mine", "pass", "mine"),
        ),
        ({"REDIS_URL": "redis://:pass@cache:6379/3"}, Database("redis", "cache", 6379, "", "pass", "3")),
        (
            {"POSTGRES_HOST": "db", "POSTGRES_USER": "mine", "POSTGRES_PASSWORD_FILE": "SECRET", "POSTGRES_DB": "data"},
            Database("postgres", "db", 5432, "mine", "hunter2", "data"),
        ),
        (
            {"PGHOST": "db", "PGPORT": "5433", "PGUSER": "mine", "PGPASSWORD": "pass", "PGDATABASE": "data"},
            Database("postgres", "db", 5433, "mine", "pass", "data"),
        ),
        (
            {"DB_TYPE": "mariadb", "DB_HOSTNAME": "db", "DB_USERNAME": "mine", "DB_PASS": "pass", "DB_NAME": "data"},
            Database("mysql", "db", 3306, "mine", "pass", "data"),
        ),
        (
            {
                "WORDPRESS_DB_HOST": "mysql_mysql:3306",
                "WORDPRESS_DB_NAME": "data",
                "WORDPRESS_DB_USER": "mine",
                "WORDPRESS_DB_PASSWORD_FILE": "SECRET",
            },
            Database("mysql", "mysql_mysql", 3306, "mine", "hunter2", "data"),
        ),
        (
            {"QUEUE_BULL_REDIS_HOST": "cache", "QUEUE_BULL_REDIS_DB": "2", "QUEUE_BULL_REDIS_PASSWORD_FILE": "SECRET"},
            Database("redis", "cache", 6379, "", "hunter2", "2"),
        ),
    ],
)
def test_a_database_is_found_however_it_is_named(environment: dict[str, str], expected: Database, secret: str) -> None:
    given = {name: secret if value == "SECRET" else value for name, value in environment.items()}
    assert databases(given) == [expected]


def test_hosts_that_are_no_databases_and_names_of_the_same_one_do_not_count() -> None:
    environment = {
        "HOSTNAME": "4f1c",
        "N8N_HOST": "n8n.example.com",
        "SMTP_HOST": "mail.example.com",
        "UPGRADE_HOST": "up.example.com",
        "WEBHOOK_URL": "https://hooks.example.com/",
        "POSTGRES_HOST": "db",
        "POSTGRES_DATABASE": "data",
        "DATABASE_URL": "postgres://mine:pass@db/data",
    }
    assert databases(environment) == [Database("postgres", "db", 5432, "mine", "pass", "data")]


def test_ports() -> None:
    assert listening_ports({}) == [8080]
    assert listening_ports({"PORT": "80", "PORTS": "9000, 80", "STAND_IN_PORTS": "3000"}) == [80, 3000, 9000]


@pytest.fixture
def unreachable() -> Iterator[int]:
    """The port of a stand-in whose database is not there."""
    wanted = [Database("redis", "127.0.0.1", 1, "mine", "hunter2", "0")]
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Page,), {"wanted": wanted}))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def ask(port: int, method: str, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, body=b"x" if method == "POST" else None)
    answer = connection.getresponse()
    assert answer.getheader("X-Livchat-Simulated") == "stand-in"
    return answer.status, answer.read().decode()


def test_health_tells_what_failed_and_no_password(unreachable: int) -> None:
    status, text = ask(unreachable, "GET", "/health")
    (told,) = json.loads(text)["databases"]
    assert status == 503
    assert "error" in told and told["host"] == "127.0.0.1"
    assert "hunter2" not in text


def test_any_other_page_says_that_it_is_simulated(unreachable: int) -> None:
    for method, path in (("GET", "/"), ("POST", "/rest/owner/setup")):
        status, text = ask(unreachable, method, path)
        assert status == 200
        assert "Simulated" in text


def test_what_has_no_image_gets_the_stand_in_with_the_ports_routed_to_it(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/other.yml").write_text(
        "services:\n"
        "  web: {image: 'example/other:2.0', route: {domain: web, port: 3000}}\n"
        "  api: {image: 'example/other:2.0', route: {domain: api, port: 4000}}\n"
        "  worker: {image: 'example/worker:2.0'}\n"
        f"  cache: {{image: '{IMAGES[2].name}'}}\n"
    )
    assert without_image(tmp_path) == {"example/other:2.0": [3000, 4000], "example/worker:2.0": []}


def test_the_catalogue_itself_names_no_stand_in() -> None:
    assert STAND_IN.name not in without_image()
