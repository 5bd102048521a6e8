"""Each operation of the lab's API once as it should be, and with everything that can be wrong about any request."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytest

from tests.contract.hetzner.conftest import KEYS, RULE, Cloud
from tests.contract.hetzner.description import Description, offered
from tests.lab.hetzner.access import READ_ONLY, RateLimit
from tests.lab.hetzner.loopback import TOKEN, HetznerLab

_numbers = itertools.count()


class Things:
    """Resources to make requests about, made when they are first named."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.name = f"thing-{next(_numbers)}"

    @cached_property
    def running(self) -> int:
        return self._cloud.make_server(f"{self.name}-running")

    @cached_property
    def stopped(self) -> int:
        return self._cloud.make_stopped(f"{self.name}-stopped")

    @cached_property
    def bare(self) -> int:
        """A stopped server without public addresses."""
        none = {"enable_ipv4": False, "enable_ipv6": False}
        return self._cloud.make_stopped(f"{self.name}-bare", public_net=none)

    @cached_property
    def attached(self) -> int:
        """A server in the network."""
        return self._cloud.make_server(f"{self.name}-attached", networks=[self.network])

    @cached_property
    def rescued(self) -> int:
        self._cloud.do(f"/servers/{self.running}/actions/enable_rescue")
        return self.running

    @cached_property
    def ipv4(self) -> str:
        return str(self._cloud.server(self.running)["public_net"]["ipv4"]["ip"])

    @cached_property
    def key(self) -> int:
        return self._cloud.make_key(self.name)

    @cached_property
    def firewall(self) -> int:
        return self._cloud.make_firewall(self.name)

    @cached_property
    def applied(self) -> int:
        """A firewall of the running server."""
        return self._cloud.make_firewall(f"{self.name}-applied", apply_to=[self.target])

    @property
    def target(self) -> dict[str, Any]:
        return {"type": "server", "server": {"id": self.running}}

    @cached_property
    def network(self) -> int:
        return self._cloud.make_network(self.name)

    @cached_property
    def routed(self) -> int:
        self._cloud.do(f"/networks/{self.network}/actions/add_route", ROUTE)
        return self.network

    @cached_property
    def address(self) -> int:
        return self._cloud.make_address(self.name)

    @property
    def address_text(self) -> str:
        return str(self._cloud.get(f"/primary_ips/{self.address}")["primary_ip"]["ip"])

    @cached_property
    def assigned(self) -> int:
        self._cloud.do(f"/primary_ips/{self.address}/actions/assign", self.assignee)
        return self.address

    @property
    def assignee(self) -> dict[str, Any]:
        return {"assignee_type": "server", "assignee_id": self.bare}

    @cached_property
    def group(self) -> int:
        return self._cloud.make_group(self.name)

    @cached_property
    def grouped(self) -> int:
        return self._cloud.make_stopped(f"{self.name}-grouped", placement_group=self.group)

    def action(self, kind: str) -> int:
        """An action of the thing of that kind."""
        number = {
            "servers": lambda: self.running,
            "firewalls": lambda: self.firewall,
            "networks": lambda: self.routed,
            "primary_ips": lambda: self.assigned,
        }[kind]()
        return self._cloud.ids(f"/{kind}/{number}/actions")[0]


@dataclass(frozen=True)
class Request:
    """What makes an operation succeed: the resource it is about, and its body."""

    about: str = ""
    body: Callable[[Things], Any] = lambda _: None
    query: str = ""
    # What Hetzner sells and the lab does not have.
    refused: tuple[int, str] | None = None


ROUTE = {"destination": "192.168.200.0/24", "gateway": "10.0.1.9"}
RANGE = {"type": "cloud", "network_zone": "eu-central", "ip_range": "10.0.7.0/24"}
LABELS = {"labels": {"role": "test"}}
NOT_HERE = (404, "not_found")
UNSUPPORTED = (422, "unsupported_error")
SERVER_ACTION = "POST /servers/{id}/actions/"
FIREWALL_ACTION = "POST /firewalls/{id}/actions/"
NETWORK_ACTION = "POST /networks/{id}/actions/"
ADDRESS_ACTION = "POST /primary_ips/{id}/actions/"

REQUESTS: dict[str, Request] = {
    "GET /actions": Request(query="id"),
    "GET /actions/{id}": Request("action"),
    "GET /locations": Request(),
    "GET /locations/{id}": Request("location"),
    "GET /server_types": Request(),
    "GET /server_types/{id}": Request("server_type"),
    "GET /images": Request(),
    "GET /images/{id}": Request("image"),
    "GET /pricing": Request(),
    "POST /servers": Request(
        body=lambda it: {"name": it.name, "server_type": "cx23", "image": "debian-13", "ssh_keys": [it.name, it.key]}
    ),
    "GET /servers/{id}/metrics": Request(
        "running", query="type=cpu&type=disk,network&start=2026-01-01T00:00:00Z&end=2026-01-01T01:00:00%2B01:00"
    ),
    SERVER_ACTION + "poweron": Request("stopped"),
    SERVER_ACTION + "poweroff": Request("running"),
    SERVER_ACTION + "shutdown": Request("running"),
    SERVER_ACTION + "reboot": Request("running"),
    SERVER_ACTION + "reset": Request("running"),
    SERVER_ACTION + "reset_password": Request("running"),
    SERVER_ACTION + "rebuild": Request("running", lambda _: {"image": "debian-13"}),
    SERVER_ACTION + "change_type": Request("stopped", lambda _: {"server_type": "cx33", "upgrade_disk": True}),
    SERVER_ACTION + "enable_rescue": Request("running", lambda it: {"type": "linux64", "ssh_keys": [it.key]}),
    SERVER_ACTION + "disable_rescue": Request("rescued"),
    SERVER_ACTION + "enable_backup": Request("running"),
    SERVER_ACTION + "disable_backup": Request("running"),
    SERVER_ACTION + "change_protection": Request("running", lambda _: {"delete": True, "rebuild": True}),
    SERVER_ACTION + "change_dns_ptr": Request("running", lambda it: {"ip": it.ipv4, "dns_ptr": "a.example.com"}),
    SERVER_ACTION + "attach_to_network": Request("running", lambda it: {"network": it.network, "ip": "10.0.1.9"}),
    SERVER_ACTION + "detach_from_network": Request("attached", lambda it: {"network": it.network}),
    SERVER_ACTION + "change_alias_ips": Request(
        "attached", lambda it: {"network": it.network, "alias_ips": ["10.0.1.77"]}
    ),
    SERVER_ACTION + "add_to_placement_group": Request("stopped", lambda it: {"placement_group": it.group}),
    SERVER_ACTION + "remove_from_placement_group": Request("grouped"),
    SERVER_ACTION + "attach_iso": Request("running", lambda _: {"iso": "debian"}, refused=(422, "invalid_input")),
    SERVER_ACTION + "detach_iso": Request("running"),
    SERVER_ACTION + "create_image": Request("running", refused=UNSUPPORTED),
    SERVER_ACTION + "request_console": Request("running", refused=UNSUPPORTED),
    "POST /ssh_keys": Request(body=lambda it: {"name": it.name, "public_key": KEYS[1]}),
    "POST /firewalls": Request(body=lambda it: {"name": it.name, "rules": [RULE], "apply_to": [it.target]}),
    FIREWALL_ACTION + "set_rules": Request("firewall", lambda _: {"rules": [RULE]}),
    FIREWALL_ACTION + "apply_to_resources": Request("firewall", lambda it: {"apply_to": [it.target]}),
    FIREWALL_ACTION + "remove_from_resources": Request("applied", lambda it: {"remove_from": [it.target]}),
    "POST /networks": Request(body=lambda it: {"name": it.name, "ip_range": "10.0.0.0/16"}),
    NETWORK_ACTION + "add_subnet": Request("network", lambda _: RANGE),
    NETWORK_ACTION + "delete_subnet": Request("network", lambda _: {"ip_range": "10.0.1.0/24"}),
    NETWORK_ACTION + "add_route": Request("network", lambda _: ROUTE),
    NETWORK_ACTION + "delete_route": Request("routed", lambda _: ROUTE),
    NETWORK_ACTION + "change_ip_range": Request("network", lambda _: {"ip_range": "10.0.0.0/12"}),
    NETWORK_ACTION + "change_protection": Request("network", lambda _: {"delete": True}),
    "POST /primary_ips": Request(
        body=lambda it: {"name": it.name, "type": "ipv6", "assignee_type": "server", "location": "hel1"}
    ),
    ADDRESS_ACTION + "assign": Request("address", lambda it: it.assignee),
    ADDRESS_ACTION + "unassign": Request("assigned"),
    ADDRESS_ACTION + "change_protection": Request("address", lambda _: {"delete": True}),
    ADDRESS_ACTION + "change_dns_ptr": Request("address", lambda it: {"ip": it.address_text, "dns_ptr": None}),
    "POST /placement_groups": Request(body=lambda it: {"name": it.name, "type": "spread"}),
}
KINDS = {
    "servers": "running",
    "ssh_keys": "key",
    "firewalls": "firewall",
    "networks": "network",
    "primary_ips": "address",
    "placement_groups": "group",
}
for kind, thing in KINDS.items():
    REQUESTS[f"GET /{kind}"] = Request()
    REQUESTS[f"GET /{kind}/{{id}}"] = REQUESTS[f"DELETE /{kind}/{{id}}"] = Request(thing)
    REQUESTS[f"PUT /{kind}/{{id}}"] = Request(thing, lambda _: LABELS)
for kind in ("servers", "firewalls", "networks", "primary_ips"):
    REQUESTS[f"GET /{kind}/actions"] = Request()
    REQUESTS[f"GET /{kind}/actions/{{id}}"] = Request("action")
    REQUESTS[f"GET /{kind}/{{id}}/actions"] = Request(KINDS[kind])
    REQUESTS[f"GET /{kind}/{{id}}/actions/{{action_id}}"] = Request(KINDS[kind])
for kind in ("volumes", "floating_ips", "load_balancers", "certificates", "isos", "load_balancer_types"):
    REQUESTS[f"GET /{kind}"] = Request()
    REQUESTS[f"GET /{kind}/{{id}}"] = Request("none", refused=NOT_HERE)
for kind in ("volumes", "floating_ips", "load_balancers", "certificates"):
    REQUESTS[f"POST /{kind}"] = Request(body=lambda it: {"name": it.name}, refused=UNSUPPORTED)
NUMBERS = {"location": 1, "server_type": 114, "image": 310557660, "none": 1}
every_operation = pytest.mark.parametrize("operation", sorted(REQUESTS))


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory, description: Description) -> Iterator[Cloud]:
    """One for all operations: nothing here looks at what others may have made."""
    state_file = tmp_path_factory.mktemp("operations") / "state.json"
    lab = HetznerLab(state_file, limit=RateLimit(100_000)).start()
    yield Cloud(lab, description)
    lab.stop()


@pytest.fixture
def things(cloud: Cloud) -> Iterator[Things]:
    yield Things(cloud)
    # What must be unique besides names.
    for number in cloud.ids("/ssh_keys"):
        cloud.delete(f"/ssh_keys/{number}")


def addressed(cloud: Cloud, things: Things, operation: str) -> tuple[str, str]:
    method, template = operation.split()
    request = REQUESTS[operation]
    kind = template.split("/")[1]
    path = template
    if "{action_id}" in path or request.about == "action":
        action = things.action("servers" if kind == "actions" else kind)
        path = path.replace("{action_id}", str(action))
        number = action if request.about == "action" else getattr(things, request.about)
    else:
        number = NUMBERS.get(request.about) or getattr(things, request.about, 0)
    path = path.replace("{id}", str(number))
    query = f"id={things.action('servers')}" if request.query == "id" else request.query
    return method, f"{path}?{query}" if query else path


def test_the_table_has_every_operation(cloud: Cloud, description: Description) -> None:
    limited = description.limited_to(cloud.lab.app)["paths"]
    described = {f"{method.upper()} {path}" for path in limited for method in limited[path]}
    assert described == set(REQUESTS)
    assert len(offered(cloud.lab.app)) == len(REQUESTS), "there are routes that Hetzner does not have"


@every_operation
def test_succeeds(cloud: Cloud, things: Things, operation: str) -> None:
    method, path = addressed(cloud, things, operation)
    request = REQUESTS[operation]
    answer = cloud.ask(method, path, request.body(things))
    if request.refused:
        assert (answer.status, answer.body["error"]["code"]) == request.refused
        return
    assert answer.status < 300, answer.body
    for action in (answer.body or {}).get("actions", [(answer.body or {}).get("action")]):
        if action and method != "GET":
            ended = cloud.wait(action)
            assert (ended["status"], ended["error"]) == ("success", None)


@pytest.mark.parametrize("operation", sorted(one for one in REQUESTS if "{id}" in one))
def test_of_what_is_not_there(cloud: Cloud, things: Things, operation: str) -> None:
    method, template = operation.split()
    for number in ("1", "9007199254740991"):
        path = template.replace("{id}", number).replace("{action_id}", number)
        if REQUESTS[operation].about in NUMBERS and number == "1":
            continue
        query = f"?{REQUESTS[operation].query}" if REQUESTS[operation].query else ""
        answer = cloud.ask(method, path + query, REQUESTS[operation].body(things))
        assert (answer.status, answer.body["error"]["code"]) == NOT_HERE
    for no_id in ("x", "-1", "9" * 5000, "%D9%A1"):
        assert cloud.refused(method, template.replace("{id}", no_id).replace("{action_id}", no_id), {}) == NOT_HERE


def anywhere(operation: str) -> tuple[str, str]:
    """Method and path of an operation about resources that need not be there."""
    method, path = operation.replace("{id}", "1").replace("{action_id}", "1").split()
    return method, path


def test_without_a_token_that_is_known(cloud: Cloud) -> None:
    for operation, wrong in itertools.product(REQUESTS, ("", TOKEN[:-1], f"{TOKEN}x", "\u00e9")):
        answer = cloud.ask(*anywhere(operation), token=wrong)
        assert (answer.status, answer.body["error"]["code"]) == (401, "unauthorized"), operation


def test_a_token_that_may_only_read(cloud: Cloud) -> None:
    for operation in REQUESTS:
        answer = cloud.ask(*anywhere(operation), token=TOKEN + READ_ONLY)
        refused = (answer.status, (answer.body.get("error") or {}).get("code")) == (403, "forbidden")
        assert refused == (not operation.startswith("GET")), operation


@pytest.mark.parametrize("operation", sorted(one for one in REQUESTS if one.startswith(("POST", "PUT"))))
def test_bodies_that_cannot_be_read(cloud: Cloud, things: Things, operation: str) -> None:
    if REQUESTS[operation].refused:
        return
    method, path = addressed(cloud, things, operation)
    for text, expected in (
        (b"{", (400, "json_error")),
        (b'{"name": "\xff"}', (400, "json_error")),
        (b"[]", (422, "invalid_input")),
        (b'"text"', (422, "invalid_input")),
    ):
        assert cloud.refused(method, path, text) == expected


@pytest.mark.parametrize("path", sorted({one.split()[1] for one in REQUESTS}))
def test_methods_that_are_not_offered(cloud: Cloud, path: str) -> None:
    _, asked = anywhere(f"GET {path}")
    offered_here = {operation.split()[0] for operation in REQUESTS if operation.endswith(f" {path}")}
    for method in {"GET", "PUT", "POST", "DELETE", "PATCH"} - offered_here:
        assert cloud.refused(method, asked, {}) == (405, "method_not_allowed"), method
