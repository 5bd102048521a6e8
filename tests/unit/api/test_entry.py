"""Who comes in: tokens, scopes, servers, hosts, and how often."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Callable

import httpx
import pytest

from livchat_cli import routes
from livchat_cli.access import Tokens
from livchat_cli.operations import OPERATIONS
from tests.unit.api.running import Running
from tests.unit.api.test_calls import problem


def test_nobody_comes_in_without_a_token(api: Running) -> None:
    paths = [route.path.replace("{", "").replace("}", "") for one in OPERATIONS for route in routes.of(one)]
    for path in (
        *paths[:5],
        "/metrics",
        "/v1/openapi.json",
        "/v1/jobs/x/events",
        "/v1/webhooks/health",
        "/nothing",
        "/",
    ):
        answer = httpx.get(f"{api.url}{path}")
        assert (answer.status_code, problem(answer)["code"]) == (401, "ACCESS_DENIED"), path
        assert answer.headers["www-authenticate"] == 'Bearer realm="livchat-setup"'


def test_a_wrong_an_ended_and_a_revoked_token_are_refused(api: Running) -> None:
    long_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=2)
    _token, ended = Tokens(api.home, lambda: long_ago).create("ended", ["admin"], days=1)
    revoked, key = Tokens(api.home).create("revoked", ["admin"])
    headers = {"Authorization": f"Bearer {key}"}
    assert httpx.get(f"{api.url}/v1/servers", headers=headers).status_code == 200
    Tokens(api.home).revoke(revoked.id)
    for given in (f"Bearer {key}", f"Bearer {ended}", f"Bearer {api.key()}x", "Bearer", f"Basic {ended}", "x" * 5000):
        answer = httpx.get(f"{api.url}/v1/servers", headers={"Authorization": given})
        assert (answer.status_code, problem(answer)["code"]) == (401, "ACCESS_DENIED"), given[:10]
        assert answer.headers["www-authenticate"].startswith('Bearer realm="livchat-setup"')
        assert key not in answer.text and ended not in answer.text
    basic = base64.b64encode(f"x:{api.key()}".encode()).decode()
    assert httpx.get(f"{api.url}/v1/servers", headers={"Authorization": f"Basic {basic}"}).status_code == 401


def test_a_token_in_an_address_is_refused_and_not_quoted(api: Running) -> None:
    key = api.key("read")
    with api.client("read") as client:
        for path in (
            f"/v1/servers?access_token={key}",
            f"/v1/servers?anything={key}",
            f"/v1/servers?token={key}",
            f"/v1/servers?x=%6c{key[1:]}",
            f"/v1/{key}",
            "/v1/servers?api_key=",
            f"/health?token={key}",
        ):
            answer = client.get(path)
            assert (answer.status_code, problem(answer)["code"]) == (400, "TOKEN_IN_URL"), path
            assert key not in answer.text
        # It does not help to give it the right way as well, and without that it lets nobody in.
        assert httpx.get(f"{api.url}/v1/servers?access_token={key}").status_code == 400
    assert not [line for line in api.log if key in line]


@pytest.mark.parametrize(
    ("scope", "method", "path", "status"),
    [
        ("read", "GET", "/v1/servers", 200),
        ("read", "POST", "/v1/exec", 403),
        ("read", "POST", "/v1/servers/s0/apps", 403),
        ("read", "GET", "/v1/secrets", 403),
        ("read", "GET", "/v1/tokens", 403),
        ("read", "POST", "/v1/webhooks/health", 403),
        ("deploy", "DELETE", "/v1/servers/s0", 403),
        ("deploy", "DELETE", "/v1/servers/s0/apps/n8n", 403),
        ("deploy", "POST", "/v1/tokens", 403),
        ("admin", "POST", "/v1/exec", 403),
        ("exec", "DELETE", "/v1/servers/s0", 403),
        ("report", "GET", "/v1/servers", 403),
        ("report", "GET", "/metrics", 403),
        ("report", "GET", "/v1/openapi.json", 403),
    ],
)
def test_a_token_is_good_for_its_scopes_only(api: Running, scope: str, method: str, path: str, status: int) -> None:
    bodies = {
        "/v1/exec": {"target": ["s0"], "command": ["id"]},
        "/v1/servers/s0/apps": {"apps": ["n8n"]},
        "/v1/tokens": {"name": "more", "scopes": ["admin"]},
        "/v1/webhooks/health": {"server": "s0", "status": "up"},
    }
    with api.client(scope) as client:
        answer = client.request(method, path, json=bodies.get(path) if method == "POST" else None)
    assert answer.status_code == status, answer.text
    if status == 403:
        assert problem(answer)["code"] == "ACCESS_FORBIDDEN"
        assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert not [one for one in (api.home / "jobs").glob("*/job.json") if '"exec"' in one.read_text()]


def test_a_token_stays_on_its_servers(api: Running) -> None:
    with api.client("deploy", ["s1"]) as client:
        assert client.get("/v1/servers/s1").status_code == 200
        assert client.get("/v1/deployments", params={"server": "s1"}).status_code == 200
        assert client.get("/v1/apps").status_code == 200
        for path in ("/v1/servers/s0", "/v1/servers", "/v1/instances", "/v1/deployments", "/v1/deployments?server=s0"):
            answer = client.get(path)
            assert (answer.status_code, problem(answer)["code"]) == (403, "ACCESS_FORBIDDEN"), path
        for target in (["s0"], ["s0", "s1"]):
            answer = client.post("/v1/deployments", json={"apps": ["n8n"], "target": target})
            assert answer.status_code == 403


@pytest.mark.parametrize("host", ["evil.test", "127.0.0.1.evil.test", "localhost.", "", "[::2]", "127.0.0.1@evil.test"])
def test_another_host_name_is_refused(api: Running, host: str) -> None:
    answer = httpx.get(f"{api.url}/health", headers={"Host": host})
    assert (answer.status_code, problem(answer)["code"]) == (421, "HOST_UNKNOWN")


def test_its_own_names_are_not(api: Running) -> None:
    for host in ("localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:8000"):
        assert httpx.get(f"{api.url}/health", headers={"Host": host}).status_code == 200


def test_an_expired_token_gets_no_new_key(api: Running) -> None:
    long_ago = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    expired, _key = Tokens(api.home, lambda: long_ago).create("expired", ["read"], days=1)
    with api.client() as client:
        answer = client.post(f"/v1/tokens/{expired.id}/rotate")
        assert (answer.status_code, problem(answer)["code"]) == (409, "TOKEN_EXPIRED")
        client.delete(f"/v1/tokens/{expired.id}").raise_for_status()


def test_calls_and_creations_are_limited_for_each_token(another: Callable[..., Running]) -> None:
    api = another({"calls_per_hour": 8, "server_creations_per_hour": 2})
    api.start()
    with api.client() as client, api.client(name="other") as other:
        wrong = {"name": "a", "domain": "no domain"}
        assert client.post("/v1/servers", json=wrong).status_code == 422
        three = client.post("/v1/launch", json={"names": ["a", "b", "c"]})
        assert (three.status_code, problem(three)["code"]) == (422, "INPUT_INVALID")
        assert "retry-after" not in three.headers
        for name in ("a", "b"):
            made = client.post("/v1/servers", json={"name": name, "domain": f"{name}.example.com"})
            assert made.status_code == 202
            client.post(f"/v1/jobs/{made.json()['id']}/cancel")
        fourth = client.post("/v1/servers", json={"name": "d", "domain": "d.example.com"})
        assert (fourth.status_code, problem(fourth)["code"]) == (429, "RATE_LIMITED")
        assert 0 < int(fourth.headers["retry-after"]) <= 3600
        assert client.get("/v1/apps").status_code == 200
        last = client.get("/v1/apps")
        assert (last.status_code, problem(last)["code"]) == (429, "RATE_LIMITED")
        assert last.json()["retry_after"] == int(last.headers["retry-after"])
        assert other.get("/v1/apps").status_code == 200
        # A restart forgives what was asked, not what was made.
    api.stop()
    api.start()
    with api.client() as client:
        assert client.get("/v1/apps").status_code == 200
        assert client.post("/v1/servers", json={"name": "d", "domain": "d.example.com"}).status_code == 429


def test_who_guesses_is_told_to_wait_and_locks_nobody_out(another: Callable[..., Running]) -> None:
    api = another({"refusals_per_minute": 5})
    api.start()
    with httpx.Client(base_url=api.url) as client:
        assert [client.get("/v1/servers").status_code for _guess in range(8)] == [401] * 5 + [429] * 3
        assert client.get("/health").status_code == 200
    with api.client("read") as client:
        assert client.get("/v1/servers").status_code == 200
