"""What is asked over HTTP and what comes back: statuses, shapes, pages, tags, identities."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

from livchat_cli import results
from livchat_cli.api import problems
from livchat_cli.errors import LivchatError
from tests.unit.api.conftest import CANARY
from tests.unit.api.running import Running


def problem(answer: httpx.Response) -> dict[str, Any]:
    """The error in an answer, which has the shape of all errors."""
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, Any] = answer.json()
    TypeAdapter(results.APIError).validate_python(found, strict=True)
    assert "Traceback" not in answer.text
    return found


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("INPUT_INVALID", 422),
        ("SETTING_INVALID", 422),
        ("APP_UNKNOWN", 404),
        ("JOB_UNKNOWN", 404),
        ("CONFIRMATION_REQUIRED", 409),
        ("DEFINITION_CONFLICT", 422),
        ("DNS_TOKEN_INVALID", 502),
        ("VAULT_LOCKED", 503),
        ("SERVER_UNREACHABLE", 503),
        ("DNS_RATE_LIMITED", 503),
        ("RATE_LIMITED", 429),
        ("ACCESS_FORBIDDEN", 403),
        ("HOME_DAMAGED", 500),
    ],
)
def test_every_kind_of_error_has_its_status(code: str, status: int) -> None:
    assert problems.status(LivchatError(code, "…")) == status


def test_health_tells_everybody_that_it_lives_and_nothing_else(api: Running) -> None:
    answer = httpx.get(f"{api.url}/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert "server" not in answer.headers


def test_reads_come_from_the_index(api: Running) -> None:
    with api.client("read") as client:
        servers = client.get("/v1/servers").json()["items"]
        assert [one["name"] for one in servers] == ["s0", "s1"]
        shown = client.get("/v1/servers/s1").json()
        assert shown.items() > servers[1].items() and [one["instance"] for one in shown["installed"]] == [
            "n8n",
            "postgres",
        ]
        apps = client.get("/v1/servers/s1/apps").json()["items"]
        assert [(one["server"], one["instance"]) for one in apps] == [("s1", "n8n"), ("s1", "postgres")]
        assert client.get("/v1/instances", params={"target": ["s0", "s1"]}).json()["items"][2:] == apps
        assert client.get("/v1/apps/n8n").json()["name"] == "n8n"
        assert client.get("/v1/catalog/order", params={"apps": "n8n"}).json()["items"] == ["postgres", "redis", "n8n"]
        found = client.get("/v1/servers/gone")
        assert (found.status_code, problem(found)["code"]) == (404, "SERVER_UNKNOWN")


def test_names_of_secrets_come_without_their_values(api: Running) -> None:
    with api.client("admin") as client:
        answer = client.get("/v1/secrets")
        assert answer.json()["items"] == ["servers/s0/portainer/password", "tokens/cloudflare"]
        assert CANARY not in answer.text
        assert client.get("/v1/secrets", params={"below": "servers/s0"}).json()["items"] == answer.json()["items"][:1]


def test_lists_come_in_pages(api: Running) -> None:
    with api.client() as client:
        seen, cursor = [], None
        for _page in range(3):
            more = {"cursor": cursor} if cursor else {}
            answer = client.get("/v1/instances", params={"limit": 2, **more}).json()
            seen += [(one["server"], one["instance"]) for one in answer["items"]]
            if (cursor := answer["next_cursor"]) is None:
                break
        assert seen == [("s0", "n8n"), ("s0", "postgres"), ("s1", "n8n"), ("s1", "postgres")]
        filtered = client.get("/v1/instances", params={"app": "postgres"}).json()["items"]
        assert [one["server"] for one in filtered] == ["s0", "s1"]
        assert [one["name"] for one in client.get("/v1/servers?provider=adopted").json()["items"]] == ["s0"]
        # What pages itself takes the same cursor.
        first = client.get("/v1/deployments", params={"limit": 3}).json()
        rest = client.get("/v1/deployments", params={"limit": 200, "cursor": first["next_cursor"]}).json()
        assert len(first["items"]) == 3
        assert [one["id"] for one in first["items"] + rest["items"]] == sorted(
            (one["id"] for one in first["items"] + rest["items"]), reverse=True
        )
        assert len(rest["items"]) == 4 and rest["next_cursor"] is None


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/servers?limit=0", "limit"),
        ("/v1/servers?limit=1001", "limit"),
        ("/v1/servers?limit=two", "limit"),
        ("/v1/servers?limit=1&limit=2", "limit"),
        ("/v1/servers?nothing=1", "nothing"),
        ("/v1/servers?live=yes", "live"),
        ("/v1/status?wait=46", "wait"),
        ("/v1/jobs?status=odd", "status.0"),
        ("/v1/servers/s0/apps?target=s1", "target"),
    ],
)
def test_what_a_query_may_not_hold_is_named(api: Running, path: str, field: str) -> None:
    with api.client() as client:
        answer = client.get(path)
    assert (answer.status_code, problem(answer)["code"]) == (422, "INPUT_INVALID")
    assert [one["field"] for one in answer.json()["details"]["fields"]] == [field]


@pytest.mark.parametrize("cursor", ["nonsense", "WyJhIiwgImIiXQ==", "é", "A", ""])
def test_a_cursor_that_was_never_given_leads_nowhere(api: Running, cursor: str) -> None:
    with api.client() as client:
        answer = client.get("/v1/servers", params={"cursor": cursor})
    assert (answer.status_code, problem(answer)["code"]) == (404, "CURSOR_UNKNOWN")


def test_what_has_not_changed_is_not_sent_again(api: Running) -> None:
    with api.client("read") as client:
        tag = client.get("/v1/servers").headers["etag"]
        again = client.get("/v1/servers", headers={"If-None-Match": f'"other", {tag}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert client.get("/v1/servers?limit=1", headers={"If-None-Match": tag}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("PATCH", "/v1/servers", "GET, POST"), ("POST", "/health", "GET"), ("OPTIONS", "/v1/servers/s0", "DELETE, GET")],
)
def test_a_method_that_a_path_has_not_is_refused(api: Running, method: str, path: str, allowed: str) -> None:
    with api.client() as client:
        answer = client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert problem(answer)["code"] == "METHOD_NOT_ALLOWED"
    # Nothing is for pages of others.
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    ("body", "media_type", "status", "code"),
    [
        (b"{", "application/json", 400, "REQUEST_INVALID"),
        (b"\xff", "application/json", 400, "REQUEST_INVALID"),
        (b'{"name": NaN}', "application/json", 400, "REQUEST_INVALID"),
        (b'{"name": "a", "name": "b"}', "application/json", 400, "REQUEST_INVALID"),
        (b'{"name": "\\ud800"}', "application/json", 400, "REQUEST_INVALID"),
        (b"[" * 100_000, "application/json", 400, "REQUEST_INVALID"),
        (b"[]", "application/json", 422, "INPUT_INVALID"),
        (b"name=a", "application/x-www-form-urlencoded", 415, "MEDIA_TYPE_UNKNOWN"),
        (b"{}", "application/json; charset=utf-8", 422, "INPUT_INVALID"),
        (b"", "application/json", 422, "INPUT_INVALID"),
    ],
)
def test_a_body_must_be_a_json_object(api: Running, body: bytes, media_type: str, status: int, code: str) -> None:
    with api.client() as client:
        answer = client.post("/v1/servers", content=body, headers={"Content-Type": media_type})
    assert (answer.status_code, problem(answer)["code"]) == (status, code)


def test_a_wrong_value_is_never_quoted(api: Running) -> None:
    wrong: list[dict[str, Any]] = [
        {"name": CANARY, "domain": f"{CANARY} x"},
        {"name": {"a": CANARY}, "domain": [CANARY]},
        {"name": "a", "domain": "a.example.com", "labels": {"a": f"{CANARY} x"}},
        {"name": "a", "domain": "a.example.com", "password": CANARY},
        {"name": 7, "domain": "a.example.com"},
    ]
    with api.client() as client:
        for body in wrong:
            answer = client.post("/v1/servers", json=body)
            assert (answer.status_code, problem(answer)["code"]) == (422, "INPUT_INVALID"), body
            assert CANARY not in answer.text
        for path in (f"/v1/servers/{CANARY} x", f"/v1/jobs?server={CANARY}", f"/v1/secrets?below=/{CANARY}"):
            answer = client.get(path)
            assert answer.status_code == 422
            assert CANARY not in answer.text
        many = client.post("/v1/server/setup", json={"target": ["NO"] * 50_000})
        assert len(many.content) < 20_000
    assert CANARY not in "".join(api.log)


def test_what_destroys_wants_the_name_repeated(api: Running) -> None:
    with api.client() as client:
        for more, code in (({}, "CONFIRMATION_REQUIRED"), ({"confirm_name": "s1"}, "CONFIRMATION_MISMATCH")):
            answer = client.delete("/v1/servers/s0", params=more)
            assert (answer.status_code, problem(answer)["code"]) == (409, code)


def test_a_call_has_an_identity(api: Running) -> None:
    with api.client() as client:
        mine = client.get("/v1/servers", headers={"X-Request-ID": "my-id.1"})
        assert mine.headers["x-request-id"] == "my-id.1"
        one, other = (client.get("/v1/servers").headers["x-request-id"] for _call in range(2))
        assert len(one) == 32 and one != other
        # Also where something is wrong, which is when it is needed.
        assert client.get("/v1/nothing", headers={"X-Request-ID": "my-id.2"}).headers["x-request-id"] == "my-id.2"
        for wrong in ("a b", "x" * 65, '"}{'):
            answer = client.get("/v1/servers", headers={"X-Request-ID": wrong})
            assert (answer.status_code, problem(answer)["code"]) == (422, "INPUT_INVALID")
            assert wrong not in answer.headers["x-request-id"]
        made = client.post("/v1/tokens", json={"name": "temporary"}, headers={"X-Request-ID": "my-id.3"}).json()
        client.delete(f"/v1/tokens/{made['id']}")
    audited = [json.loads(line) for line in (api.home / "audit.jsonl").read_text().splitlines()]
    told = [line for line in audited if line.get("request_id") == "my-id.3"]
    assert [(line["operation"], line["actor"], line["outcome"]) for line in told] == [
        ("token.create", "token:admin", "success")
    ]
    assert made["key"] not in (api.home / "audit.jsonl").read_text()
    logged = next(call for call in api.calls() if call["request_id"] == "my-id.1")
    assert (logged["operation"], logged["status"], logged["principal"]) == ("server.list", 200, "token:admin")


def test_what_takes_long_is_a_job(api: Running) -> None:
    with api.client() as client:
        asked = {"target": ["s0"], "apps": ["nap"], "variables": {"nap": {"seconds": "1", "secret": CANARY}}}
        started = client.post("/v1/server/nap", json=asked, headers={"X-Request-ID": "nap-1"})
        job = started.json()
        assert started.status_code == 202
        assert started.headers["location"] == f"/v1/jobs/{job['id']}"
        assert (job["status"], job["result"], job["request_id"]) == (job["status"], None, "nap-1")
        TypeAdapter(results.JobWithResult).validate_python(job, strict=True)
        # A live look is a job as well, and its end can be waited for.
        live = client.get("/v1/servers", params={"live": "true", "wait": 45})
        while live.status_code == 202:
            time.sleep(1)
            live = client.get(live.headers["location"])
        assert live.json()["operation"] == "server.list"
        assert live.json()["finished_at"]
        deadline = time.monotonic() + 90
        while (shown := client.get(f"/v1/jobs/{job['id']}").json())["status"] in ("waiting", "running"):
            assert time.monotonic() < deadline
            time.sleep(0.5)
        assert (shown["status"], shown["result"]) == ("successful", {"rested": "s0", "said": "(redacted)"})
        listed = client.get("/v1/jobs", params={"operation": "server.nap", "server": "s0"})
        assert [one["id"] for one in listed.json()["items"]] == [job["id"]]
        assert CANARY not in json.dumps([started.json(), shown, listed.json()])
    audited = [json.loads(line) for line in (api.home / "audit.jsonl").read_text().splitlines()]
    told = next(line for line in audited if line.get("job") == job["id"] and line["operation"] == "server.rested")
    assert (told["request_id"], told["job"], told["actor"]) == ("nap-1", job["id"], "token:admin")
    # The run itself says it as well: exec, which tells nobody of its success, has only that.
    (ran, *_) = (line for line in audited if line.get("job") == job["id"] and line["operation"] == "nap")
    assert (ran["request_id"], ran["actor"]) == ("nap-1", "token:admin")


def test_numbers_are_there_for_prometheus(api: Running) -> None:
    with api.client("read") as client:
        client.get("/v1/servers")
        answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    lines = answer.text.splitlines()
    assert "livchat_servers 2.0" in lines and "livchat_applications 4.0" in lines
    assert any(
        line.startswith('livchat_api_calls_total{method="GET",operation="server.list",status="200"}') for line in lines
    )
    # Nothing that a caller makes up becomes a label.
    assert "/v1/" not in answer.text and "PATCH" not in answer.text


def test_the_description_is_served_to_those_who_may_read(api: Running) -> None:
    with api.client("read") as client:
        assert client.get("/v1/openapi.json").json()["openapi"] == "3.1.0"
        assert client.get("/docs").status_code == 404
    assert httpx.get(f"{api.url}/v1/openapi.json").status_code == 401
