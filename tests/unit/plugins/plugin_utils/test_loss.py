"""What destroying a server would lose, from what the server says or from what is remembered."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.livchat.setup.plugins.plugin_utils._applications import applications
from ansible_collections.livchat.setup.plugins.plugin_utils._loss import LossReport

PROD = {
    "name": "prod",
    "provider": "hetzner",
    "ip_address": "203.0.113.7",
    "metadata": {"server_type": "cx23", "location": "nbg1", "domain": "prod.example.com"},
}


def service(stack: str, name: str, app: str = "", **labels: str) -> dict[str, Any]:
    own = {"livchat.app": app, "livchat.version": "1.0"} if app else {}
    more = {f"livchat.{key}": value for key, value in labels.items() if key != "host"}
    rule = {"traefik.http.routers.x.rule": f"Host(`{labels['host']}`)"} if "host" in labels else {}
    return {
        "name": f"{stack}_{name}",
        "stack": stack,
        "replicas": 1,
        "running": 1,
        "labels": {**own, **more, **rule},
    }


FACTS = {
    "docker": {"installed": True},
    "services": [
        service("postgres", "postgres", "postgres"),
        service("redis", "redis", "redis"),
        service("n8n-b", "editor", "n8n", dependencies="postgres,redis", host="n8n-b.prod.example.com"),
        service("n8n-b", "worker", "n8n", dependencies="postgres,redis"),
        service("shop", "web"),
    ],
    "volumes": ["postgres_data", "redis_data", "n8n-b_data", "shop_files", "n8n-b-old_data"],
}


def test_the_applications_that_services_tell_of() -> None:
    found = {one["instance"]: one for one in applications(FACTS)}
    assert set(found) == {"postgres", "redis", "n8n-b"}
    assert found["n8n-b"] == {
        "instance": "n8n-b",
        "app": "n8n",
        "version": "1.0",
        "services": 2,
        "running": 2,
        "wanted": 2,
        "volumes": ["n8n-b_data"],
        "domains": ["n8n-b.prod.example.com"],
        "dependencies": ["postgres", "redis"],
    }
    assert applications({}) == []


def loss(server: dict[str, Any], facts: dict[str, Any], remembered: dict[str, Any] | None = None) -> dict[str, Any]:
    report = LossReport(server, facts, remembered or {}, {"postgres", "redis", "mysql"})
    return report.loss(["n8n-b.prod.example.com", "n8n-b.prod.example.com"])


def test_what_the_server_says_is_lost() -> None:
    told = loss(PROD, FACTS)
    assert (told["removed"], told["reachable"], told["domain"]) == (True, True, "prod.example.com")
    assert told["strangers"] == {"services": ["shop_web"], "volumes": ["shop_files", "n8n-b-old_data"][::-1]}
    assert told["dns_records"] == ["n8n-b.prod.example.com"]
    assert told["summary"] == [
        "prod (cx23, nbg1, 203.0.113.7) is deleted with its disk: all data on it is lost for good",
        "n8n-b (n8n) 1.0: volume n8n-b_data; its data in postgres, redis; n8n-b.prod.example.com",
        "postgres 1.0: volume postgres_data",
        "redis 1.0: volume redis_data",
        "also on it, and of no application here: services shop_web",
        "also on it, and of no application here: volumes n8n-b-old_data, shop_files",
        "DNS records that are removed: n8n-b.prod.example.com",
        "removed too: its SSH key, its rules in the firewall, and the passwords in the vault",
    ]


def test_of_a_server_that_does_not_answer_what_is_remembered_is_lost() -> None:
    remembered = {
        "postgres": {"name": "postgres", "version": "17", "volumes": ["postgres_data"], "dependencies": []},
        "n8n-b": {"name": "n8n", "version": "1", "domain": "n8n-b.x", "volumes": [], "dependencies": ["postgres"]},
    }
    told = loss(PROD, {}, remembered)
    assert told["reachable"] is False
    assert told["summary"][1] == "it does not answer: what follows is what is remembered, and there may be more on it"
    assert told["summary"][2:4] == [
        "n8n-b (n8n) 1: its data in postgres; n8n-b.x",
        "postgres 17: volume postgres_data",
    ]


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ({**PROD, "provider": "adopted"}, "only forgotten"),
        ({"name": "prod"}, "nothing is known of a server prod"),
    ],
)
def test_a_machine_that_stays(server: dict[str, Any], said: str) -> None:
    told = loss(server, FACTS if len(server) > 1 else {})
    assert told["removed"] is False and said in told["summary"][0]
    assert not any("firewall" in line for line in told["summary"]) or server == {"name": "prod"}
