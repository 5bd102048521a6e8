"""The API's description, OpenAPI 3.1, made from the list of operations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import TypeAdapter

from livchat_cli import collection, results, routes
from livchat_cli.api import events, idempotency, observe, problems
from livchat_cli.api.endpoint import beside, listing_of
from livchat_cli.api.pages import Listing
from livchat_cli.operations import OPERATIONS
from livchat_cli.reports import REPORTS
from livchat_cli.routes import Route

Schema = dict[str, Any]
DESCRIPTION = """Everything that `livchat-setup` does, over HTTP.

What takes long is a job: the answer is `202` with the job's record, and `Location` says where it is shown. It goes on
whatever becomes of the connection. What reads the servers has an index, and answers from it at once unless `live=true`.
Lists come in pages: `next_cursor` of one is the `cursor` of the next.
"""
JOINED = (
    "While a job that the same token asked for still looks at the same, and nothing has been changed since it began, "
    "that job is the answer."
)
_REF = "#/components/schemas/{model}"
_ERROR = {"$ref": "#/components/responses/Error"}
# One event of a stream, which is what a description of this version can say.
_EVENT: Schema = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "Where to go on"},
        "event": {"type": "string", "enum": ["step", "end"]},
        "data": {"type": "string", "description": "JSON: the step, or the job with its result"},
    },
    "required": ["id", "event", "data"],
}
_TAGS = {
    "server": "Servers",
    "app": "Installed applications",
    "catalog": "What can be installed",
    "job": "What was asked for, and what became of it",
    "deployment": "What was deployed, and when",
    "secret": "Names of secrets",
    "token": "Tokens for programs",
    "report": "What happened elsewhere, told by others",
}


def document() -> Schema:
    """The whole description."""
    components: Schema = {}
    paths: Schema = {}
    found = [route for operation in (*OPERATIONS, *REPORTS) for route in routes.of(operation)]
    for route in found:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, components)
    _add_others(paths, components)
    targets = dict.fromkeys(route.operation.target for route in found)
    _schema(results.APIError, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "livchat-setup",
            "version": _version(),
            "description": DESCRIPTION,
            "license": {"name": "GPL-3.0-or-later", "identifier": "GPL-3.0-or-later"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "tags": [{"name": one, "description": _TAGS.get(one, one)} for one in targets],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "responses": {
                "Error": {
                    "description": "What went wrong",
                    "headers": {"X-Request-ID": _header("Names the call, also in the audit log")},
                    "content": {
                        "application/json": {
                            "schema": {"$ref": "#/components/schemas/APIError"},
                            "example": _example(components["APIError"], components),
                        }
                    },
                }
            },
            "parameters": {
                "RequestID": _parameter(
                    "X-Request-ID",
                    "header",
                    {
                        "type": "string",
                        "pattern": f"^{observe.REQUEST_ID.pattern}$",
                        "description": "Names the call, also in the audit log; made up when not given",
                    },
                ),
                "IdempotencyKey": _parameter(
                    "Idempotency-Key",
                    "header",
                    {
                        "type": "string",
                        "pattern": idempotency.PATTERN,
                        "description": "What was asked with the same key within a day is not done again",
                    },
                ),
                "IfNoneMatch": _parameter(
                    "If-None-Match",
                    "header",
                    {
                        "type": "string",
                        "description": "`ETag` of an answer that the client has; 304 when it still holds",
                    },
                ),
            },
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token as `livchat-setup token create` makes it: `livchat_key_…`",
                }
            },
        },
    }


def _operation(route: Route, components: Schema) -> Schema:
    operation = route.operation
    listing = listing_of(route)
    query = {} if route.has_body else {name: one for name, one in route.schema.items() if name not in route.in_path}
    query |= beside(route)
    named = {name: route.schema[name] for name in route.in_path}
    parameters = [_parameter(name, "path", _single(one)) for name, one in named.items()]
    parameters += [
        _parameter(name, "query", _single_or_none(one), name in _required(route)) for name, one in query.items()
    ]
    parameters.append({"$ref": "#/components/parameters/RequestID"})
    joined = (JOINED,) if route.method == "GET" and not operation.function else ()
    said = {
        "operationId": route.id,
        "summary": operation.summary,
        "description": "\n\n".join([f"{operation.summary}.", *joined, f"Needs the scope `{operation.scope}`."]),
        "tags": [operation.target],
        "x-livchat-scope": operation.scope,
        "x-livchat-effect": operation.effect,
        "parameters": parameters,
        "responses": _responses(route, listing, components),
    }
    if route.method == "GET" and (operation.function or operation.index):
        parameters.append({"$ref": "#/components/parameters/IfNoneMatch"})
    if route.method == "POST":
        parameters.append({"$ref": "#/components/parameters/IdempotencyKey"})
        body = _body(route)
        if body["properties"]:
            content = {"application/json": {"schema": body, "example": _example(body, {})}}
            said["requestBody"] = {"required": bool(body["required"]), "content": content}
    return said


def _responses(route: Route, listing: Listing | None, components: Schema) -> Schema:
    operation = route.operation
    found: Schema = {}
    if operation.function or operation.index:
        schema = _schema(getattr(results, operation.result), components) if operation.result else {}
        if listing:
            schema = {
                "type": "object",
                "properties": {"items": schema, "next_cursor": {"type": ["string", "null"]}},
                "required": ["items", "next_cursor"],
                "additionalProperties": False,
            }
        found["200"] = _answer("The result", schema, components)
        if route.method == "GET":
            found["200"]["headers"]["ETag"] = _header("Changes when the answer does")
            found["304"] = {"description": "The answer is what the client has already"}
    if not operation.function:
        job = _schema(results.JobWithResult, components)
        where = {"Location": _header("Where the job is shown")}
        ended = _answer("The job has ended; `status` says how", job, components, where)
        if "200" in found:
            # One status, two shapes: from the index, or of a job that was waited for.
            content = found["200"]["content"]["application/json"]
            content["schema"] = {"anyOf": [content["schema"], job]}
        else:
            found["200"] = ended
        started = "The job looks" if route.method == "GET" else "The job was started"
        found["202"] = _answer(started, job, components, where)
    return {**found, **_errors()}


def _errors(*left_out: int) -> Schema:
    return {
        **{str(one): _ERROR for one in problems.USUAL if one not in left_out},
        "default": _ERROR,
    }


def _add_others(paths: Schema, components: Schema) -> None:
    """What belongs to no operation."""
    request_id = {"$ref": "#/components/parameters/RequestID"}
    paths[events.PATH] = {
        "get": {
            "operationId": "jobs.events",
            "summary": "Follow a job: its events from the beginning until it ends",
            "description": "Server-Sent Events: `step` for each step of a host, `end` with the job and its result. The "
            "same path takes a WebSocket, which gets `{id, event, data}` as messages.",
            "tags": ["job"],
            "x-livchat-scope": "read",
            "parameters": [
                _parameter("job", "path", _single(routes.of(_job_show())[0].schema["job"])),
                _parameter("after", "query", events.AFTER, False),
                _parameter("Last-Event-ID", "header", {k: v for k, v in events.AFTER.items() if k != "default"}, False),
                request_id,
            ],
            "responses": {
                "200": {
                    "description": "The events",
                    "headers": {"X-Request-ID": _header("Names the call")},
                    "content": {"text/event-stream": {"schema": _EVENT}},
                },
                **_errors(),
            },
        }
    }
    status: Schema = {
        "type": "object",
        "properties": {"status": {"const": "ok", "type": "string"}},
        "required": ["status"],
        "additionalProperties": False,
    }
    paths["/health"] = {
        "get": {
            "operationId": "health",
            "summary": "Whether the API answers",
            "tags": ["api"],
            "security": [],
            "parameters": [request_id],
            "responses": {"200": _answer("It does", status, components), **_errors(401, 403)},
        }
    }
    paths["/metrics"] = {
        "get": {
            "operationId": "metrics",
            "summary": "Numbers for Prometheus",
            "description": "Needs the scope `read`.",
            "tags": ["api"],
            "parameters": [request_id],
            "responses": {
                "200": {
                    "description": "Prometheus' text format",
                    "content": {"text/plain": {"schema": {"type": "string"}}},
                },
                **_errors(),
            },
        }
    }
    paths["/v1/openapi.json"] = {
        "get": {
            "operationId": "openapi",
            "summary": "This description",
            "description": "Needs the scope `read`.",
            "tags": ["api"],
            "parameters": [request_id],
            "responses": {"200": _answer("The description", {"type": "object"}, components), **_errors()},
        }
    }


def _job_show() -> Any:
    return next(one for one in OPERATIONS if one.name == "jobs.show")


def _required(route: Route) -> set[str]:
    fields = route.operation.model.model_fields
    return {name for name in route.schema if fields[name].is_required()}


def _body(route: Route) -> Schema:
    left = {name: _clean(one) for name, one in route.schema.items() if name not in route.in_path}
    return {
        "type": "object",
        "properties": left,
        "required": [name for name in left if name in _required(route)],
        "additionalProperties": False,
    }


def _answer(text: str, schema: Schema, components: Schema, headers: Schema | None = None) -> Schema:
    content: Schema = {"schema": schema}
    if (example := _example(schema, components)) is not None:
        content["example"] = example
    return {
        "description": text,
        "headers": {"X-Request-ID": _header("Names the call"), **(headers or {})},
        "content": {"application/json": content},
    }


def _header(text: str) -> Schema:
    return {"description": text, "schema": {"type": "string"}}


def _parameter(name: str, place: str, schema: Mapping[str, Any], required: bool | None = None) -> Schema:
    said = {key: value for key, value in _clean(schema).items() if key != "examples"}
    text = said.pop("description", "")
    examples = schema.get("examples") or schema.get("items", {}).get("examples") or [None]
    found: Schema = {"name": name, "in": place, "required": place == "path" if required is None else required}
    if text:
        found["description"] = text
    if (example := _fitting(said, examples[0])) is not None:
        found["example"] = example
    return {**found, "schema": said}


def _fitting(schema: Mapping[str, Any], example: Any) -> Any:
    """The example; of a list that the path says once its first."""
    return example[0] if isinstance(example, list) and routes.kind(schema) != "array" else example


def _single(schema: Schema) -> Schema:
    """What the path says once, of a list one."""
    return {**schema["items"], "description": schema["description"]} if routes.kind(schema) == "array" else schema


def _single_or_none(schema: Schema) -> Schema:
    """In a query nothing is null: it is not there."""
    real = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if not real:
        return schema
    outer = {key: value for key, value in schema.items() if key != "anyOf" and (key, value) != ("default", None)}
    return {**real[0], **outer}


def _clean(schema: Any) -> Any:
    """The schema without what is for other front doors, and without pydantic's made up titles."""
    if isinstance(schema, list):
        return [_clean(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {}
    for key, value in schema.items():
        if key in ("properties", "patternProperties"):
            # Names here are names of parameters.
            kept[key] = {name: _clean(one) for name, one in value.items()}
        elif key not in ("title", "x-complete", "x-option", "x-allowed"):
            kept[key] = _clean(value)
    # As the models have it, which say so only of names that do not match.
    return kept | ({"additionalProperties": False} if "patternProperties" in kept else {})


def _schema(kind: Any, components: Schema) -> Schema:
    """The type's schema; what it refers to goes to the components."""
    adapter = TypeAdapter(kind)
    found = adapter.json_schema(ref_template=_REF)
    for name, one in found.pop("$defs", {}).items():
        components[name] = _clean(one)
    if isinstance(kind, type) and issubclass(kind, results.Result):
        components[kind.__name__] = _clean(found)
        return {"$ref": _REF.format(model=kind.__name__)}
    return dict(_clean(found))


def _example(schema: Schema, components: Schema) -> Any:
    """What fits the schema, put together from the examples in it; None where there is nothing to say."""
    if "$ref" in schema:
        return _example(components[schema["$ref"].rpartition("/")[2]], components)
    if schema.get("examples"):
        return schema["examples"][0]
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    if "anyOf" in schema:
        return _example(schema["anyOf"][0], components)
    if "properties" in schema:
        wanted = schema.get("required", ())
        return {name: _example(one, components) for name, one in schema["properties"].items() if name in wanted}
    if schema.get("type") == "array":
        return [_example(schema["items"], components)]
    plain: Schema = {"string": "", "integer": 1, "number": 1, "boolean": False, "object": {}}
    kind = schema.get("type")
    return schema.get("default", plain.get(kind[0] if isinstance(kind, list) else str(kind)))


def _version() -> str:
    galaxy = collection.find() / "ansible_collections" / "livchat" / "setup" / "galaxy.yml"
    return str(yaml.safe_load(galaxy.read_text(encoding="utf-8"))["version"])
