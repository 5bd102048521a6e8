"""Asking DNS servers, against the lab's own on a port of its own."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from ansible_collections.livchat.setup.plugins.module_utils._errors import LivchatError
from ansible_collections.livchat.setup.plugins.plugin_utils._dns import Resolver, facts, promised

from tests.lab.cloudflare.loopback import CloudflareLab

RECORDS: list[dict[str, Any]] = [
    {"name": "a.lab.test", "type": "A", "content": "192.0.2.1"},
    {"name": "b.lab.test", "type": "AAAA", "content": "2001:db8::1"},
    {"name": "c.lab.test", "type": "CNAME", "content": "a.lab.test"},
    {"name": "d.lab.test", "type": "MX", "content": "mail.lab.test", "priority": 10},
    {"name": "e.lab.test", "type": "CAA", "content": '0 issue "letsencrypt.org"'},
    {"name": "f.lab.test", "type": "TXT", "content": 'plain "quoted" \\ text'},
    {"name": "g.lab.test", "type": "TXT", "content": '"one piece" " and another"'},
    {"name": "h.lab.test", "type": "TXT", "content": "long " * 100},
    {"name": "i.lab.test", "type": "TXT", "content": '"esc\\"aped \\\\ and \\226\\130\\172"'},
    {"name": "j.lab.test", "type": "TXT", "content": "não"},
]


def resolver(lab: CloudflareLab) -> Resolver:
    return Resolver([f"127.0.0.1:{lab.dns.port}"], 2)


def put(lab: CloudflareLab, **record: Any) -> dict[str, Any]:
    data = None
    if record["type"] == "CAA":
        flags, tag, value = record["content"].split(" ", 2)
        data = {"flags": int(flags), "tag": tag, "value": value.strip('"')}
    body = {"ttl": 1, **record, **({"data": data} if data else {})}
    status, answer = lab.request("POST", f"/client/v4/zones/{lab.zone_id}/dns_records", body)
    assert status == 200, answer
    made: dict[str, Any] = answer["result"]
    return made


@pytest.mark.parametrize("record", RECORDS, ids=lambda one: one["name"][0] + "-" + one["type"])
def test_an_answer_says_the_same_as_the_record(lab: CloudflareLab, record: dict[str, Any]) -> None:
    made = put(lab, **record)
    asked = resolver(lab)
    assert facts(asked.records(record["name"], record["type"])) == {promised(made)}
    assert facts(asked.records(record["name"], record["type"])) != {promised({**made, **other(made)})}


def other(record: dict[str, Any]) -> dict[str, Any]:
    """A field in which another record differs from this one."""
    values = {"A": "192.0.2.9", "AAAA": "2001:db8::9", "CAA": '0 issue "other.org"', "TXT": "other"}
    return {"priority": 20} if record["type"] == "MX" else {"content": values.get(record["type"], "other.lab.test")}


def test_aliases_are_followed_to_addresses(lab: CloudflareLab) -> None:
    for record in RECORDS[:3]:
        put(lab, **record)
    assert resolver(lab).addresses("c.lab.test") == ["192.0.2.1"]


def test_a_name_that_is_not_there_and_one_without_the_type_have_nothing(lab: CloudflareLab) -> None:
    put(lab, **RECORDS[0])
    asked = resolver(lab)
    assert asked.records("none.lab.test", "A") == asked.records("a.lab.test", "MX") == []
    assert asked.addresses("none.lab.test") == []


def test_a_server_that_gives_up_says_so(lab: CloudflareLab) -> None:
    for one, two in (("x", "y"), ("y", "x")):
        put(lab, name=f"{one}.lab.test", type="CNAME", content=f"{two}.lab.test")
    with pytest.raises(LivchatError) as caught:
        resolver(lab).records("x.lab.test", "A")
    assert caught.value.code == "DNS_LOOKUP_FAILED" and "SERVFAIL" in caught.value.details["answers"]
    assert resolver(lab).addresses("x.lab.test") == []


def test_a_server_that_is_not_there_is_named() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        server = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(LivchatError) as caught:
            Resolver([server], 0.2).records("a.lab.test", "A")
    assert caught.value.code == "DNS_RESOLVER_UNREACHABLE" and server in caught.value.message


@pytest.mark.parametrize("server", ["dns.example.com", "192.0.2.1:dns", "192.0.2.1.1", "[2001:db8::1]:", ""])
def test_what_is_no_address_is_refused(server: str) -> None:
    with pytest.raises(LivchatError) as caught:
        Resolver([server]).records("a.lab.test", "A")
    assert caught.value.code == "SETTING_INVALID" and repr(server) in caught.value.message


def test_a_record_that_cannot_be_read_is_named() -> None:
    with pytest.raises(LivchatError, match=r"a\.lab\.test A nonsense"):
        promised({"name": "a.lab.test", "type": "A", "content": "nonsense"})
