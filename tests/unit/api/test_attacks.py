"""Who means harm: nothing is executed, nothing leaks, and the API stays up."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest

from livchat_cli import routes
from livchat_cli.api.connection import HEAD_SECONDS
from livchat_cli.api.guard import BODY, BODY_SECONDS
from livchat_cli.operations import OPERATIONS
from livchat_cli.reports import REPORTS
from tests.unit.api.running import Running
from tests.unit.api.test_calls import problem

# Each would leave this file if anything ran it.
MARK = "livchat-was-here"
INJECTIONS = (
    "; touch /tmp/" + MARK,
    "$(touch /tmp/" + MARK + ")",
    "`touch /tmp/" + MARK + "`",
    "{{ lookup('pipe', 'touch /tmp/" + MARK + "') }}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{% endfor %}",
    "a\ntouch: /tmp/" + MARK,
    "!!python/object/apply:os.system ['touch /tmp/" + MARK + "']",
    "--extra-vars=@/etc/passwd",
    "-e@/etc/passwd",
    "../../../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "prod,all",
    "all:!prod",
    "~(.*)",
    "a\x00b",
    "\u202eprod",
    "' OR 1=1 --",
    "<script>alert(1)</script>",
)
# Texts that may be anything: they are data. A path may lead anywhere on the machine, as an administrator's may.
FREE = {
    ("dns.remove", "value"),
    ("dns.set", "value"),
    ("exec", "command"),
    ("server.adopt", "private_key"),
    ("webhooks.health", "message"),
    ("webhooks.portainer", "message"),
}


def strings(schema: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Each place of a parameter where a text may stand."""
    kind = routes.kind(schema)
    if kind == "array":
        yield from strings(schema["items"], (*path, 0))
    elif kind == "object":
        for one in schema.get("patternProperties", {}).values():
            yield (*path, "key")
            yield from strings(one, (*path, "a"))
    elif kind == "string":
        yield path


def with_value(path: tuple[Any, ...], value: str) -> Any:
    if not path:
        return value
    head, *rest = path
    if head == "key":
        return {value: "x"}
    inner = with_value(tuple(rest), value)
    return [inner] if head == 0 else {head: inner}


def test_no_text_argument_takes_an_injection(api: Running) -> None:
    tried: Counter[str] = Counter()
    before = set((api.home / "jobs").glob("*")) if (api.home / "jobs").exists() else set()
    with api.client() as client, api.client("report") as reporter, api.client("exec") as executor:
        for operation in (*OPERATIONS, *REPORTS):
            route = routes.of(operation)[0]
            who = reporter if operation in REPORTS else executor if operation.name == "exec" else client
            for name, schema in route.schema.items():
                # What goes into `variables` as a value is a text like any other; its names are not.
                places = [one for one in strings(schema) if (operation.name, name) not in FREE]
                places = [one for one in places if not (name == "variables" and one[-1] != "key")]
                for place, injection in ((place, one) for place in places for one in INJECTIONS):
                    good = {
                        other: example(about)
                        for other, about in route.schema.items()
                        if other != name and operation.model.model_fields[other].is_required()
                    }
                    request = route.request({**good, name: with_value(place, injection)})
                    answer = who.request(request.method, request.path, json=request.body)
                    assert answer.status_code in (404, 409, 422), (operation.name, name, injection, answer.text)
                    assert problem(answer)["code"] != "INTERNAL_ERROR"
                    assert injection not in json.loads(answer.text)["message"]
                    tried[operation.name] += 1
    assert len(tried) > 15
    assert set((api.home / "jobs").glob("*") if (api.home / "jobs").exists() else ()) == before
    assert not Path("/tmp", MARK).exists()


def test_what_may_be_any_text_is_run_by_nobody(api: Running) -> None:
    for_all = "\n".join(one.replace("\x00", "") for one in INJECTIONS)
    asked = {"target": ["s1"], "apps": ["nap"], "variables": {"nap": {"secret": for_all}}}
    with api.client() as client:
        started = client.post("/v1/server/nap", json=asked)
        assert started.status_code == 202
        while (job := client.get(started.headers["location"]).json())["finished_at"] is None:
            time.sleep(0.5)
    assert job["status"] == "successful", job["error"]
    assert not Path("/tmp", MARK).exists()


def example(schema: Any) -> Any:
    """Something that the schema allows."""
    found = schema.get("examples") or schema.get("items", {}).get("examples")
    if found:
        return found[0] if schema.get("examples") else found
    return schema["enum"][0]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/servers/../../etc/passwd",
        "/v1/servers/..%2f..%2f..%2fetc%2fpasswd",
        "/v1/servers/%2e%2e",
        "/v1/jobs/..%2f..%2ftokens.json",
        "/v1/jobs/../tokens.json/events",
        "/v1/jobs/%00/events",
        "/v1/apps/..%2f..%2fcatalog",
        "/v1/secrets?below=../../etc",
        "//etc/passwd",
        "/v1//servers",
        "/v1/servers/",
        "/static/../../../etc/passwd",
        "/v1/servers/%ff%fe",
        "/v1/servers/" + "a" * 5000,
    ],
)
def test_no_path_leads_out(api: Running, path: str) -> None:
    # By hand: a client would tidy the path.
    status, body = raw(
        api, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {api.key()}\r\n\r\n".encode()
    )
    assert status in (404, 422), path
    assert json.loads(body)["code"] in ("ROUTE_UNKNOWN", "INPUT_INVALID", "APP_UNKNOWN")
    assert b"root:" not in body and b"digest" not in body


@pytest.mark.parametrize(
    "answerless",
    [b"GET / HTTX/1.1\r\n\r\n", b"\x16\x03\x01\x00\xa5", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nA: " + b"x" * 40_000],
)
def test_what_is_no_http_is_told_so(api: Running, answerless: bytes) -> None:
    status, body = raw(api, answerless)
    assert status == 400
    assert json.loads(body)["code"] == "REQUEST_INVALID"


def test_two_hosts_or_two_lengths_are_no_request(api: Running) -> None:
    for more in ("Host: localhost\r\nHost: evil.test", "Host: localhost\r\nContent-Length: 1\r\nContent-Length: 2"):
        status, _body = raw(api, f"POST /health HTTP/1.1\r\n{more}\r\n\r\n".encode())
        assert status == 400
    smuggled = (
        b"POST /v1/servers HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\nGET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    )
    status, _body = raw(api, smuggled)
    assert status in (400, 401)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_100_mb_is_cut_off_early(api: Running, chunked: bool) -> None:
    before = api.memory()
    head = f"POST /v1/servers HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {api.key()}\r\n"
    head += "Content-Type: application/json\r\n"
    head += "Transfer-Encoding: chunked\r\n\r\n" if chunked else f"Content-Length: {100 * 1024 * 1024}\r\n\r\n"
    piece = b"x" * 65536
    sent = 0
    with connected(api) as connection:
        connection.sendall(head.encode())
        connection.settimeout(0.01)
        answer = b""
        for _piece in range(100 * 1024 * 1024 // len(piece)):
            try:
                connection.sendall(b"10000\r\n" + piece + b"\r\n" if chunked else piece)
                sent += len(piece)
            except TimeoutError:
                pass
            except OSError:
                break
            try:
                if more := connection.recv(65536):
                    answer += more
                else:
                    break
            except TimeoutError:
                continue
            except OSError:
                break
    # It stops a client that goes on regardless long before the end.
    assert sent < 16 * 1024 * 1024
    assert not answer or (b" 413 " in answer and b"BODY_TOO_LARGE" in answer)
    assert api.memory() < before + 20
    patient = httpx.post(
        f"{api.url}/v1/servers",
        content=iter([b"x"] * 1),
        headers={"Authorization": f"Bearer {api.key()}", "Content-Type": "application/json"},
    )
    assert patient.status_code == 400


def test_a_body_that_is_just_too_large_is_told_so(api: Running) -> None:
    with api.client() as client:
        answer = client.post("/v1/servers", content=b" " * (BODY + 1), headers={"Content-Type": "application/json"})
        assert (answer.status_code, problem(answer)["code"]) == (413, "BODY_TOO_LARGE")
        fits = client.post("/v1/servers", content=b" " * BODY, headers={"Content-Type": "application/json"})
        assert fits.status_code == 400


def test_slow_clients_are_cut_off_and_hold_up_nobody(api: Running) -> None:
    key = api.key()
    no_head = [connected(api) for _slow in range(50)]
    for connection in no_head:
        connection.sendall(b"GET /v1/servers HTTP/1.1\r\nHost: localhost\r\n")
    half = connected(api)
    half.sendall(
        b"POST /v1/servers HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"
        b"Authorization: Bearer " + key.encode() + b"\r\n\r\n{"
    )
    began = time.monotonic()
    with api.client("read") as client:
        assert client.get("/v1/servers").status_code == 200
    # A header now and then does not help.
    while time.monotonic() < began + HEAD_SECONDS + 5:
        for connection in no_head:
            with contextlib.suppress(OSError):
                connection.sendall(b"X: y\r\n")
        time.sleep(1)
    for connection in no_head:
        try:
            answer = connection.recv(65536)
        except ConnectionResetError:
            answer = b""
        assert not answer or b" 408 " in answer
        connection.close()
    half.settimeout(BODY_SECONDS + 20)
    assert b" 408 " in half.recv(65536)
    half.close()


def test_ten_thousand_requests_at_once_are_answered_or_refused(another: Callable[..., Running]) -> None:
    api = another({"calls_per_hour": 500, "server_creations_per_hour": 5})
    api.start()
    before = api.memory()

    request = f"GET /v1/servers HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {api.key('read')}\r\n\r\n".encode()
    address = urlsplit(api.url)

    async def one(turns: asyncio.Semaphore) -> int:
        async with turns:
            try:
                reader, writer = await asyncio.open_connection(address.hostname, address.port)
                writer.write(request)
                status = int((await reader.readline()).split()[1])
                writer.close()
            except (OSError, IndexError):
                return 0
            return status

    async def burst() -> Counter[int]:
        # As many connections as a process may usually have open.
        turns = asyncio.Semaphore(400)
        return Counter(await asyncio.gather(*(one(turns) for _call in range(10_000))))

    found = asyncio.run(burst())
    assert found[200] == 500
    # Each was answered, and none was an error of the API's.
    assert found.total() == 10_000
    assert set(found) == {200, 429, 503}
    assert api.memory() < before + 60
    assert httpx.get(f"{api.url}/health").status_code == 200


def connected(api: Running) -> socket.socket:
    address = urlsplit(api.url)
    return socket.create_connection((address.hostname, address.port), timeout=30)


def raw(api: Running, request: bytes) -> tuple[int, bytes]:
    """What comes back for these bytes: the status and the body."""
    with connected(api) as connection:
        connection.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer or len(answer.partition(b"\r\n\r\n")[2]) < length(answer):
            more = connection.recv(65536)
            if not more:
                break
            answer += more
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def length(answer: bytes) -> int:
    lines = answer.partition(b"\r\n\r\n")[0].lower().splitlines()
    return next((int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:")), 0)


def test_a_query_is_quoted_before_it_is_compared(api: Running) -> None:
    with api.client() as client:
        assert client.get("/v1/servers?" + quote("limit") + "=%31").json()["next_cursor"]
