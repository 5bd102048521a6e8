"""Over HTTP: who is let in, whom nobody disturbs, and what a flood does."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from livchat_cli.access import Tokens
from livchat_mcp.http import SESSIONS, SESSIONS_EACH
from tests.throwaway import Tree
from tests.unit.api.running import state
from tests.unit.api.test_jobs import found_out
from tests.unit.mcp.running import HEADERS, INITIALIZE, Served
from tests.unit.mcp.scripted import ERAS

# Of requests under way in one session no two may have the same.
NUMBERS = itertools.count(10)


@pytest.fixture(scope="module")
def served(tree: Tree, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("served") / "home"
    home.mkdir(mode=0o700)
    (home / "state.json").write_text(json.dumps(state()))
    made = Served(tree, home)
    made.start("--allowed-origin", "https://setup.example.com")
    yield made
    made.stop()


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    return {
        "jsonrpc": "2.0",
        "id": next(NUMBERS),
        "method": "tools/call",
        "params": {"name": tool, "arguments": arguments},
    }


def session(served: Served, key: str | None = None) -> tuple[httpx.Client, dict[str, str]]:
    """A session of the older era, by hand."""
    client = served.client(key)
    answer = client.post(served.url, json=INITIALIZE)
    assert answer.status_code == 200, answer.text
    headers = {"Mcp-Session-Id": answer.headers["mcp-session-id"], "Mcp-Protocol-Version": "2025-11-25"}
    client.post(served.url, json={"jsonrpc": "2.0", "method": "notifications/initialized"}, headers=headers)
    return client, headers


def said(answer: httpx.Response) -> dict[str, Any]:
    """The message in an event stream, or in plain JSON."""
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: {")]
    found: dict[str, Any] = json.loads(lines[-1] if lines else answer.text)
    return found


@pytest.mark.anyio
@pytest.mark.parametrize("era", ERAS)
async def test_both_eras_are_served_to_who_has_a_token(served: Served, era: Any) -> None:
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {served.key('read')}"}) as http,
        Client(streamable_http_client(served.url, http_client=http), mode=era) as client,
    ):
        assert client.protocol_version == {"auto": "2026-07-28", "legacy": "2025-11-25"}[era]
        tools = {one.name for one in (await client.list_tools()).tools}
        result = await client.call_tool("listar-servidores", {})
    assert "listar-servidores" in tools and "destruir-servidor" not in tools
    assert [one["name"] for one in (result.structured_content or {})["itens"]] == ["s0", "s1"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "attacker.example.com"}, 421),
        ({"Host": "127.0.0.1.attacker.example.com"}, 421),
        ({"Origin": "https://attacker.example.com"}, 403),
        ({"Origin": "null"}, 403),
        ({"Authorization": ""}, 401),
        ({"Authorization": "Bearer livchat_key_00000000_" + "x" * 43}, 401),
        ({"Authorization": "Basic YTpi"}, 401),
        ({"Content-Type": "text/plain"}, 400),
        ({"Accept": "text/html"}, 406),
        ({"Origin": "https://setup.example.com"}, 200),
        ({"Origin": "http://localhost:3000"}, 200),
        ({}, 200),
    ],
)
def test_a_request_must_come_from_where_it_may(served: Served, headers: dict[str, str], status: int) -> None:
    answer = served.client().post(served.url, json=INITIALIZE, headers=headers)
    assert answer.status_code == status, answer.text
    if status == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer")
    if status == 200:
        assert "access-control-allow-origin" not in answer.headers


def test_a_name_is_looked_at_before_a_token(served: Served) -> None:
    """A page that makes a browser call a name of its own learns not even whether a token would do."""
    answer = httpx.post(served.url, json=INITIALIZE, headers={**HEADERS, "Host": "attacker.example.com"})
    assert answer.status_code == 421


def test_a_token_in_an_address_is_refused_and_not_logged(served: Served) -> None:
    key = served.key()
    for address in (f"{served.url}?token={key}", f"{served.url}?x={key}", f"{served.url}/{key}"):
        answer = served.client(key).post(address, json=INITIALIZE)
        assert answer.status_code == 400 and key not in answer.text
    assert key not in "".join(served.log)


def test_tokens_end_at_once(served: Served) -> None:
    key = served.key("read")
    client, headers = session(served, key)
    assert client.post(served.url, json=call("listar-servidores"), headers=headers).status_code == 200
    Tokens(served.home).revoke(key.split("_")[2])
    assert client.post(served.url, json=call("listar-servidores"), headers=headers).status_code == 401


def test_a_session_belongs_to_its_token(served: Served) -> None:
    _client, headers = session(served)
    stranger = served.client(served.key())
    answer = stranger.post(served.url, json=call("listar-servidores"), headers=headers)
    assert answer.status_code == 404


def test_a_token_reaches_its_scope_and_its_servers_only(served: Served) -> None:
    client, headers = session(served, served.key("admin", ["s1"]))

    def answered(tool: str, **arguments: Any) -> dict[str, Any]:
        message = said(client.post(served.url, json=call(tool, **arguments), headers=headers))
        text: dict[str, Any] = json.loads(message["result"]["content"][0]["text"])
        return text

    assert [one["name"] for one in answered("listar-servidores")["itens"]] == ["s1"]
    assert answered("listar-servidores", acao="show", name="s0")["erro"]["code"] == "ACCESS_FORBIDDEN"
    assert answered("destruir-servidor", name="s0")["erro"]["code"] == "ACCESS_FORBIDDEN"
    assert answered("instalar-app", apps=["n8n"], target=["s0"])["erro"]["code"] == "ACCESS_FORBIDDEN"
    assert answered("listar-apps")["erro"]["code"] == "ACCESS_FORBIDDEN"
    reader, headers = session(served, served.key("read"))
    message = said(reader.post(served.url, json=call("preparar-servidor", target=["s1"]), headers=headers))
    assert "TOOL_UNKNOWN" in message["result"]["content"][0]["text"]


def test_what_a_command_found_is_for_who_may_run_commands(served: Served) -> None:
    job = found_out(served.home)
    addresses = [f"livchat://trabalhos{one}" for one in ("", f"/{job}", f"/{job}/log")]

    def answers(scope: str) -> list[str]:
        client, headers = session(served, served.key(scope))
        asked = [call("trabalhos", acao=verb, job=job) for verb in ("show", "log")]
        asked += [call("trabalhos", acao="list")]
        asked += [
            {"jsonrpc": "2.0", "id": next(NUMBERS), "method": "resources/read", "params": {"uri": one}}
            for one in addresses
        ]
        return [client.post(served.url, json=one, headers=headers).text for one in asked]

    for scope in ("read", "admin"):
        for answer in answers(scope):
            assert "canary" not in answer, answer
    told = answers("exec")
    assert ["canary" in one for one in told][:2] == [True, True], told


def test_a_body_of_a_hundred_megabytes_is_refused_early(served: Served) -> None:
    client = served.client()
    with connected(served) as one:
        declared = f"Content-Length: {100 * 1024 * 1024}\r\nAuthorization: Bearer {served.key()}\r\n"
        one.sendall(f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\n{declared}\r\n".encode())
        assert one.recv(4096).startswith(b"HTTP/1.1 413")
    sent = 0

    def body() -> Iterator[bytes]:
        nonlocal sent
        for _piece in range(1600):
            sent += 65536
            yield b" " * 65536

    # Where the connection is closed while we still send, there is no answer to read.
    with contextlib.suppress(httpx.TransportError):
        assert client.post(served.url, content=body()).status_code == 413
    assert sent < 50 * 1024 * 1024
    assert served.client().post(served.url, json=INITIALIZE).status_code == 200


def connected(served: Served) -> socket.socket:
    address = httpx.URL(served.url)
    return socket.create_connection((address.host, address.port or 80), timeout=60)


@pytest.mark.parametrize("begun", [b"", b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\n"])
def test_who_does_not_send_a_request_is_cut_off(served: Served, begun: bytes) -> None:
    with connected(served) as one:
        one.sendall(begun)
        # It ends, however long this machine takes for it; uvicorn alone would wait for ever.
        while one.recv(4096):
            pass


def test_who_sends_a_body_byte_by_byte_is_cut_off_and_others_are_served(served: Served) -> None:
    key = served.key()
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
        "Accept: application/json, text/event-stream\r\nContent-Length: 100000\r\n\r\n"
    )
    slow = [connected(served) for _one in range(20)]
    ended = threading.Event()

    def drip() -> None:
        while not ended.wait(0.5):
            for one in slow:
                try:
                    one.sendall(b" ")
                except OSError:
                    continue

    for one in slow:
        one.sendall(head.encode())
    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    try:
        assert served.client().post(served.url, json=INITIALIZE).status_code == 200
        for one in slow:
            answer = one.recv(4096)
            assert answer.startswith(b"HTTP/1.1 408") or not answer
    finally:
        ended.set()
        thread.join()
        for one in slow:
            one.close()


@pytest.mark.parametrize("who", ["a stranger", "somebody with a token"])
def test_ten_thousand_requests_at_once_leave_it_standing(served: Served, who: str) -> None:
    key = served.key("read")
    client, headers = session(served, key)
    if who == "a stranger":
        headers = {**headers, "Authorization": "Bearer livchat_key_00000000_" + "x" * 43}
    limits = httpx.Limits(max_connections=40)
    found: Counter[str] = Counter()

    def one(sender: httpx.Client) -> None:
        try:
            answer = sender.post(served.url, json=call("listar-servidores"), headers=headers)
        except httpx.TransportError as error:
            found[type(error).__name__] += 1
            return
        text = answer.text
        found["RATE_LIMITED" if "RATE_LIMITED" in text else str(answer.status_code)] += 1

    with (
        httpx.Client(headers=dict(client.headers), timeout=60, limits=limits) as sender,
        ThreadPoolExecutor(40) as pool,
    ):
        list(pool.map(lambda _number: one(sender), range(10_000)))
    assert sum(found.values()) == 10_000
    assert set(found) <= {"RATE_LIMITED", "200", "401", "429"}, found
    assert found["RATE_LIMITED"] > 5_000
    # Others, and the same one a moment later, are served.
    assert served.client().post(served.url, json=INITIALIZE).status_code == 200
    if who != "a stranger":
        deadline = time.monotonic() + 60
        while "RATE_LIMITED" in client.post(served.url, json=call("listar-servidores"), headers=headers).text:
            assert time.monotonic() < deadline
            time.sleep(0.3)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"jsonrpc": "2.0"}',
        b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": 5, "arguments": "cAnArY"}}',
        b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "x", "arguments": [["cAnArY"]]}}',
        b'{"jsonrpc": "2.0", "id": 1' + b"0" * 5000 + b', "method": "cAnArY"}',
        b"\xff\xfe\x00",
    ],
    ids=range(10),
)
@pytest.mark.parametrize("version", ["2025-11-25", "2026-07-28", "nonsense"])
def test_what_is_no_message_is_refused_and_not_quoted(served: Served, body: bytes, version: str) -> None:
    client, headers = session(served)
    headers = {**headers, "Mcp-Protocol-Version": version, "Mcp-Method": "tools/call", "Mcp-Name": "x"}
    answer = client.post(served.url, content=body, headers=headers)
    assert answer.status_code < 500, answer.text
    assert "cAnArY" not in answer.text and "cAnArY" not in "".join(served.log)
    assert client.post(served.url, json=INITIALIZE).status_code == 200


def test_other_paths_are_not_there(served: Served) -> None:
    base = served.url.removesuffix("/mcp")
    for path in ("/", "/mcp/../state.json", "/.well-known/oauth-protected-resource", "/docs"):
        assert served.client().get(f"{base}{path}").status_code == 404


@pytest.fixture
def another(tree: Tree, tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Makes gateways of a test's own, which are gone when it ends."""
    made: list[Served] = []

    def make() -> Served:
        made.append(Served(tree, tmp_path / "home"))
        made[-1].home.mkdir(mode=0o700, exist_ok=True)
        return made[-1]

    yield make
    for one in made:
        one.stop()


def test_no_token_takes_the_sessions_of_others(another: Callable[..., Served]) -> None:
    one = another()
    one.start()
    greedy, other = one.key("read"), one.key("read")

    def served(client: httpx.Client, headers: dict[str, str]) -> int:
        ping = {"jsonrpc": "2.0", "id": next(NUMBERS), "method": "ping"}
        return client.post(one.url, json=ping, headers=headers).status_code

    theirs = session(one, other)
    mine = [session(one, greedy) for _number in range(SESSIONS_EACH)]
    assert served(*mine[0]) == 200
    client = mine[0][0]
    # More than there are for all.
    for _number in range(SESSIONS):
        assert client.post(one.url, json=INITIALIZE).status_code == 200
    assert served(*theirs) == 200 and served(*session(one, other)) == 200
    assert [served(*each) for each in mine] == [404] * SESSIONS_EACH


def test_the_session_that_was_used_last_stays_and_one_that_was_ended_counts_no_more(
    another: Callable[..., Served],
) -> None:
    one = another()
    one.start()
    key = one.key("read")

    def served(client: httpx.Client, headers: dict[str, str]) -> int:
        ping = {"jsonrpc": "2.0", "id": next(NUMBERS), "method": "ping"}
        return client.post(one.url, json=ping, headers=headers).status_code

    mine = [session(one, key) for _number in range(SESSIONS_EACH)]
    client, headers = mine.pop()
    assert client.delete(one.url, headers=headers).status_code == 200
    mine.append(session(one, key))
    assert [served(*each) for each in mine] == [200] * SESSIONS_EACH
    assert served(*mine[0]) == 200
    newest = session(one, key)
    assert [served(*each) for each in mine] == [200, 404] + [200] * (SESSIONS_EACH - 2)
    assert served(*newest) == 200


def test_a_plan_outlives_the_gateway_that_made_it(another: Callable[..., Served]) -> None:
    def answered(one: Served, key: str, **arguments: Any) -> dict[str, Any]:
        client, headers = session(one, key)
        message = said(client.post(one.url, json=call("criar-servidor", **arguments), headers=headers))
        text: dict[str, Any] = json.loads(message["result"]["content"][0]["text"])
        return text

    first = another()
    first.start()
    key = first.key()
    new = {"name": "new", "domain": "new.example.com"}
    plan = answered(first, key, **new)["plano"]["id"]
    first.stop()
    second = another()
    second.start()
    stranger = answered(second, second.key(), **new, plano=plan)
    # It goes as far as the cloud provider, for which there is no token here.
    done = answered(second, key, **new, plano=plan)
    again = answered(second, key, **new, plano=plan)
    assert stranger["erro"]["code"] == again["erro"]["code"] == "PLAN_INVALID"
    assert done["erro"]["code"] not in ("PLAN_INVALID", "PLAN_STALE") and done["erro"]["details"]["job"]
