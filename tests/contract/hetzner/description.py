"""Hetzner's published description of its API, as JSON Schema to hold the lab's answers against."""

from __future__ import annotations

import copy
import functools
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
from fastapi import FastAPI
from fastapi.routing import APIRoute

VARIABLE = "LIVCHAT_HETZNER_SPEC"
CHECKOUT = Path(__file__).parents[3]
BESIDE = CHECKOUT.parent / "shared" / "spec" / "hetzner-cloud.openapi.json"
FORMATS = jsonschema.FormatChecker(("date-time", "ipv4"))
METHODS = ("get", "put", "post", "delete")


def find() -> Path | None:
    """The file that the environment names, else the one beside the checkout."""
    if given := os.environ.get(VARIABLE):
        return Path(given)
    return BESIDE if BESIDE.exists() else None


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    responses: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def _anonymous(path: str) -> str:
    return re.sub(r"{[^}]*}", "{}", path)


def offered(app: FastAPI) -> set[tuple[str, str]]:
    """Method and path, with nameless parameters, of each route of the lab's API."""
    return {
        (method, _anonymous(route.path.removeprefix("/v1")))
        for route in app.routes
        if isinstance(route, APIRoute) and route.path.startswith("/v1/")
        for method in route.methods or ()
    }


class Description:
    def __init__(self, path: Path) -> None:
        self.document: dict[str, Any] = json.loads(path.read_text())
        place = self.document["components"]["schemas"]["server_type_location"]
        # Younger than the description; Hetzner's own client of today knows them.
        place["properties"] |= {"available": {"type": "boolean"}, "recommended": {"type": "boolean"}}
        _forget_required(self.document)
        self.operations = [
            Operation(method.upper(), path, described["responses"])
            for path, methods in self.document["paths"].items()
            for method, described in methods.items()
            if method in METHODS
        ]
        self._schemas = {"components": {"schemas": _json_schema(self.document["components"]["schemas"])}}

    def limited_to(self, app: FastAPI) -> dict[str, Any]:
        """The description of what an app offers, and of nothing else."""
        document = copy.deepcopy(self.document)
        document["servers"] = []
        routes = offered(app)
        for path, methods in list(document["paths"].items()):
            # Each path names Hetzner's own servers, to which no test may ever turn.
            methods.pop("servers", None)
            for method in METHODS:
                if (method.upper(), _anonymous(path)) not in routes:
                    methods.pop(method, None)
            if not set(methods) & set(METHODS):
                del document["paths"][path]
        return document

    def operation(self, method: str, path: str) -> Operation | None:
        """The operation a request asks for. `/servers/actions` is that path, not the server `actions`."""
        wanted = path.partition("?")[0]
        found = [
            one
            for one in self.operations
            if one.method == method and re.fullmatch(_anonymous(one.path).replace("{}", "[^/]+"), wanted)
        ]
        return min(found, key=lambda one: one.path.count("{"), default=None)

    def check(self, method: str, path: str, status: int, body: Any) -> None:
        """Raises:
        AssertionError: the answer is none that is described.
        """
        operation = self.operation(method, path)
        request = f"{method} {path}: {status}"
        if operation is None:
            assert status in (401, 403, 404, 405), f"{request}, for an operation that is not described"
            schema = {"$ref": "#/components/schemas/error_response"}
        else:
            response = operation.responses.get(str(status)) or operation.responses.get(f"{status // 100}xx")
            assert response is not None, f"{request}, which is not described"
            content = response.get("content")
            if content is None:
                assert body is None, f"{request} has a body"
                return
            schema = content["application/json"]["schema"]
        validator = self._validator(json.dumps(schema, sort_keys=True))
        problems = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(body)]
        assert not problems, f"{request}: {problems}"

    @functools.cache  # noqa: B019 # there is one description for all tests
    def _validator(self, schema: str) -> jsonschema.Draft202012Validator:
        whole = {**_json_schema(json.loads(schema)), **self._schemas}
        return jsonschema.Draft202012Validator(whole, format_checker=FORMATS)


def _forget_required(node: Any) -> None:
    """Of what is deprecated: the description names the day from which it is gone, and that day has passed."""
    if isinstance(node, dict):
        properties = node.get("properties")
        if isinstance(properties, dict) and isinstance(node.get("required"), list):
            node["required"] = [name for name in node["required"] if not properties[name].get("deprecated")]
        for one in node.values():
            _forget_required(one)
    elif isinstance(node, list):
        for one in node:
            _forget_required(one)


def _json_schema(node: Any) -> Any:
    """JSON Schema of what OpenAPI 3.0 says in its own dialect.

    Closed: a field that Hetzner does not have is as wrong as one that is missing.
    """
    if isinstance(node, list):
        return [_json_schema(one) for one in node]
    if not isinstance(node, dict):
        return node
    made = {key: _json_schema(value) for key, value in node.items() if key not in ("nullable", "example")}
    properties = made.get("properties")
    if isinstance(properties, dict) and "type" in made:
        made.setdefault("additionalProperties", False)
    if node.get("nullable") is True:
        return {"anyOf": [made, {"type": "null"}]}
    return made
