"""The description of the API: valid, complete, and derived from the list of operations alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.routing import Route

from livchat_cli import routes
from livchat_cli.api.app import create
from livchat_cli.api.document import document
from livchat_cli.operations import OPERATIONS
from livchat_cli.reports import REPORTS
from tests.throwaway import Tree

# What belongs to no operation.
OTHERS = {"health", "metrics", "openapi", "jobs.events"}


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return document()


def each(described: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, one) for path, methods in described["paths"].items() for method, one in methods.items()]


def test_it_is_valid(described: dict[str, Any]) -> None:
    assert described["openapi"].startswith("3.1")
    assert not list(OpenAPIV31SpecValidator(described).iter_errors())


def test_it_holds_every_operation_and_nothing_else(described: dict[str, Any]) -> None:
    wanted = {route.id for one in (*OPERATIONS, *REPORTS) for route in routes.of(one)}
    found = [one["operationId"] for _path, _method, one in each(described)]
    assert len(found) == len(set(found))
    assert set(found) == wanted | OTHERS
    assert {one.name for one in OPERATIONS} <= set(found)


def test_it_says_what_is_served(described: dict[str, Any], tmp_path: Path) -> None:
    app: Any = create(tmp_path)
    # The application within the guard and the outermost layer.
    inner = app._app._app
    served = {
        (route.path, method.lower())
        for route in inner.routes
        if isinstance(route, Route)
        for method in route.methods or ()
    }
    assert served == {(path, method) for path, method, _one in each(described)}


def test_every_call_says_how_it_is_allowed_and_how_it_fails(described: dict[str, Any]) -> None:
    for path, method, one in each(described):
        assert one["summary"], path
        assert "default" in one["responses"], path
        assert ("security" in one) == (path == "/health"), path
        if one["operationId"] not in OTHERS:
            assert one["x-livchat-scope"] in one["description"]
            assert method != "post" or any("IdempotencyKey" in str(parameter) for parameter in one["parameters"])


def test_examples_fit_their_schemas(described: dict[str, Any]) -> None:
    checked = 0
    for path, method, one in each(described):
        contents = [one.get("requestBody", {}), *(answer for answer in one["responses"].values())]
        for content in contents:
            media = content.get("content", {}).get("application/json", {})
            if "example" in media:
                schema = {**media["schema"], "components": described["components"]}
                jsonschema.validate(media["example"], schema, cls=jsonschema.Draft202012Validator)
                checked += 1
            else:
                assert "requestBody" not in one or content is not one["requestBody"], (path, method)
    assert checked > 30


def test_what_has_to_be_given_in_an_address_has_an_example_that_fits(described: dict[str, Any]) -> None:
    checked = 0
    for path, method, one in each(described):
        for parameter in one["parameters"]:
            if parameter.get("required"):
                assert "example" in parameter, (path, method, parameter["name"])
            if "example" in parameter:
                jsonschema.validate(parameter["example"], parameter["schema"], cls=jsonschema.Draft202012Validator)
                checked += 1
    assert checked > 40


def test_a_later_operation_is_in_it_with_no_other_line_changed(tree: Tree, tmp_path: Path) -> None:
    program = "import json; from livchat_cli.api.document import document; print(json.dumps(document()))"
    printed = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env=tree.environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    nap = json.loads(printed)["paths"]["/v1/server/nap"]["post"]
    assert nap["operationId"] == "server.nap"
    body = nap["requestBody"]["content"]["application/json"]["schema"]
    assert set(body["required"]) == {"apps", "target"}
    assert "202" in nap["responses"]
