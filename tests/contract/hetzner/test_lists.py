"""Lists: pages, order, filters and label selectors; and the lists of actions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.hetzner.conftest import Cloud


@pytest.fixture
def groups(cloud: Cloud) -> list[int]:
    """Seven placement groups with labels, made in another order than that of their names."""
    labels = [{"env": "prod"}, {"env": "prod", "tier": "1"}, {"env": "test"}, {"tier": "2"}, {}, {}, {"a.io/x": ""}]
    made = [
        cloud.post("/placement_groups", {"name": name, "type": "spread", "labels": one})["placement_group"]["id"]
        for name, one in zip("dbgacef", labels, strict=True)
    ]
    return made


def names(cloud: Cloud, query: str) -> str:
    return "".join(one["name"] for one in cloud.get(f"/placement_groups?{query}")["placement_groups"])


def pagination(cloud: Cloud, query: str) -> dict[str, Any]:
    found: dict[str, Any] = cloud.get(f"/placement_groups?{query}")["meta"]["pagination"]
    return found


@pytest.mark.usefixtures("groups")
def test_pages(cloud: Cloud) -> None:
    assert pagination(cloud, "per_page=3&page=2") == {
        "page": 2,
        "per_page": 3,
        "previous_page": 1,
        "next_page": 3,
        "last_page": 3,
        "total_entries": 7,
    }
    assert [names(cloud, f"sort=name&per_page=3&page={page}") for page in (1, 2, 3, 4)] == ["abc", "def", "g", ""]
    first, last = pagination(cloud, "per_page=4"), pagination(cloud, "per_page=4&page=2")
    assert (first["previous_page"], first["next_page"], last["next_page"]) == (None, 2, None)
    # More than the most is the most.
    assert pagination(cloud, "per_page=51")["per_page"] == 50
    assert pagination(cloud, "")["per_page"] == 25


@pytest.mark.parametrize("query", ["page=0", "page=-1", "page=x", "per_page=0", "page=%C2%B2", "page=1.5", "page="])
def test_no_page(cloud: Cloud, query: str) -> None:
    assert cloud.refused("GET", f"/placement_groups?{query}") == (422, "invalid_input")


@pytest.mark.usefixtures("groups")
def test_order(cloud: Cloud) -> None:
    assert names(cloud, "") == "dbgacef"
    assert names(cloud, "sort=name") == names(cloud, "sort=name:asc") == "abcdefg"
    assert names(cloud, "sort=name:desc") == "gfedcba"
    assert names(cloud, "sort=id:desc") == "fecagbd"
    for wrong in ("labels", "type", "name:up", "name:", ""):
        assert cloud.refused("GET", f"/placement_groups?sort={wrong}") == (422, "invalid_input"), wrong


def test_the_second_key_decides_among_equals(cloud: Cloud) -> None:
    server = cloud.make_server()
    for _ in range(2):
        cloud.do(f"/servers/{server}/actions/enable_backup")
        cloud.do(f"/servers/{server}/actions/disable_backup")
    found = cloud.get(f"/servers/{server}/actions?sort=command&sort=id:desc")["actions"]
    keys = [(one["command"], -one["id"]) for one in found]
    assert keys == sorted(keys)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/servers", {"id", "name", "created"}),
        ("/ssh_keys", {"id", "name"}),
        ("/primary_ips", {"id", "created"}),
        ("/locations", {"id", "name"}),
        ("/servers/actions", {"id", "command", "status", "started", "finished"}),
    ],
)
def test_what_can_be_ordered_by(cloud: Cloud, path: str, allowed: set[str]) -> None:
    for field in ("id", "name", "created", "command", "status", "started", "finished", "progress", "labels"):
        answer = cloud.ask("GET", f"{path}?sort={field}")
        assert answer.status == (200 if field in allowed else 422), field


@pytest.mark.usefixtures("groups")
@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("env", "dbg"),
        ("!env", "acef"),
        ("env=prod", "db"),
        ("env==prod", "db"),
        ("env!=prod", "gacef"),
        ("env in (prod,test)", "dbg"),
        ("env in (prod, test),tier", "b"),
        ("env notin (prod)", "gacef"),
        ("env=prod,!tier", "d"),
        ("env=prod, tier=1", "b"),
        ("tier in (1)", "b"),
        ("a.io/x", "f"),
        ("a.io/x=", "f"),
        ("none", ""),
        ("", "dbgacef"),
    ],
)
def test_label_selectors(cloud: Cloud, selector: str, expected: str) -> None:
    assert names(cloud, f"label_selector={selector.replace(' ', '%20')}") == expected


@pytest.mark.parametrize("selector", ["=prod", "env=a=b", "env in", "env in (a", "a b", ",", "env,", "%C3%BC", "!"])
def test_no_label_selector(cloud: Cloud, selector: str) -> None:
    path = f"/servers?label_selector={selector.replace(' ', '%20')}"
    assert cloud.refused("GET", path) == (422, "invalid_input")


def test_servers_by_status_and_name(cloud: Cloud) -> None:
    one, two = cloud.make_server("one"), cloud.make_stopped("two")
    assert cloud.ids("/servers?status=off") == [two]
    assert cloud.ids("/servers?status=off&status=running") == [one, two]
    assert cloud.ids("/servers?name=one") == [one]
    assert cloud.ids("/servers?name=on") == []
    assert cloud.ids("/servers?status=off&name=one") == []


def test_actions(cloud: Cloud) -> None:
    server, net = cloud.make_server(), cloud.make_network()
    attached = cloud.do(f"/servers/{server}/actions/attach_to_network", {"network": net})
    other = cloud.make_server("two")
    commands = [one["command"] for one in cloud.get(f"/servers/{server}/actions")["actions"]]
    assert commands == ["create_server", "start_server", "attach_to_network"]
    mine, theirs = cloud.ids(f"/servers/{server}/actions"), cloud.ids(f"/servers/{other}/actions")
    assert cloud.ids("/servers/actions") == [*mine, *theirs]
    assert cloud.ids(f"/servers/actions?id={mine[0]}&id={theirs[0]}") == [mine[0], theirs[0]]
    assert cloud.ids("/networks/actions") == cloud.ids(f"/networks/{net}/actions") == [attached["id"]]
    assert cloud.ids(f"/actions?id={mine[0]}&id={attached['id']}&id=1") == [mine[0], attached["id"]]
    assert cloud.get(f"/servers/{server}/actions/{mine[0]}") == cloud.get(f"/actions/{mine[0]}")
    assert cloud.refused("GET", f"/servers/{server}/actions/{theirs[0]}") == (404, "not_found")
    assert cloud.refused("GET", f"/firewalls/actions/{mine[0]}") == (404, "not_found")
    assert cloud.refused("GET", "/actions") == (410, "deprecated_api_endpoint")
    by_command = cloud.get(f"/servers/{server}/actions?sort=command:desc")["actions"]
    assert [one["command"] for one in by_command] == sorted(commands, reverse=True)
    assert cloud.ids(f"/servers/{server}/actions?status=running") == []
    assert cloud.ids(f"/servers/{server}/actions?status=running&status=success") == mine
    (page,) = cloud.get(f"/servers/{server}/actions?per_page=1&page=2")["actions"]
    assert page["id"] == mine[1]


def test_actions_outlive_their_server(cloud: Cloud) -> None:
    server = cloud.make_server()
    deleted = cloud.wait(cloud.delete(f"/servers/{server}")["action"])
    assert cloud.get(f"/actions/{deleted['id']}")["action"]["command"] == "delete_server"
    assert cloud.refused("GET", f"/servers/{server}/actions") == (404, "not_found")
