"""Where each operation is in the REST API, and how a request for it is made."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from livchat_cli import routes
from livchat_cli.operations import OPERATIONS, Effect, get
from livchat_cli.reports import REPORTS
from livchat_cli.routes import Request

# The list of section 8.1 of the design that this project was asked for.
WANTED = {
    "POST /v1/servers": "server.create",
    "GET /v1/servers": "server.list",
    "GET /v1/servers/{name}": "server.show",
    "DELETE /v1/servers/{name}": "server.destroy",
    "POST /v1/servers/{target}/apps": "app.install",
    "GET /v1/servers/{target}/apps": "app.list",
    "DELETE /v1/servers/{target}/apps/{instance}": "app.uninstall",
    "GET /v1/apps": "catalog.list",
    "GET /v1/apps/{app}": "catalog.show",
    "POST /v1/deployments": "app.install",
    "GET /v1/deployments": "deployments.list",
    "POST /v1/webhooks/portainer": "webhooks.portainer",
    "POST /v1/webhooks/health": "webhooks.health",
}
ALL = [route for operation in (*OPERATIONS, *REPORTS) for route in routes.of(operation)]


def test_the_routes_that_were_asked_for_are_there() -> None:
    found = {f"{route.method} {route.path}": route.operation.name for route in ALL}
    assert WANTED.items() <= found.items()


def test_no_two_routes_share_a_place_or_a_name() -> None:
    assert len({(route.method, route.path) for route in ALL}) == len(ALL)
    assert len({route.id for route in ALL}) == len(ALL)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_the_first_route_takes_every_parameter_whole(operation: object) -> None:
    first = routes.of(operation)[0]  # type: ignore[arg-type]
    assert first.id == first.operation.name
    # In a path a list has one element at most.
    assert all(routes.kind(first.schema[name]) != "array" for name in first.in_path)
    assert first.has_body or all(routes.kind(one) != "object" for one in first.schema.values())


def test_what_reads_is_a_get_unless_it_takes_a_mapping() -> None:
    for route in ALL:
        mapping = any(routes.kind(one) == "object" for one in route.schema.values())
        reads = route.operation.effect is Effect.READ
        assert (route.method == "GET") == (reads and not mapping), route.id


@pytest.mark.parametrize(
    ("name", "number", "values", "wanted"),
    [
        ("server.show", 0, {"name": "prod"}, Request("GET", "/v1/servers/prod", None)),
        ("status", 0, {"target": ["one", "two"]}, Request("GET", "/v1/status?target=one&target=two", None)),
        ("status", 1, {"target": ["one"]}, Request("GET", "/v1/servers/one/status", None)),
        (
            "server.setup",
            0,
            {"target": ["one"], "full": True},
            Request("POST", "/v1/server/setup", {"target": ["one"], "full": True}),
        ),
        (
            "app.install",
            1,
            {"target": ["one"], "apps": ["n8n"]},
            Request("POST", "/v1/servers/one/apps", {"apps": ["n8n"]}),
        ),
        (
            "app.uninstall",
            0,
            {"target": "one", "instance": "n8n", "drop_data": True, "confirm_name": "a b&c"},
            Request("DELETE", "/v1/servers/one/apps/n8n?drop_data=true&confirm_name=a+b%26c", None),
        ),
        ("server.show", 0, {"name": "../../etc"}, Request("GET", "/v1/servers/..%2F..%2Fetc", None)),
    ],
)
def test_a_request_is_made_from_parameters(name: str, number: int, values: dict[str, object], wanted: Request) -> None:
    assert routes.of(get(name))[number].request(values) == wanted


def test_what_a_request_carries_comes_back_as_the_same_parameters() -> None:
    for name, values in (
        ("status", {"target": ["one", "two"]}),
        ("jobs.list", {"status": ["failed", "killed"], "limit": 5, "server": "one"}),
        ("app.install", {"target": ["one"], "apps": ["n8n"], "variables": {"n8n": {"timezone": "UTC"}}}),
    ):
        route = routes.of(get(name))[0]
        request = route.request(values)
        query = parse_qs(urlsplit(request.path).query)
        assert set(query if request.body is None else request.body) == set(values)
