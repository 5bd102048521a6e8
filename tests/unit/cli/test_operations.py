"""The list of operations: complete, typed, and its errors say what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from livchat_cli import reference
from livchat_cli.errors import EXIT_CODES, LivchatError, exit_code
from livchat_cli.operations import OPERATIONS, Effect, get

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_every_operation_says_how_it_is_done(operation: Any) -> None:
    assert (ROOT / "playbooks" / f"{operation.playbook}.yml").is_file()
    assert operation.summary and operation.summary_pt and operation.examples


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_every_parameter_is_described(operation: Any) -> None:
    schema = operation.schema()
    assert all(one.get("description") for one in schema.values())
    assert set(operation.positionals) <= set(schema)
    assert set(operation.mapping) <= set(schema)


def test_what_destroys_wants_the_name_repeated() -> None:
    destroying = [one for one in OPERATIONS if one.effect is Effect.DESTROY]
    assert destroying
    for operation in destroying:
        assert operation.confirm in operation.schema()
        assert "confirm_name" in operation.schema()


def refused(name: str, values: dict[str, Any]) -> LivchatError:
    with pytest.raises(LivchatError) as caught:
        operation = get(name)
        operation.check_confirmed(operation.parse(values))
    return caught.value


@pytest.mark.parametrize(
    ("name", "values", "field", "value"),
    [
        ("server.setup", {"target": ["prod,all"]}, "target.0", "prod,all"),
        ("server.setup", {"target": ["-e@/etc/passwd"]}, "target.0", "-e@/etc/passwd"),
        ("server.show", {"name": "Prod"}, "name", "Prod"),
        ("server.show", {"name": "a\n"}, "name", "a\n"),
        ("server.create", {"name": "prod", "domain": "no domain"}, "domain", "no domain"),
        ("app.install", {"apps": ["n8n;id"], "target": ["prod"]}, "apps.0", "n8n;id"),
        ("app.install", {"apps": ["n8n:{{x}}"], "target": ["prod"]}, "apps.0", "n8n:{{x}}"),
        ("logs", {"instance": "n8n", "target": "prod", "lines": 0}, "lines", 0),
        ("logs", {"instance": "n8n", "target": "prod", "service": "$(id)"}, "service", "$(id)"),
        ("dns.set", {"name": "a_b.Example.com", "type": "A", "value": "x"}, "name", "a_b.Example.com"),
        ("dns.set", {"name": "a.*.example.com", "type": "A", "value": "x"}, "name", "a.*.example.com"),
        ("dns.set", {"name": "example.com", "type": "NS", "value": "x"}, "type", "NS"),
        ("dns.set", {"name": "example.com", "type": "A", "value": "x", "ttl": 86401}, "ttl", 86401),
        ("dns.list", {"owner": "two words"}, "owner", "two words"),
        ("dns.check", {"zone": "com"}, "zone", "com"),
    ],
)
def test_a_wrong_value_is_named_with_its_field_and_what_is_allowed(
    name: str, values: dict[str, Any], field: str, value: Any
) -> None:
    error = refused(name, values)
    (one,) = error.details["fields"]
    assert error.code == "INPUT_INVALID" and exit_code(error) == 2
    assert (one["field"], one["value"]) == (field, value)
    assert one["allowed"] and one["allowed"] in error.message and field in error.message


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("app.install", {"apps": ["n8n"], "target": ["prod"], "variables": {"n8n": {"PASS": "canary"}}}),
        ("app.install", {"apps": ["n8n"], "target": ["prod"], "variables": {"n8n": {"a": ["canary"]}}}),
        ("server.show", {"name": "prod", "token": "canary"}),
        ("exec", {"target": ["prod"], "command": ["canary" * 1000]}),
    ],
)
def test_what_may_be_a_secret_is_not_quoted(name: str, values: dict[str, Any]) -> None:
    assert "canary" not in str(refused(name, values).to_dict())


def test_extra_vars_leave_out_what_was_not_given() -> None:
    create = get("server.create")
    parameters = create.parse({"name": "prod", "domain": "prod.example.com"})
    given = {"name": "prod", "domain": "prod.example.com"}
    assert create.extra_vars(parameters) == {**given, "labels": {}}
    assert get("status").extra_vars(get("status").parse({})) == {}


def test_several_servers_become_one_pattern() -> None:
    setup = get("server.setup")
    assert setup.extra_vars(setup.parse({"target": ["one", "two"]}))["target"] == "one,two"


def test_destroying_is_refused_without_the_right_name() -> None:
    assert refused("server.destroy", {"name": "prod"}).code == "CONFIRMATION_REQUIRED"
    wrong = refused("server.destroy", {"name": "prod", "confirm_name": "staging"})
    assert wrong.code == "CONFIRMATION_MISMATCH" and exit_code(wrong) == 4


@pytest.mark.parametrize(
    ("code", "number"),
    [
        ("TASK_FAILED", 1),
        ("SETTING_INVALID", 2),
        ("APP_UNKNOWN", 3),
        ("DNS_ZONE_NOT_FOUND", 3),
        ("DNS_TOKEN_INVALID", 5),
        ("API_TOKEN_MISSING", 5),
        ("VAULT_LOCKED", 5),
        ("SERVER_UNREACHABLE", 6),
        ("DNS_RATE_LIMITED", 6),
        ("DNS_RECORD_CONFLICT", 2),
        ("DNS_NOT_MANAGED", 2),
        ("INVALID_PARAMETER", 2),
        ("INTERRUPTED", 130),
    ],
)
def test_exit_codes_tell_kinds_of_errors_apart(code: str, number: int) -> None:
    assert exit_code(LivchatError(code, "…")) == number
    assert number in EXIT_CODES


def test_the_reference_page_is_current() -> None:
    assert reference.PAGE.read_text(encoding="utf-8") == reference.page(), "run `make docs`"
    assert reference.OPENAPI.read_text(encoding="utf-8") == reference.openapi(), "run `make docs`"
