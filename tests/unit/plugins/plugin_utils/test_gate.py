"""The gate before an application that is not configured yet."""

from __future__ import annotations

from typing import Any

from ansible_collections.livchat.setup.plugins.plugin_utils import _gate

from .test_plan import Server

RULE = "traefik.http.routers.n8n_editor.rule"


def secret(path: str) -> str:
    return f"value of {path}"


def rule(entry: dict[str, Any]) -> str:
    compose = _gate.closed(entry, secret)
    return str(compose["services"]["editor"]["deploy"]["labels"][RULE])


def test_a_new_application_that_needs_configuring_begins_closed_and_no_other() -> None:
    _, entries = Server().plan("n8n")
    assert {name: entry["closed"] for name, entry in entries.items()} == {
        "n8n": True,
        "postgres": False,
        "redis": False,
    }
    assert _gate.headers(entries["postgres"], secret) == {}


def test_every_router_wants_the_key_that_our_requests_bring() -> None:
    _, entries = Server().plan("n8n")
    entry = entries["n8n"]
    (key,) = _gate.headers(entry, secret).values()
    bringing = f" && Header(`X-Livchat-Setup`, `{key}`)"
    compose = _gate.closed(entry, secret)
    rules = [
        value
        for service in compose["services"].values()
        for name, value in service["deploy"]["labels"].items()
        if name.endswith(".rule")
    ]
    assert len(rules) == 2 and all(one.startswith("(Host(`") and one.endswith(bringing) for one in rules)
    # The plan's own stays what will be in the end.
    assert "Header" not in entry["compose"]["services"]["editor"]["deploy"]["labels"][RULE]


def test_the_key_is_of_one_deployment_and_instance_and_tells_no_secret() -> None:
    server = Server()
    rules = {
        rule(server.plan("n8n", deployment="d1")[1]["n8n"]),
        rule(server.plan("n8n", deployment="d2")[1]["n8n"]),
    }
    other = _gate.headers(server.plan("n8n:other")[1]["n8n-other"], secret)
    assert len(rules) == 2 and not any("value of" in one for one in rules)
    assert not set(other.values()) & {one.rpartition("`, `")[2].rstrip("`)") for one in rules}


def test_one_that_is_open_stays_open_and_one_whose_run_was_killed_is_closed_until_it_is_finished() -> None:
    server = Server()
    server.carry_out("n8n")
    _, entries = server.plan("n8n", n8n={"timezone": "America/Sao_Paulo"})
    assert (entries["n8n"]["action"], entries["n8n"]["closed"]) == ("update", False)
    for service in server.facts["services"]:
        if service["stack"] == "n8n":
            service["labels"] = {
                **service["labels"],
                "livchat.definition": "of the closed one",
                RULE: rule(entries["n8n"]),
            }
    _, entries = server.plan("n8n")
    assert (entries["n8n"]["action"], entries["n8n"]["closed"]) == ("update", True)
