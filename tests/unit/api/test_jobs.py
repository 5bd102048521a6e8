"""Jobs over HTTP: their events, and that they outlive whoever asked for them and whoever was asked."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from livchat_cli.access import Tokens
from livchat_cli.api.events import PER_TOKEN
from livchat_cli.api.idempotency import Once
from livchat_cli.api.observe import IN_FLIGHT
from livchat_cli.api.service import WAITING_EACH
from livchat_cli.jobs import JobFolder, Jobs
from livchat_cli.operations import get
from tests.unit.api.running import Running
from tests.unit.api.test_calls import problem


def nap(seconds: str = "0.1", **more: str) -> dict[str, Any]:
    return {"target": ["one"], "apps": ["nap"], "variables": {"nap": {"seconds": seconds, **more}}}


def ended(client: httpx.Client, job: str) -> dict[str, Any]:
    deadline = time.monotonic() + 120
    while (shown := client.get(f"/v1/jobs/{job}").json())["status"] in ("waiting", "running"):
        assert time.monotonic() < deadline
        time.sleep(0.3)
    found: dict[str, Any] = shown
    return found


def server_sent(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """The events of a stream."""
    event: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if not line and event:
            yield event
            event = {}
        elif name:
            event[name] = value


@pytest.fixture(scope="module")
def job(api: Running) -> dict[str, Any]:
    """One that has ended."""
    with api.client() as client:
        return ended(client, client.post("/v1/server/nap", json=nap()).json()["id"])


def test_events_are_streamed_until_the_end_and_from_where_one_was(api: Running) -> None:
    with api.client() as client:
        started = client.post("/v1/server/nap", json=nap("2")).json()["id"]
        with client.stream("GET", f"/v1/jobs/{started}/events") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            events = list(server_sent(answer.iter_lines()))
        steps = [json.loads(one["data"]) for one in events if one["event"] == "step"]
        assert {"Sleep", "Talk"} <= {step["task"] for step in steps}
        assert [int(one["id"]) for one in events] == sorted(int(one["id"]) for one in events)
        last = json.loads(events[-1]["data"])
        assert (events[-1]["event"], last["status"], last["result"]["rested"]) == ("end", "successful", "one")
        # Cut off after the third, one goes on with the fourth.
        with client.stream("GET", f"/v1/jobs/{started}/events", headers={"Last-Event-ID": events[2]["id"]}) as answer:
            assert list(server_sent(answer.iter_lines())) == events[3:]
        with client.stream("GET", f"/v1/jobs/{started}/events?after={events[-1]['id']}") as answer:
            assert [one["event"] for one in server_sent(answer.iter_lines())] == ["end"]


@pytest.mark.parametrize("place", ["-1", "x", "1" * 30, "1.5", "٣"])
def test_a_place_that_is_none_is_refused(api: Running, job: dict[str, Any], place: str) -> None:
    with api.client() as client:
        answer = client.get(f"/v1/jobs/{job['id']}/events", params={"after": place})
        assert (answer.status_code, problem(answer)["code"]) == (422, "INPUT_INVALID")


def test_a_websocket_gets_the_same(api: Running, job: dict[str, Any]) -> None:
    url = f"{api.url.replace('http', 'ws', 1)}/v1/jobs/{job['id']}/events"
    headers = {"Authorization": f"Bearer {api.key()}"}
    with connect(url, additional_headers=headers) as socket:
        messages = [json.loads(one) for one in socket]
    assert messages[-1]["event"] == "end" and messages[-1]["data"]["id"] == job["id"]
    with connect(f"{url}?after={messages[1]['id']}", additional_headers=headers) as socket:
        assert [json.loads(one) for one in socket] == messages[2:]


def test_a_websocket_is_not_opened_for_everybody(api: Running, job: dict[str, Any]) -> None:
    url = f"{api.url.replace('http', 'ws', 1)}/v1/jobs/{job['id']}/events"
    cases: list[tuple[str, dict[str, str], int]] = [
        (url, {}, 401),
        (f"{url}?token={api.key()}", {}, 400),
        (url.replace(job["id"], "20200101T000000-000000"), {"Authorization": f"Bearer {api.key()}"}, 404),
        (f"{url}?after=x", {"Authorization": f"Bearer {api.key()}"}, 422),
        (url, {"Authorization": f"Bearer {api.key('read', ['other'])}"}, 403),
        (url, {"Authorization": f"Bearer {api.key('report')}"}, 403),
    ]
    for address, headers, status in cases:
        with pytest.raises(InvalidStatus) as refused, connect(address, additional_headers=headers):
            raise AssertionError(address)
        assert refused.value.response.status_code == status
        assert json.loads(refused.value.response.body)["code"]


@pytest.mark.parametrize("verb", ["revoke", "rotate"])
def test_streams_end_with_the_token_they_are_read_with(api: Running, verb: str) -> None:
    with api.client() as client:
        started = client.post("/v1/server/nap", json=nap("600")).json()["id"]
        made = client.post("/v1/tokens", json={"name": "leaves", "scopes": ["read"]}).json()
        headers = {"Authorization": f"Bearer {made['key']}"}
        url = f"{api.url}/v1/jobs/{started}/events"
        with (
            httpx.stream("GET", url, headers=headers, timeout=60) as answer,
            connect(url.replace("http", "ws", 1), additional_headers=headers) as socket,
        ):
            lines = answer.iter_lines()
            assert next(lines)
            way = ("DELETE", "") if verb == "revoke" else ("POST", "/rotate")
            client.request(way[0], f"/v1/tokens/{made['id']}{way[1]}").raise_for_status()
            # Both come to an end, though the job has not.
            assert not any("event: end" in line for line in lines)
            assert not any(json.loads(one)["event"] == "end" for one in socket)
        assert client.post(f"/v1/jobs/{started}/cancel").json()["status"] == "cancelled"


def test_only_so_many_streams_are_open_at_once(api: Running) -> None:
    with api.client(name="streams") as client:
        started = client.post("/v1/server/nap", json=nap("600")).json()["id"]
        sockets = [
            connect(
                f"{api.url.replace('http', 'ws', 1)}/v1/jobs/{started}/events",
                additional_headers={"Authorization": f"Bearer {api.key(name='streams')}"},
            )
            for _socket in range(10)
        ]
        answer = client.get(f"/v1/jobs/{started}/events")
        assert (answer.status_code, problem(answer)["code"]) == (429, "RATE_LIMITED")
        for socket in sockets:
            socket.close()
        deadline = time.monotonic() + 30
        while client.get("/metrics").text.find("livchat_api_streams 0.0") < 0:
            assert time.monotonic() < deadline, "a closed stream still counts"
            time.sleep(0.2)
        assert client.post(f"/v1/jobs/{started}/cancel").json()["status"] == "cancelled"
        again = client.post(f"/v1/jobs/{started}/cancel")
        assert (again.status_code, problem(again)["code"]) == (409, "JOB_ENDED")


def test_the_job_of_another_is_not_shown_to_a_limited_token(api: Running, job: dict[str, Any]) -> None:
    with api.client("read", ["elsewhere"]) as client:
        for method, path in (("GET", ""), ("GET", "/events"), ("POST", "/cancel")):
            answer = client.request(method, f"/v1/jobs/{job['id']}{path}")
            assert (answer.status_code, problem(answer)["code"]) == (403, "ACCESS_FORBIDDEN")
        assert client.get("/v1/jobs").json()["items"] == []
    with api.client("read", ["one"]) as client:
        assert client.get(f"/v1/jobs/{job['id']}").status_code == 200


def found_out(home: Path) -> str:
    """A job by which another ran a command, on disk."""
    folder = JobFolder.make(home / "jobs")
    about = {"servers": ["s0"], "principal": "token:ops", "token": "0" * 8}
    folder.update(operation="exec", status="successful", parameters={"command": "cat /root/canary"}, **about)
    folder.write("log", "canary of the log\n")
    folder.write("events.jsonl", '{"task": "canary of the events"}\n')
    ran = {"server": "s0", "instance": None, "service": None, "node": None, "rc": 0}
    folder.keep_result([{**ran, "stdout": "canary of the result", "stderr": "", "truncated": False}])
    return folder.id


def test_what_a_command_found_is_for_who_may_run_commands(api: Running) -> None:
    job = found_out(api.home)
    url = f"{api.url.replace('http', 'ws', 1)}/v1/jobs/{job}/events"
    for scope in ("read", "deploy", "admin"):
        with api.client(scope) as client:
            for path in ("", "/log", "/events"):
                answer = client.get(f"/v1/jobs/{job}{path}")
                assert (answer.status_code, problem(answer)["code"]) == (403, "ACCESS_FORBIDDEN"), path
                assert "canary" not in answer.text
            listed = client.get("/v1/jobs?operation=exec")
            assert listed.status_code == 200 and job not in listed.text and "canary" not in listed.text
        headers = {"Authorization": f"Bearer {api.key(scope)}"}
        with pytest.raises(InvalidStatus) as refused, connect(url, additional_headers=headers):
            raise AssertionError(scope)
        assert refused.value.response.status_code == 403
    with api.client("exec") as client:
        assert [client.get(f"/v1/jobs/{job}{path}").text.count("canary") for path in ("", "/log")] == [2, 1]
        assert job in client.get("/v1/jobs?operation=exec").text


def test_the_same_key_is_the_same_job(api: Running) -> None:
    with api.client() as client, api.client(name="someone") as someone:
        headers = {"Idempotency-Key": "deploy-42"}
        first = client.post("/v1/server/nap", json=nap(), headers=headers)
        again = client.post("/v1/server/nap", json=nap(), headers=headers)
        assert first.status_code == 202
        assert again.json()["id"] == first.json()["id"]
        # Written in another way it is the same request, another value makes another one.
        plain = json.dumps(nap(), indent=3, sort_keys=True)
        as_text = client.post("/v1/server/nap", content=plain, headers={**headers, "Content-Type": "application/json"})
        assert as_text.json()["id"] == first.json()["id"]
        for path, body in (("/v1/server/nap", nap("0.2")), ("/v1/tokens", {"name": "x"})):
            answer = client.post(path, json=body, headers=headers)
            assert (answer.status_code, problem(answer)["code"]) == (409, "IDEMPOTENCY_CONFLICT")
        others = someone.post("/v1/server/nap", json=nap(), headers=headers).json()
        assert others["id"] != first.json()["id"]
        for one in (first.json(), others):
            ended(client, one["id"])
        assert client.post("/v1/server/nap", json=nap(), headers=headers).status_code == 200


def test_a_caller_may_give_a_job_less_time_than_its_operation_does(api: Running) -> None:
    with api.client() as client:
        for wrong in ("0", "61", "-1", "1.5", "long"):
            answer = client.post(f"/v1/server/nap?timeout={wrong}", json=nap())
            assert (answer.status_code, problem(answer)["code"]) == (422, "INPUT_INVALID")
            assert problem(answer)["details"]["fields"][0]["allowed"] == "1 to 60"
        headers = {"Idempotency-Key": "short"}
        short = client.post("/v1/server/nap?timeout=1", json=nap("600"), headers=headers).json()
        # How long it may take is a part of what is asked for.
        answer = client.post("/v1/server/nap?timeout=2", json=nap("600"), headers=headers)
        assert (answer.status_code, problem(answer)["code"]) == (409, "IDEMPOTENCY_CONFLICT")
        done = ended(client, short["id"])
        assert (done["status"], done["error"]["code"]) == ("failed", "JOB_TIMEOUT")
        whole = client.post("/v1/server/nap?timeout=60&wait=45", json=nap())
        assert (whole.status_code, whole.json()["status"]) == (200, "successful")


def test_a_key_that_is_shown_once_is_not_kept_for_a_second_time(api: Running) -> None:
    with api.client() as client:
        headers = {"Idempotency-Key": "token-1"}
        made = client.post("/v1/tokens", json={"name": "once"}, headers=headers).json()
        again = client.post("/v1/tokens", json={"name": "once"}, headers=headers)
        assert (again.status_code, problem(again)["code"]) == (409, "IDEMPOTENCY_CONFLICT")
        assert [one["id"] for one in client.get("/v1/tokens").json()["items"] if one["name"] == "once"] == [made["id"]]
    kept = "".join(path.read_text() for path in (api.home / "idempotency").iterdir())
    assert made["key"] not in kept
    wrong = {"Idempotency-Key": "a b"}
    with api.client() as client:
        assert client.post("/v1/tokens", json={"name": "once"}, headers=wrong).status_code == 422


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_job_survives_the_end_of_the_api_and_is_found_once(
    another: Callable[..., Running], number: signal.Signals
) -> None:
    api = another()
    api.start()
    headers = {"Idempotency-Key": "the-one"}
    with api.client() as client:
        record = client.post("/v1/server/nap", json=nap("8"), headers=headers).json()
        while client.get(f"/v1/jobs/{record['id']}").json()["status"] != "running":
            time.sleep(0.1)
    code = api.stop(number)
    assert code == (0 if number == signal.SIGTERM else -number)
    assert JobFolder(api.home / "jobs", record["id"]).lives()
    api.start()
    with api.client() as client:
        # Who was not told asks once more.
        again = client.post("/v1/server/nap", json=nap("8"), headers=headers).json()
        assert again["id"] == record["id"]
        assert ended(client, record["id"])["status"] == "successful"
        assert [one["id"] for one in client.get("/v1/jobs").json()["items"]] == [record["id"]]
    # It began once and ended once.
    events = Jobs(api.home).get(record["id"]).events()
    assert [one["kind"] for one in events if one["task"] == "Sleep"] == ["started", "changed"]


@contextlib.contextmanager
def alive(home: Path) -> Iterator[str]:
    """A job that lives for as long as the context lasts."""
    folder = JobFolder.make(home / "jobs")
    with folder.lock():
        folder.update(operation="server.setup", servers=["s0"], status="running")
        yield folder.id


def test_who_waits_for_a_job_keeps_nobody_else_out(another: Callable[..., Running]) -> None:
    api = another()
    api.start()
    setup, tokens = get("server.setup"), 5
    # One more of the first token than may wait.
    places = [0, *list(range(tokens)) * WAITING_EACH]
    keys = [api.key(name=f"waits-{number}") for number in range(tokens)]
    with alive(api.home) as job:
        asked = f"{setup.name} {setup.parse({'target': ['s0']}, strict=True).model_dump_json()}".encode()
        ids = {one.name: one.id for one in Tokens(api.home).all()}
        for number, place in enumerate(places):
            # As if each had asked for it. Of one key, who comes while it is looked at is told to come again.
            with Once(api.home).key(ids[f"waits-{place}"], f"key-{number}", asked) as attempt:
                attempt.begin()
                attempt.keep(job)

        async def ask() -> None:
            async with contextlib.AsyncExitStack() as stack:
                askers = [(keys[place], f"key-{number}") for number, place in enumerate(places)]
                answers = [await stack.enter_async_context(waiting(api, *one)) for one in askers]
                done, left = await asyncio.wait(answers, timeout=8)
                assert [one.result().split()[1] for one in done] == [b"202"]
                assert len(left) == tokens * WAITING_EACH
                async with httpx.AsyncClient(base_url=api.url, timeout=20) as client:
                    assert (await client.get("/health")).status_code == 200
                    headers = {"Authorization": f"Bearer {api.key('read')}"}
                    assert (await client.get("/v1/servers", headers=headers)).status_code == 200
                Jobs(api.home).get(job).update(status="successful")
                ended, _left = await asyncio.wait(left, timeout=30)
                assert {one.result().split()[1] for one in ended} == {b"200"}
                assert len(ended) == len(left)

        asyncio.run(ask())


@contextlib.asynccontextmanager
async def waiting(api: Running, token: str, key: str) -> AsyncIterator[asyncio.Task[bytes]]:
    """A call that waits for a setup, with the first line of its answer to come."""
    body = b'{"target": ["s0"]}'
    head = (
        f"POST /v1/server/setup?wait=45 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Idempotency-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    address = urlsplit(api.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(head.encode() + body)
    # One after the other: so many that are not looked at yet would be turned away.
    await asyncio.sleep(0.03)
    line = asyncio.create_task(reader.readline())
    try:
        yield line
    finally:
        line.cancel()
        writer.close()


def test_who_is_refused_and_sends_no_body_keeps_nobody_else_out(another: Callable[..., Running]) -> None:
    api = another()
    api.start()
    address = urlsplit(api.url)
    head = b"POST /v1/servers HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"

    async def ask() -> None:
        connections = [await asyncio.open_connection(address.hostname, address.port) for _ in range(IN_FLIGHT + 50)]
        for _reader, writer in connections:
            writer.write(head)
        await asyncio.sleep(0.5)
        async with httpx.AsyncClient(
            base_url=api.url, headers={"Authorization": f"Bearer {api.key('read')}"}
        ) as client:
            assert (await client.get("/v1/servers")).status_code == 200
        refused = [(await reader.readline()).split()[1] for reader, _writer in connections]
        # Not one was told that there were too many.
        assert set(refused) == {b"401"}
        for _reader, writer in connections:
            writer.close()

    asyncio.run(ask())


def test_streams_that_are_opened_at_the_same_moment_stay_within_the_limit(api: Running) -> None:
    address = urlsplit(api.url)

    async def burst(job: str) -> Counter[bytes]:
        connections = [await asyncio.open_connection(address.hostname, address.port) for _ in range(4 * PER_TOKEN)]
        for _reader, writer in connections:
            writer.write(
                f"GET /v1/jobs/{job}/events HTTP/1.1\r\nHost: localhost\r\n"
                f"Authorization: Bearer {api.key(name='burst')}\r\n\r\n".encode()
            )
        found = Counter([(await reader.readline()).split()[1] for reader, _writer in connections])
        for _reader, writer in connections:
            writer.close()
        return found

    with alive(api.home) as job:
        api.key(name="burst")
        for _time in range(2):
            # Those of the first time are given back.
            assert asyncio.run(burst(job)) == {b"200": PER_TOKEN, b"429": 3 * PER_TOKEN}
            with api.client() as client:
                deadline = time.monotonic() + 30
                while "livchat_api_streams 0.0" not in client.get("/metrics").text:
                    assert time.monotonic() < deadline, "a closed stream still counts"
                    time.sleep(0.2)
