"""Servers: what is made of a request, what each action does to the machine, and what is refused."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.hetzner.conftest import KEYS, Cloud
from tests.contract.hetzner.description import Description
from tests.lab.hetzner.loopback import WAIT_SECONDS, HetznerLab

BODY = {"name": "one", "server_type": "cx23", "image": "debian-13", "location": "nbg1"}
PROTECTED = {"delete": True, "rebuild": True}


def becomes(what: Callable[[], Any], expected: Any) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while (found := what()) != expected:
        assert time.monotonic() < end, f"{found}, never {expected}"
        time.sleep(0.01)


def test_create_hands_everything_to_the_machine(cloud: Cloud) -> None:
    key, wall, net, group = cloud.make_key(), cloud.make_firewall(), cloud.make_network(), cloud.make_group()
    made = cloud.post(
        "/servers",
        {
            **BODY,
            "ssh_keys": ["key"],
            "firewalls": [{"firewall": wall}],
            "networks": [net],
            "placement_group": group,
            "labels": {"managed-by": "test", "example.com/empty": ""},
            "user_data": "#cloud-config\n{}\n",
        },
    )
    server = made["server"]
    assert (server["status"], server["locked"]) == ("initializing", True)
    assert made["root_password"] is None
    commands = [action["command"] for action in (made["action"], *made["next_actions"])]
    assert commands == ["create_server", "attach_to_network", "start_server"]
    for action in (made["action"], *made["next_actions"]):
        assert cloud.wait(action)["status"] == "success"
    server = cloud.server(server["id"])
    assert (server["status"], server["locked"]) == ("running", False)
    assert server["location"]["name"] == "nbg1"
    assert server["labels"] == {"managed-by": "test", "example.com/empty": ""}
    assert server["public_net"]["firewalls"] == [{"id": wall, "status": "applied"}]
    assert [one["network"] for one in server["private_net"]] == [net]
    assert server["placement_group"]["id"] == group
    (machine,) = cloud.host.machines.values()
    assert machine.public_keys == (KEYS[0],)
    assert (machine.hostname, machine.release, machine.user_data) == ("one", "debian-13", "#cloud-config\n{}\n")
    assert machine.address == server["public_net"]["ipv4"]["ip"]
    assert machine.root_password is None
    assert cloud.get(f"/ssh_keys/{key}")["ssh_key"]["public_key"] == KEYS[0]


def test_without_a_key_there_is_a_password(cloud: Cloud) -> None:
    made = cloud.post("/servers", BODY)
    cloud.wait(made["next_actions"][-1])
    (machine,) = cloud.host.machines.values()
    assert machine.root_password == made["root_password"] != ""


def test_a_server_that_is_not_started(cloud: Cloud) -> None:
    made = cloud.post("/servers", {**BODY, "start_after_create": False})
    assert made["next_actions"] == []
    cloud.wait(made["action"])
    assert cloud.server(made["server"]["id"])["status"] == "off"
    assert not cloud.host.running


def test_names_and_ids_name_the_same(cloud: Cloud) -> None:
    key = cloud.make_key()
    offer = cloud.get("/server_types?name=cx23")["server_types"][0], cloud.get("/images?name=debian-13")["images"][0]
    made = cloud.make_server(server_type=offer[0]["id"], image=offer[1]["id"], location=3, ssh_keys=[key])
    server = cloud.server(made)
    assert (server["server_type"]["name"], server["location"]["name"]) == ("cx23", "hel1")
    other = cloud.make_server("two", server_type=str(offer[0]["id"]), image=str(offer[1]["id"]), ssh_keys=[str(key)])
    assert cloud.server(other)["server_type"]["name"] == "cx23"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": None}, (422, "invalid_input")),
        ({"name": "no_host_name"}, (422, "invalid_input")),
        ({"name": "x" * 64}, (422, "invalid_input")),
        ({"name": 5}, (422, "invalid_input")),
        ({"server_type": "none"}, (422, "invalid_input")),
        ({"server_type": "cx22"}, (422, "invalid_input")),
        ({"location": "none"}, (422, "invalid_input")),
        ({"location": "ash"}, (422, "invalid_input")),
        ({"image": "none"}, (422, "invalid_input")),
        ({"image": "ubuntu-20.04"}, (422, "unsupported_error")),
        ({"ssh_keys": ["none"]}, (422, "invalid_input")),
        ({"ssh_keys": "key"}, (422, "invalid_input")),
        ({"firewalls": [{"firewall": 1}]}, (404, "not_found")),
        ({"firewalls": [1]}, (422, "invalid_input")),
        ({"networks": [1]}, (404, "not_found")),
        ({"placement_group": 1}, (404, "not_found")),
        ({"public_net": {"ipv4": 1}}, (404, "not_found")),
        ({"volumes": [1]}, (422, "invalid_input")),
        ({"labels": {"-bad": ""}}, (422, "invalid_input")),
        ({"labels": {"key": "not allowed"}}, (422, "invalid_input")),
        ({"labels": {"key": 1}}, (422, "invalid_input")),
        ({"user_data": "x" * (32 * 1024 + 1)}, (422, "invalid_input")),
        ({"start_after_create": "yes"}, (422, "invalid_input")),
    ],
    ids=str,
)
def test_a_refused_create_leaves_nothing(cloud: Cloud, change: dict[str, Any], expected: tuple[int, str]) -> None:
    body = {key: value for key, value in {**BODY, **change}.items() if value is not None}
    answer = cloud.ask("POST", "/servers", body)
    assert (answer.status, answer.body["error"]["code"]) == expected
    if expected == (422, "invalid_input"):
        assert answer.body["error"]["details"]["fields"][0]["name"].split(".")[0] == next(iter(change))
    assert (cloud.ids("/servers"), cloud.ids("/primary_ips")) == ([], [])
    assert not cloud.host.machines


def test_names_are_unique(cloud: Cloud) -> None:
    one, two = cloud.make_server("one"), cloud.make_server("two")
    assert cloud.refused("POST", "/servers", BODY) == (409, "uniqueness_error")
    assert cloud.refused("PUT", f"/servers/{two}", {"name": "one"}) == (409, "uniqueness_error")
    assert cloud.put(f"/servers/{one}", {"name": "one"})["server"]["name"] == "one"
    assert cloud.put(f"/servers/{one}", {"name": "three"})["server"]["name"] == "three"
    # The machine keeps the name it was made with, and the next server of that name gets another.
    cloud.make_server("one")
    assert len(cloud.host.machines) == 3


def test_while_it_is_made(cloud: Cloud) -> None:
    with cloud.host.hold:
        made = cloud.post("/servers", BODY)
        path = f"/servers/{made['server']['id']}"
        assert cloud.get(path)["server"]["status"] == "initializing"
        assert cloud.get(f"/actions/{made['action']['id']}")["action"]["status"] == "running"
        assert cloud.refused("POST", f"{path}/actions/poweroff") == (423, "locked")
        assert cloud.refused("DELETE", path) == (423, "locked")
        assert cloud.refused("POST", "/servers", BODY) == (409, "uniqueness_error")
    for action in (made["action"], *made["next_actions"]):
        assert cloud.wait(action)["finished"] is not None
    assert cloud.do(f"{path}/actions/poweroff")["progress"] == 100


def test_delete_takes_the_machine_and_what_came_with_it(cloud: Cloud) -> None:
    kept, wall, net = cloud.make_address(), cloud.make_firewall(), cloud.make_network()
    number = cloud.make_server(public_net={"ipv4": kept}, firewalls=[{"firewall": wall}], networks=[net])
    assert len(cloud.ids("/primary_ips")) == 2
    action = cloud.wait(cloud.delete(f"/servers/{number}")["action"])
    assert (action["command"], action["status"]) == ("delete_server", "success")
    assert cloud.refused("GET", f"/servers/{number}") == (404, "not_found")
    assert not cloud.host.machines
    assert cloud.ids("/primary_ips") == [kept]
    assert cloud.get(f"/primary_ips/{kept}")["primary_ip"]["assignee_id"] is None
    assert cloud.get(f"/firewalls/{wall}")["firewall"]["applied_to"] == []
    assert cloud.get(f"/networks/{net}")["network"]["servers"] == []
    assert cloud.refused("DELETE", f"/servers/{number}") == (404, "not_found")


@pytest.mark.parametrize(
    ("command", "named", "status"),
    [
        ("poweroff", "stop_server", "off"),
        ("shutdown", "shutdown_server", "off"),
        ("reboot", "reboot_server", "running"),
        ("reset", "reset_server", "running"),
        ("poweron", "start_server", "running"),
    ],
)
def test_power(cloud: Cloud, command: str, named: str, status: str) -> None:
    number = cloud.make_server()
    address = cloud.server(number)["public_net"]["ipv4"]["ip"]
    action = cloud.do(f"/servers/{number}/actions/{command}")
    assert action["command"] == named
    assert action["resources"] == [{"id": number, "type": "server"}]
    becomes(lambda: cloud.server(number)["status"], status)
    (name,) = cloud.host.machines
    assert cloud.host.runs(name) == (status == "running")
    if status == "running":
        assert cloud.host.address(name) == address


def test_a_machine_that_ends_by_itself(cloud: Cloud) -> None:
    number = cloud.make_server()
    (name,) = cloud.host.machines
    cloud.host.end(name, rebooting=True)
    becomes(lambda: cloud.server(number)["status"], "running")
    assert cloud.host.runs(name)
    cloud.host.end(name)
    becomes(lambda: cloud.server(number)["status"], "off")


def test_rebuild(cloud: Cloud) -> None:
    number = cloud.make_server(user_data="#!/bin/sh\n")
    (before,) = cloud.host.machines.values()
    made = cloud.post(f"/servers/{number}/actions/rebuild", {"image": "debian-13"})
    assert cloud.wait(made["action"])["status"] == "success"
    (after,) = cloud.host.machines.values()
    assert after.root_password == made["root_password"] != before.root_password
    assert after.instance_id != before.instance_id, "cloud-init would not run again"
    assert (after.name, after.address, after.user_data) == (before.name, before.address, before.user_data)
    cloud.do(f"/servers/{number}/actions/rebuild", {"image": "debian-13", "user_data": "#!/bin/bash\n"})
    (again,) = cloud.host.machines.values()
    assert again.user_data == "#!/bin/bash\n"
    assert cloud.server(number)["status"] == "running"
    path = f"/servers/{number}/actions/rebuild"
    assert cloud.refused("POST", path, {"image": "none"}) == (422, "invalid_input")
    assert cloud.refused("POST", path, {}) == (422, "invalid_input")


def test_a_rebuilt_server_with_a_key_has_no_password(cloud: Cloud) -> None:
    cloud.make_key()
    number = cloud.make_server(ssh_keys=["key"])
    made = cloud.post(f"/servers/{number}/actions/rebuild", {"image": "debian-13"})
    assert made["root_password"] is None
    cloud.wait(made["action"])
    (machine,) = cloud.host.machines.values()
    assert machine.public_keys == (KEYS[0],)


def test_protection(cloud: Cloud) -> None:
    number = cloud.make_server()
    path = f"/servers/{number}"
    assert cloud.refused("POST", f"{path}/actions/change_protection", {"delete": True}) == (422, "invalid_input")
    cloud.do(f"{path}/actions/change_protection", PROTECTED)
    assert cloud.server(number)["protection"] == PROTECTED
    assert cloud.refused("DELETE", path) == (423, "protected")
    assert cloud.refused("POST", f"{path}/actions/rebuild", {"image": "debian-13"}) == (423, "protected")
    cloud.do(f"{path}/actions/change_protection", {"delete": False, "rebuild": False})
    cloud.wait(cloud.delete(path)["action"])
    assert not cloud.host.machines


def test_change_type(cloud: Cloud) -> None:
    number = cloud.make_server()
    path = f"/servers/{number}/actions/change_type"
    larger = {"server_type": "cx33", "upgrade_disk": False}
    assert cloud.refused("POST", path, larger) == (422, "server_not_stopped")
    cloud.do(f"/servers/{number}/actions/poweroff")
    assert cloud.refused("POST", path, {"server_type": "cx33"}) == (422, "invalid_input")
    assert cloud.refused("POST", path, {**larger, "server_type": "cax11"}) == (422, "invalid_server_type")
    assert cloud.refused("POST", path, {**larger, "server_type": "cx23"}) == (422, "invalid_server_type")
    cloud.do(path, larger)
    server = cloud.server(number)
    assert (server["server_type"]["name"], server["primary_disk_size"], server["status"]) == ("cx33", 40, "off")
    # Without a larger disk the way back stays open.
    cloud.do(path, {"server_type": "cx23", "upgrade_disk": False})
    cloud.do(path, {"server_type": "cx33", "upgrade_disk": True})
    assert cloud.server(number)["primary_disk_size"] == 80
    assert cloud.refused("POST", path, {"server_type": "cx23", "upgrade_disk": False}) == (422, "invalid_server_type")


def test_rescue(cloud: Cloud) -> None:
    number, key = cloud.make_server(), cloud.make_key()
    path = f"/servers/{number}/actions"
    made = cloud.post(f"{path}/enable_rescue", {"type": "linux64", "ssh_keys": [key]})
    assert made["root_password"]
    cloud.wait(made["action"])
    assert cloud.server(number)["rescue_enabled"] is True
    assert cloud.refused("POST", f"{path}/enable_rescue", {"type": "freebsd64"}) == (422, "invalid_input")
    cloud.do(f"{path}/disable_rescue")
    assert cloud.server(number)["rescue_enabled"] is False
    assert cloud.refused("POST", f"{path}/enable_rescue", {"ssh_keys": [1]}) == (404, "not_found")


def test_backups_are_only_noted(cloud: Cloud) -> None:
    number = cloud.make_server()
    cloud.do(f"/servers/{number}/actions/enable_backup")
    assert cloud.server(number)["backup_window"] == "22-02"
    cloud.do(f"/servers/{number}/actions/disable_backup")
    assert cloud.server(number)["backup_window"] is None


def test_reset_password(cloud: Cloud) -> None:
    number = cloud.make_server()
    made = cloud.post(f"/servers/{number}/actions/reset_password")
    cloud.wait(made["action"])
    assert list(cloud.host.passwords.values()) == [made["root_password"]]
    cloud.do(f"/servers/{number}/actions/poweroff")
    assert cloud.refused("POST", f"/servers/{number}/actions/reset_password") == (422, "server_not_running")


def test_networks_of_a_server(cloud: Cloud) -> None:
    number, net = cloud.make_server(), cloud.make_network()
    path = f"/servers/{number}/actions"
    cloud.do(f"{path}/attach_to_network", {"network": net, "ip": "10.0.1.5", "alias_ips": ["10.0.1.6"]})
    (entry,) = cloud.server(number)["private_net"]
    assert (entry["network"], entry["ip"], entry["alias_ips"]) == (net, "10.0.1.5", ["10.0.1.6"])
    assert cloud.get(f"/networks/{net}")["network"]["servers"] == [number]
    again = {"network": net, "ip": "10.0.1.9"}
    assert cloud.refused("POST", f"{path}/attach_to_network", again) == (422, "server_already_attached")
    cloud.do(f"{path}/change_alias_ips", {"network": net, "alias_ips": ["10.0.1.6", "10.0.1.7"]})
    assert cloud.server(number)["private_net"][0]["alias_ips"] == ["10.0.1.6", "10.0.1.7"]
    other = cloud.make_server("two")
    for taken in ("10.0.1.5", "10.0.1.7", "10.0.2.1", "10.0.0.1"):
        body = {"network": net, "ip": taken}
        assert cloud.refused("POST", f"/servers/{other}/actions/attach_to_network", body) == (422, "ip_not_available")
    cloud.do(f"/servers/{other}/actions/attach_to_network", {"network": net})
    assert cloud.server(other)["private_net"][0]["ip"] not in ("10.0.1.5", "10.0.1.6", "10.0.1.7")
    busy = cloud.refused("POST", f"/networks/{net}/actions/delete_subnet", {"ip_range": "10.0.1.0/24"})
    assert busy == (422, "resource_in_use")
    cloud.do(f"{path}/detach_from_network", {"network": net})
    assert cloud.server(number)["private_net"] == []
    assert cloud.refused("POST", f"{path}/detach_from_network", {"network": net}) == (422, "invalid_input")


def test_reverse_dns(cloud: Cloud) -> None:
    number = cloud.make_server()
    address = cloud.server(number)["public_net"]["ipv4"]["ip"]
    default = cloud.server(number)["public_net"]["ipv4"]["dns_ptr"]
    path = f"/servers/{number}/actions/change_dns_ptr"
    cloud.do(path, {"ip": address, "dns_ptr": "host.example.com"})
    assert cloud.server(number)["public_net"]["ipv4"]["dns_ptr"] == "host.example.com"
    cloud.do(path, {"ip": address, "dns_ptr": None})
    assert cloud.server(number)["public_net"]["ipv4"]["dns_ptr"] == default
    within = cloud.server(number)["public_net"]["ipv6"]["ip"].replace("::/64", "::5")
    cloud.do(path, {"ip": within, "dns_ptr": "six.example.com"})
    assert cloud.server(number)["public_net"]["ipv6"]["dns_ptr"] == [{"ip": within, "dns_ptr": "six.example.com"}]
    assert cloud.refused("POST", path, {"ip": "192.0.2.1", "dns_ptr": None}) == (422, "invalid_input")


def test_metrics(cloud: Cloud) -> None:
    path = f"/servers/{cloud.make_server()}/metrics"
    time_range = "start=2026-01-01T00:00:00Z&end=2026-01-01T01:00:00Z"
    found = cloud.get(f"{path}?type=cpu,disk&type=network&{time_range}&step=120")["metrics"]
    assert found["step"] == 120
    assert {"cpu", "disk.0.iops.read", "network.0.pps.in"} <= set(found["time_series"])
    for query in (
        f"type=memory&{time_range}",
        time_range,
        "type=cpu&start=today&end=2026-01-01T01:00:00Z",
        f"type=cpu&{time_range}&step=0",
        "type=cpu",
    ):
        assert cloud.refused("GET", f"{path}?{query}") == (422, "invalid_input"), query


def test_a_restart_of_the_api_forgets_nothing(
    cloud: Cloud, serve: Callable[..., HetznerLab], description: Description
) -> None:
    one, two = cloud.make_server("one"), cloud.make_server("two")
    with cloud.host.hold:
        made = cloud.post("/servers", {**BODY, "name": "three"})
        cloud.host.shut_down(next(name for name in cloud.host.machines if name.endswith("two")))
        restarted = Cloud(serve(host=cloud.host), description)
        assert [one["name"] for one in restarted.get("/servers")["servers"]] == ["one", "two", "three"]
        assert [restarted.server(number)["status"] for number in (one, two)] == ["running", "off"]
        interrupted = restarted.get(f"/actions/{made['action']['id']}")["action"]
        assert (interrupted["status"], interrupted["error"]["code"]) == ("error", "action_failed")
        assert restarted.server(made["server"]["id"])["locked"] is False
        number = restarted.make_key()
    assert number > made["next_actions"][-1]["id"], "an id was given twice"


def test_user_data_reaches_the_machine_as_it_was_given(cloud: Cloud) -> None:
    text = base64.b64encode(bytes(range(256))).decode() + "\n\u00fc\n"
    cloud.make_server(user_data=text)
    (machine,) = cloud.host.machines.values()
    assert machine.user_data == text
