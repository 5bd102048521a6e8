"""What Portainer answers before and around logging in."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import pytest
import requests

from tests.contract.portainer.conftest import PASSWORD, Client, Local
from tests.lab.portainer.server import Throttle


def said(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["message"]


def test_status_needs_no_token(portainer: Client) -> None:
    for path in ("/api/system/status", "/api/status"):
        answer = portainer.call("GET", path, session=False)
        assert answer.status_code == 200
        assert set(answer.json()) >= {"Version", "InstanceID"}


def test_the_stand_in_says_that_it_is_one(fresh: Client) -> None:
    assert fresh.call("GET", "/api/status").headers["X-Livchat-Lab"] == "simulated"
    page = fresh.call("GET", "/", session=False)
    assert "Simulated Portainer" in page.text
    assert page.headers["Content-Type"].startswith("text/html")


def test_an_administrator_exists(portainer: Client) -> None:
    assert portainer.call("GET", "/api/users/admin/check", session=False).status_code == 204


def test_making_the_administrator(fresh: Client) -> None:
    assert fresh.call("GET", "/api/users/admin/check", session=False).status_code == 404
    short = fresh.call("POST", "/api/users/admin/init", session=False, json={"Username": "admin", "Password": "short"})
    assert short.status_code == 400
    body = {"Username": "admin", "Password": PASSWORD}
    made = fresh.call("POST", "/api/users/admin/init", session=False, json=body)
    assert made.status_code == 200
    assert made.json()["Username"] == "admin"
    # The reason why no client may ever log this answer.
    assert made.json()["Password"].startswith("$2a$10$")
    assert len(made.json()["Password"]) == 60
    again = fresh.call("POST", "/api/users/admin/init", session=False, json=body)
    assert again.status_code == 409
    assert again.json() == {
        "message": "Unable to create administrator user",
        "details": "An administrator user already exists",
    }
    assert fresh.login().status_code == 200


def test_the_administrator_must_come_in_time(tmp_path: Path) -> None:
    local = Local(tmp_path, None, admin_timeout=0.3)
    try:
        client = local.client()
        assert client.call("GET", "/api/status").status_code == 200
        time.sleep(0.4)
        for method, path in (("GET", "/api/status"), ("POST", "/api/users/admin/init"), ("GET", "/")):
            answer = client.call(method, path, json={"Username": "admin", "Password": PASSWORD})
            assert said(answer) == (303, "Administrator initialization timeout")
            assert answer.headers["redirect-reason"] == "AdminInitTimeout"
    finally:
        local.stop()


def test_the_password_length_is_public(portainer: Client) -> None:
    assert portainer.call("GET", "/api/settings/public", session=False).json()["RequiredPasswordLength"] == 12


def test_login(portainer: Client) -> None:
    wrong = portainer.login("not-the-password")
    assert (wrong.status_code, wrong.json()) == (422, {"message": "Invalid credentials", "details": "Unauthorized"})
    broken = portainer.call("POST", "/api/auth", session=False, data="{")
    assert said(broken) == (400, "Invalid request payload")
    time.sleep(1)  # no more than a few tries in a second, or the address is shut out
    claims = portainer.login().json()["jwt"].split(".")[1]
    expires = json.loads(base64.urlsafe_b64decode(claims + "=="))["exp"]
    assert expires - time.time() == pytest.approx(8 * 3600, abs=60)


def test_many_tries_shut_the_address_out(tmp_path: Path) -> None:
    local = Local(tmp_path, None)
    # A second, but on a slow machine eleven tries take longer.
    local.portainer.throttle = Throttle(window=60)
    try:
        client = local.client()
        client.call("POST", "/api/users/admin/init", session=False, json={"Username": "admin", "Password": PASSWORD})
        answers = [client.login("wrong-password") for _ in range(11)]
        assert {said(answer) for answer in answers[:10]} == {(422, "Invalid credentials")}
        assert said(answers[10]) == (403, "Access denied")
        assert said(client.login()) == (403, "Access denied")  # the right password does not help
    finally:
        local.stop()


def test_calls_without_a_valid_token(portainer: Client) -> None:
    missing = portainer.call("GET", "/api/endpoints", session=False)
    assert said(missing) == (401, "A valid authorization token is missing")
    for headers in ({"Authorization": "Bearer a.b.c"}, {"X-API-KEY": "ptr_wrong"}):
        assert said(portainer.call("GET", "/api/endpoints", session=False, headers=headers)) == (
            401,
            "Invalid JWT token",
        )
    forged = portainer.jwt[:-4] + ("AAAA" if not portainer.jwt.endswith("AAAA") else "BBBB")
    bad = portainer.call("GET", "/api/endpoints", session=False, headers={"Authorization": f"Bearer {forged}"})
    assert bad.status_code == 401


def test_api_keys(portainer: Client) -> None:
    body = {"password": portainer.password, "description": "contract"}
    made = portainer.call("POST", "/api/users/1/tokens", json=body)
    assert made.status_code == 201
    raw, key = made.json()["rawAPIKey"], made.json()["apiKey"]
    assert raw.startswith("ptr_")
    assert set(key) >= {"id", "userId", "description", "prefix", "dateCreated", "lastUsed", "digest"}
    try:
        assert portainer.call("GET", "/api/endpoints", session=False, headers={"X-API-KEY": raw}).status_code == 200
        listed = portainer.call("GET", "/api/users/1/tokens")
        assert key["id"] in [entry["id"] for entry in listed.json()]
        assert raw not in listed.text
    finally:
        assert portainer.call("DELETE", f"/api/users/1/tokens/{key['id']}").status_code == 204
    gone = portainer.call("GET", "/api/endpoints", session=False, headers={"X-API-KEY": raw})
    assert gone.status_code == 401


def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    first = Local(tmp_path, None)
    client = first.client()
    client.call("POST", "/api/users/admin/init", session=False, json={"Username": "admin", "Password": PASSWORD})
    jwt = client.login().json()["jwt"]
    instance = client.call("GET", "/api/status").json()["InstanceID"]
    first.stop()
    second = Local(tmp_path, None)
    try:
        client = second.client()
        client.jwt = jwt
        assert client.call("GET", "/api/stacks").status_code == 200
        assert client.call("GET", "/api/status").json()["InstanceID"] == instance
        assert PASSWORD not in (tmp_path / "portainer.json").read_text()
    finally:
        second.stop()


def test_an_unknown_route_is_plain_text(portainer: Client) -> None:
    answer = portainer.call("GET", "/api/nothing/here")
    assert (answer.status_code, answer.text.strip()) == (404, "404 page not found")
