"""What may be adopted under which name, before any server is spoken to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home

from .conftest import Play

KNOWN = {
    "old": {
        "name": "old",
        "provider": "adopted",
        "ip_address": "203.0.113.9",
        "status": "ready",
        "created_at": "2026-01-01T00:00:00+00:00",
        "metadata": {"port": 22},
    },
    "prod": {"name": "prod", "provider": "hetzner", "ip_address": "203.0.113.7", "metadata": {}},
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path) -> Home:
    home = Home(str(tmp_path / "home"))
    home.write("config.yaml", "dns: {zone: example.com}\n")
    tree = {"version": 1, "servers": KNOWN, "applications": {}, "deployments": []}
    home.write("state.json", json.dumps(tree))
    return home


def asked(play: Play, *given: dict[str, Any]) -> list[dict[str, Any]]:
    tasks = [
        {"name": str(number), "livchat.setup.adoption": one, "ignore_errors": True} for number, one in enumerate(given)
    ]
    return list(play(tasks).values())


def test_what_is_taken_when_nothing_is_said(play: Play) -> None:
    new, again, moved, named = asked(
        play,
        {"name": "new", "address": "203.0.113.10"},
        {"name": "old", "address": "203.0.113.9"},
        {"name": "old", "address": "203.0.113.11", "port": 2222},
        {"name": "new", "address": "localhost", "user": "admin", "domain": "shop.example.com"},
    )
    assert (new["domain"], new["user"], new["port"]) == ("new.example.com", "root", 22)
    assert (new["known"], new["status"], new["private_key"]) == (False, "adopted", "")
    assert new["created_at"].endswith("+00:00")
    # Whether it is the same machine its host key tells, not its address.
    for one in (again, moved):
        assert (one["known"], one["status"], one["created_at"]) == (True, "ready", "2026-01-01T00:00:00+00:00")
    assert moved["ip_address"] == "203.0.113.11"
    assert (named["ip_address"], named["domain"]) == ("127.0.0.1", "shop.example.com")


def test_what_is_refused(play: Play) -> None:
    cases: list[tuple[dict[str, Any], str, str]] = [
        ({"name": "prod", "address": "203.0.113.10"}, "SERVER_NAME_CONFLICT", "hetzner, 203.0.113.7"),
        ({"name": "new", "address": "203.0.113.7"}, "SERVER_ADDRESS_CONFLICT", "known as prod"),
        ({"name": "New", "address": "203.0.113.10"}, "INPUT_INVALID", "name: 'New'"),
        ({"name": "new", "address": "2001:db8::1"}, "INPUT_INVALID", "an IPv4 address or a host name"),
        ({"name": "new", "address": "203.0.113.256"}, "INPUT_INVALID", "address"),
        ({"name": "new", "address": "a.example", "user": "Ad min"}, "INPUT_INVALID", "user"),
        ({"name": "new", "address": "203.0.113.10", "port": 70000}, "INPUT_INVALID", "1 to 65535"),
        ({"name": "new", "address": "203.0.113.10", "private_key": "/nowhere"}, "INPUT_INVALID", "/nowhere"),
        ({"name": "new", "address": "203.0.113.10", "domain": "a.notexample.com"}, "INPUT_INVALID", "zone example.com"),
        ({"name": "new", "address": "nowhere.invalid"}, "SERVER_UNREACHABLE", "no IPv4 address"),
    ]
    for result, (_, code, said) in zip(asked(play, *(one for one, _, _ in cases)), cases, strict=True):
        assert (result["error"]["code"], said in result["msg"]) == (code, True), result
        assert "Traceback" not in json.dumps(result)


def test_without_a_zone_a_domain_is_asked_for(play: Play, home: Home) -> None:
    home.write("config.yaml", "dns: {provider: none}\n")
    missing, given = asked(
        play,
        {"name": "new", "address": "203.0.113.10"},
        {"name": "new", "address": "203.0.113.10", "domain": "new.anywhere.net"},
    )
    assert missing["error"]["code"] == "INPUT_INVALID" and "domain" in missing["msg"]
    assert given["domain"] == "new.anywhere.net"
