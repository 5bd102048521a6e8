"""Everything but servers: keys, firewalls, networks, primary IPs, placement groups and the offer."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.hetzner.conftest import KEYS, RULE, Cloud

SUBNET = {"type": "cloud", "network_zone": "eu-central"}
ROUTE = {"destination": "192.168.9.0/24", "gateway": "10.0.1.9"}
NEW = {
    "ssh_keys": {"name": "taken", "public_key": KEYS[0]},
    "firewalls": {"name": "taken"},
    "networks": {"name": "taken", "ip_range": "10.0.0.0/16"},
    "primary_ips": {"name": "taken", "type": "ipv6", "assignee_type": "server", "location": "fsn1"},
    "placement_groups": {"name": "taken", "type": "spread"},
}
OTHER = {**NEW, "ssh_keys": {"name": "taken", "public_key": KEYS[1]}}
every_kind = pytest.mark.parametrize("kind", NEW)


def new(cloud: Cloud, kind: str, **change: Any) -> dict[str, Any]:
    made: dict[str, Any] = cloud.post(f"/{kind}", {**NEW[kind], **change})[kind.removesuffix("s")]
    return made


@every_kind
def test_names_are_unique_within_a_kind(cloud: Cloud, kind: str) -> None:
    new(cloud, kind)
    answer = cloud.ask("POST", f"/{kind}", OTHER[kind])
    assert (answer.status, answer.body["error"]["code"]) == (409, "uniqueness_error")
    assert answer.body["error"]["details"]["fields"][0]["name"] == "name"
    other = cloud.post(f"/{kind}", {**OTHER[kind], "name": "other"})[kind.removesuffix("s")]
    assert cloud.refused("PUT", f"/{kind}/{other['id']}", {"name": "taken"}) == (409, "uniqueness_error")


@every_kind
def test_update_changes_what_it_names(cloud: Cloud, kind: str) -> None:
    made = new(cloud, kind, labels={"a": "1"})
    renamed = cloud.put(f"/{kind}/{made['id']}", {"name": "renamed"})[kind.removesuffix("s")]
    assert {**renamed, "name": "taken"} == made
    # Labels are replaced as a whole.
    assert cloud.put(f"/{kind}/{made['id']}", {"labels": {"b": ""}})[kind.removesuffix("s")]["labels"] == {"b": ""}
    for wrong in ({"name": ""}, {"name": 1}, {"labels": {"a": None}}, {"labels": ["a"]}, {"labels": {"": "a"}}):
        assert cloud.refused("PUT", f"/{kind}/{made['id']}", wrong) == (422, "invalid_input"), wrong
    assert cloud.get(f"/{kind}/{made['id']}")[kind.removesuffix("s")]["labels"] == {"b": ""}


@every_kind
def test_delete(cloud: Cloud, kind: str) -> None:
    made = new(cloud, kind)
    assert cloud.delete(f"/{kind}/{made['id']}") is None
    assert cloud.refused("DELETE", f"/{kind}/{made['id']}") == (404, "not_found")
    assert new(cloud, kind)["id"] != made["id"]


def test_a_key_by_its_fingerprint(cloud: Cloud) -> None:
    made = new(cloud, "ssh_keys")
    assert cloud.refused("POST", "/ssh_keys", {"name": "x", "public_key": f"{KEYS[0]} note"}) == (
        409,
        "uniqueness_error",
    )
    assert cloud.ids(f"/ssh_keys?fingerprint={made['fingerprint']}") == [made["id"]]
    assert cloud.ids("/ssh_keys?fingerprint=00:11") == []


@pytest.mark.parametrize(
    "public_key",
    ["", "ssh-ed25519", "ssh-ed25519 AAAA", KEYS[0].replace("ed25519", "rsa", 1), f"{KEYS[0]}\n{KEYS[1]}", "\x00"],
)
def test_no_public_key(cloud: Cloud, public_key: str) -> None:
    body = {"name": "key", "public_key": public_key}
    assert cloud.refused("POST", "/ssh_keys", body) == (422, "invalid_input")


# --- firewalls
def test_rules(cloud: Cloud) -> None:
    made = cloud.post("/firewalls", {"name": "wall", "rules": [RULE]})
    assert [action["command"] for action in made["actions"]] == ["set_firewall_rules"]
    path = f"/firewalls/{made['firewall']['id']}"
    out = {"direction": "out", "protocol": "icmp", "destination_ips": ["10.0.0.0/8"], "description": "out"}
    cloud.do(f"{path}/actions/set_rules", {"rules": [out]})
    (rule,) = cloud.get(path)["firewall"]["rules"]
    assert {key: rule[key] for key in out} == out
    cloud.post(f"{path}/actions/set_rules", {"rules": []})
    assert cloud.get(path)["firewall"]["rules"] == []


@pytest.mark.parametrize(
    "change",
    [
        {"port": None},
        {"port": "0"},
        {"port": "90-80"},
        {"port": "65536"},
        {"port": 22},
        {"protocol": "icmp"},
        {"direction": "both"},
        {"source_ips": []},
        {"source_ips": ["10.0.0.1"]},
        {"source_ips": ["10.0.0.1/8"]},
        {"description": "x" * 256},
    ],
    ids=str,
)
def test_no_rule(cloud: Cloud, change: dict[str, Any]) -> None:
    body = {"name": "wall", "rules": [{**RULE, **change}]}
    assert cloud.refused("POST", "/firewalls", body) == (422, "invalid_input")
    assert cloud.refused("POST", "/firewalls", {"name": "wall", "rules": [RULE] * 51}) == (422, "invalid_input")


def test_a_firewall_of_a_server(cloud: Cloud) -> None:
    server, wall = cloud.make_server(), cloud.make_firewall()
    target = {"type": "server", "server": {"id": server}}
    path = f"/firewalls/{wall}/actions"
    action = cloud.do(f"{path}/apply_to_resources", {"apply_to": [target]})
    assert action["command"] == "apply_firewall"
    assert {"id": server, "type": "server"} in action["resources"]
    assert cloud.get(f"/firewalls/{wall}")["firewall"]["applied_to"] == [target]
    assert cloud.server(server)["public_net"]["firewalls"] == [{"id": wall, "status": "applied"}]
    again = cloud.refused("POST", f"{path}/apply_to_resources", {"apply_to": [target]})
    assert again == (422, "firewall_already_applied")
    assert cloud.refused("DELETE", f"/firewalls/{wall}") == (422, "resource_in_use")
    cloud.do(f"{path}/remove_from_resources", {"remove_from": [target]})
    gone = cloud.refused("POST", f"{path}/remove_from_resources", {"remove_from": [target]})
    assert gone == (404, "firewall_resource_not_found")
    cloud.delete(f"/firewalls/{wall}")


def test_a_firewall_of_all_with_a_label(cloud: Cloud) -> None:
    chosen, other = cloud.make_server("one", labels={"role": "web"}), cloud.make_server("two")
    target = {"type": "label_selector", "label_selector": {"selector": "role=web"}}
    wall = cloud.make_firewall(apply_to=[target])
    assert cloud.server(chosen)["public_net"]["firewalls"] == [{"id": wall, "status": "applied"}]
    assert cloud.server(other)["public_net"]["firewalls"] == []
    (applied,) = cloud.get(f"/firewalls/{wall}")["firewall"]["applied_to"]
    assert applied["applied_to_resources"] == [{"type": "server", "server": {"id": chosen}}]
    server = {"type": "server", "server": {"id": chosen}}
    managed = cloud.refused("POST", f"/firewalls/{wall}/actions/remove_from_resources", {"remove_from": [server]})
    assert managed == (422, "firewall_managed_by_label_selector")
    for wrong in ({"type": "label_selector", "label_selector": {"selector": "=x"}}, {"type": "server"}):
        body = {"apply_to": [wrong]}
        path = f"/firewalls/{wall}/actions/apply_to_resources"
        assert cloud.refused("POST", path, body) == (422, "invalid_input"), wrong


# --- networks
def test_subnets_and_routes(cloud: Cloud) -> None:
    number = cloud.make_network()
    path = f"/networks/{number}/actions"
    cloud.do(f"{path}/add_subnet", SUBNET)
    ranges = [one["ip_range"] for one in cloud.get(f"/networks/{number}")["network"]["subnets"]]
    assert ranges == ["10.0.1.0/24", "10.0.0.0/24"]
    cloud.do(f"{path}/add_route", ROUTE)
    assert cloud.get(f"/networks/{number}")["network"]["routes"] == [ROUTE]
    cloud.do(f"{path}/delete_route", ROUTE)
    cloud.do(f"{path}/delete_subnet", {"ip_range": "10.0.1.0/24"})
    network = cloud.get(f"/networks/{number}")["network"]
    assert (network["routes"], [one["ip_range"] for one in network["subnets"]]) == ([], ["10.0.0.0/24"])


@pytest.mark.parametrize(
    ("command", "body", "expected"),
    [
        ("add_subnet", {**SUBNET, "ip_range": "10.0.1.0/25"}, (422, "networks_overlap")),
        ("add_subnet", {**SUBNET, "ip_range": "10.1.0.0/24"}, (422, "invalid_input")),
        ("add_subnet", {**SUBNET, "network_zone": "none"}, (422, "invalid_input")),
        ("add_subnet", {**SUBNET, "type": "vswitch"}, (422, "invalid_input")),
        ("delete_subnet", {"ip_range": "10.0.9.0/24"}, (404, "not_found")),
        ("add_route", {**ROUTE, "gateway": "10.0.2.1"}, (422, "invalid_input")),
        ("add_route", {**ROUTE, "destination": "192.168.9.1"}, (422, "invalid_input")),
        ("delete_route", ROUTE, (404, "not_found")),
        ("change_ip_range", {"ip_range": "10.0.0.0/20"}, (422, "invalid_input")),
        ("change_ip_range", {"ip_range": "172.16.0.0/12"}, (422, "invalid_input")),
    ],
)
def test_no_part_of_a_network(cloud: Cloud, command: str, body: dict[str, Any], expected: tuple[int, str]) -> None:
    number = cloud.make_network()
    before = cloud.get(f"/networks/{number}")
    assert cloud.refused("POST", f"/networks/{number}/actions/{command}", body) == expected
    assert cloud.get(f"/networks/{number}") == before


@pytest.mark.parametrize("ip_range", ["8.0.0.0/8", "10.0.0.1/8", "10.0.0.0/30", "10.0.0.0", "fd00::/16", 10])
def test_no_private_range(cloud: Cloud, ip_range: Any) -> None:
    assert cloud.refused("POST", "/networks", {"name": "net", "ip_range": ip_range}) == (422, "invalid_input")


@pytest.mark.parametrize("kind", ["networks", "primary_ips"])
def test_protection(cloud: Cloud, kind: str) -> None:
    path = f"/{kind}/{new(cloud, kind)['id']}"
    cloud.do(f"{path}/actions/change_protection", {"delete": True})
    assert cloud.get(path)[kind.removesuffix("s")]["protection"] == {"delete": True}
    assert cloud.refused("DELETE", path) == (423, "protected")
    cloud.do(f"{path}/actions/change_protection", {"delete": False})
    cloud.delete(path)


def test_deleting_a_network_detaches_its_servers(cloud: Cloud) -> None:
    net = cloud.make_network()
    server = cloud.make_server(networks=[net])
    cloud.delete(f"/networks/{net}")
    assert cloud.server(server)["private_net"] == []


# --- primary IPs
def test_an_address_moves_between_servers(cloud: Cloud) -> None:
    address = cloud.make_address()
    text = cloud.get(f"/primary_ips/{address}")["primary_ip"]["ip"]
    one = cloud.make_stopped("one", public_net={"ipv4": address, "enable_ipv6": False})
    two = cloud.make_stopped("two", public_net={"enable_ipv4": False})
    path = f"/primary_ips/{address}/actions"
    body = {"assignee_type": "server", "assignee_id": two}
    assert cloud.refused("POST", f"{path}/assign", body) == (422, "primary_ip_already_assigned")
    assert cloud.refused("DELETE", f"/primary_ips/{address}") == (422, "must_be_unassigned")
    cloud.do(f"{path}/unassign")
    assert cloud.server(one)["public_net"]["ipv4"] is None
    assert cloud.refused("POST", f"{path}/unassign") == (422, "primary_ip_not_assigned")
    cloud.do(f"{path}/assign", body)
    assert cloud.server(two)["public_net"]["ipv4"]["ip"] == text
    cloud.do(f"/servers/{two}/actions/poweron")
    assert cloud.host.address(next(name for name in cloud.host.machines if name.endswith("two"))) == text
    assert cloud.refused("POST", f"{path}/unassign") == (422, "server_not_stopped")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"location": None}, (422, "invalid_input")),
        ({"location": "none"}, (422, "invalid_input")),
        ({"type": "ipv5"}, (422, "invalid_input")),
        ({"assignee_type": "load_balancer"}, (422, "invalid_input")),
        ({"assignee_id": 1}, (422, "invalid_input")),
    ],
)
def test_no_address(cloud: Cloud, change: dict[str, Any], expected: tuple[int, str]) -> None:
    body = {key: value for key, value in {**NEW["primary_ips"], **change}.items() if value is not None}
    assert cloud.refused("POST", "/primary_ips", body) == expected


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        ({"location": "hel1"}, (422, "primary_ip_location_mismatch")),
        ({"kind": "ipv6"}, (422, "primary_ip_version_mismatch")),
    ],
)
def test_an_address_that_does_not_fit(cloud: Cloud, make: dict[str, str], expected: tuple[int, str]) -> None:
    body = {"name": "one", "server_type": "cx23", "image": "debian-13", "location": "fsn1"}
    address = cloud.make_address(**make)
    assert cloud.refused("POST", "/servers", {**body, "public_net": {"ipv4": address}}) == expected
    assert cloud.ids("/primary_ips") == [address]


def test_an_address_of_a_server_is_for_no_other(cloud: Cloud) -> None:
    address = cloud.make_address()
    cloud.make_server("one", public_net={"ipv4": address})
    body = {"name": "two", "server_type": "cx23", "image": "debian-13", "public_net": {"ipv4": address}}
    assert cloud.refused("POST", "/servers", body) == (422, "primary_ip_assigned")
    assert cloud.ids(f"/primary_ips?ip={cloud.get(f'/primary_ips/{address}')['primary_ip']['ip']}") == [address]


def test_an_address_that_goes_with_its_server(cloud: Cloud) -> None:
    address = cloud.make_address()
    assert cloud.put(f"/primary_ips/{address}", {"auto_delete": True})["primary_ip"]["auto_delete"] is True
    server = cloud.make_server(public_net={"ipv4": address})
    cloud.wait(cloud.delete(f"/servers/{server}")["action"])
    assert cloud.ids("/primary_ips") == []


# --- placement groups
def test_servers_of_a_group(cloud: Cloud) -> None:
    group, server = cloud.make_group(), cloud.make_stopped()
    cloud.do(f"/servers/{server}/actions/add_to_placement_group", {"placement_group": group})
    assert cloud.get(f"/placement_groups/{group}")["placement_group"]["servers"] == [server]
    assert cloud.refused("DELETE", f"/placement_groups/{group}") == (422, "resource_in_use")
    cloud.do(f"/servers/{server}/actions/remove_from_placement_group")
    assert cloud.server(server)["placement_group"] is None
    cloud.delete(f"/placement_groups/{group}")


# --- the offer
def test_the_offer(cloud: Cloud) -> None:
    assert [one["name"] for one in cloud.get("/server_types?name=cx23")["server_types"]] == ["cx23"]
    retired = cloud.get("/server_types?name=cx22")["server_types"][0]
    assert retired["deprecated"] and not any(place["available"] for place in retired["locations"])
    names = {one["name"] for one in cloud.get("/images?per_page=50")["images"]}
    everything = {one["name"] for one in cloud.get("/images?include_deprecated=true&per_page=50")["images"]}
    assert everything - names == {"ubuntu-20.04"}
    arm = cloud.get("/images?architecture=arm&name=debian-13")["images"]
    assert [(one["name"], one["architecture"]) for one in arm] == [("debian-13", "arm")]
    assert cloud.get("/images?type=snapshot")["images"] == []
    assert cloud.get("/locations?name=nbg1")["locations"][0]["network_zone"] == "eu-central"
    priced = {one["name"] for one in cloud.get("/pricing")["pricing"]["server_types"]}
    assert priced == {one["name"] for one in cloud.get("/server_types")["server_types"]}
