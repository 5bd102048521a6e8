"""Surveys, and the playbooks behind them, against the list of operations."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.livchat.setup.plugins.plugin_utils import _answers

from livchat_cli.export import awx, semaphore, wrappers
from livchat_cli.operations import Operation

from .conftest import CHOICES, EXPORTED


@pytest.mark.parametrize("operation", EXPORTED, ids=lambda one: one.name)
def test_a_survey_asks_for_every_parameter_as_it_is_declared(operation: Operation) -> None:
    spec = awx.survey(operation).get("spec", [])
    fields = operation.model.model_fields
    assert [one["variable"] for one in spec] == [f"survey_{name}" for name in operation.schema()]
    variables = {one["name"]: one for one in semaphore.project(CHOICES)["templates"]}[operation.name]["survey_vars"]
    assert [one["name"] for one in variables] == [one["variable"] for one in spec]
    for question, variable in zip(spec, variables, strict=True):
        name = question["variable"].removeprefix("survey_")
        must = fields[name].is_required() or (name == "confirm_name" and bool(operation.confirm))
        assert question["required"] is variable["required"] is must
        assert fields[name].description is None or fields[name].description in question["question_description"]
        assert question["question_description"] == variable["description"]
        assert ("no password" in question["question_description"]) is (name in ("variables", "command"))
        default = fields[name].get_default(call_default_factory=True) if not fields[name].is_required() else None
        if isinstance(default, bool):
            assert question["choices"] == ["false", "true"] == [one["value"] for one in variable["values"]]
            assert question["default"] == variable["default_value"] == str(default).lower()
        elif isinstance(default, (int, str)):
            assert question["default"] == default and variable["default_value"] == str(default)
        else:
            assert "default" not in question and "default_value" not in variable


@pytest.mark.parametrize("operation", EXPORTED, ids=lambda one: one.name)
def test_what_a_survey_answers_becomes_what_the_command_line_hands_over(operation: Operation) -> None:
    values = {name: _example(one) for name, one in operation.schema().items()}
    answers = {name: _as_text(values[name], one) for name, one in operation.schema().items()}
    given = _answers.read(wrappers.schema(operation), answers)
    expected = operation.parse(values).model_dump(mode="json", exclude_none=True)
    assert given == expected
    required = {name: text for name, text in answers.items() if operation.model.model_fields[name].is_required()}
    blank = dict.fromkeys(answers, "") | required
    least = operation.parse({name: values[name] for name in required}).model_dump(mode="json", exclude_none=True)
    assert _answers.read(wrappers.schema(operation), blank) == least


def _example(schema: Mapping[str, Any]) -> Any:
    """An example of the parameter, or of the kind of value that it is."""
    kinds = [schema, *schema.get("anyOf", ())]
    return next((one["examples"][0] for one in kinds if "examples" in one), schema.get("default"))


def _as_text(value: Any, schema: Mapping[str, Any]) -> str:
    """As somebody answers: this test's own idea of it, in lines, commas and words."""
    if isinstance(value, dict):
        inner = [(f"{key}.", one) if isinstance(one, dict) else ("", {key: one}) for key, one in value.items()]
        return "\n".join(f"{outer}{name}={text}" for outer, pairs in inner for name, text in pairs.items())
    if isinstance(value, list):
        return ",".join(value) if "pattern" in schema["items"] else shlex.join(value)
    return str(value)


def test_an_operation_that_is_only_declared_is_exported(throwaway: Operation, folder: Path) -> None:
    spec = {one["variable"]: one for one in awx.survey(throwaway)["spec"]}
    kinds = {name.removeprefix("survey_"): one["type"] for name, one in spec.items()}
    assert kinds == {
        "name": "text",
        "target": "text",
        "colour": "multiplechoice",
        "size": "multiplechoice",
        "states": "multiselect",
        "count": "integer",
        "ratio": "float",
        "force": "multiplechoice",
        "words": "text",
        "labels": "textarea",
        "variables": "textarea",
        "api_key": "password",
        "confirm_name": "text",
    }
    assert spec["survey_colour"]["choices"] == ["red", "blue"] and spec["survey_colour"]["default"] == "blue"
    assert spec["survey_states"]["choices"] == ["on", "off"] and spec["survey_states"]["default"] == "on\noff"
    assert (spec["survey_count"]["min"], spec["survey_count"]["max"], spec["survey_count"]["default"]) == (2, 9, 3)
    assert spec["survey_confirm_name"]["required"]
    project = json.loads((folder / "semaphore/project.json").read_text())
    template = {one["name"]: one for one in project["templates"]}["server.throw"]
    assert {one["name"]: one["type"] for one in template["survey_vars"]}["survey_api_key"] == "secret"
    states = {one["name"]: one for one in template["survey_vars"]}["survey_states"]
    assert states["type"] == "enum" and "default_value" not in states
    prepare, handover = yaml.safe_load((folder / "server_throw.yml").read_text())
    assert handover["ansible.builtin.import_playbook"] == "livchat.setup.throw"
    assert "survey_api_key" not in json.dumps(prepare), "the result of a task would show it"
    assert handover["vars"]["api_key"] == "{{ survey_api_key | default(undef(), true) }}"
    assert "size" not in handover["vars"] and "server_size" in handover["vars"]
    assert "name: livchat.setup server.throw" in (folder / "awx/load.yml").read_text()


def test_answers_of_each_kind_and_those_that_are_not_allowed(throwaway: Operation) -> None:
    schema = wrappers.schema(throwaway)
    given = _answers.read(
        schema,
        {
            "name": " prod ",
            "target": "one, two\nthree",
            "colour": "red",
            "states": ["off"],
            "count": "4",
            "ratio": "1.5",
            "force": "yes",
            "words": "'a b' c",
            "labels": "customer=acme\nteam=",
            "variables": '{"n8n": {"timezone": "UTC"}}',
        },
    )
    assert given == {
        "name": "prod",
        "target": ["one", "two", "three"],
        "colour": "red",
        "states": ["off"],
        "count": 4,
        "ratio": 1.5,
        "force": True,
        "words": ["a b", "c"],
        "labels": {"customer": "acme", "team": ""},
        "variables": {"n8n": {"timezone": "UTC"}},
    }
    wrong = {
        "name": "",
        "target": "one,Two",
        "colour": "green",
        "states": ["off", "broken"],
        "count": "10",
        "force": "perhaps",
        "labels": "customer",
        "variables": "n8n.Timezone=canary-secret",
        "api_key": "canary-secret",
    }
    with pytest.raises(_answers.LivchatError) as raised:
        _answers.read(schema, wrong)
    assert raised.value.code == "INPUT_INVALID"
    assert {one["field"] for one in raised.value.details["fields"]} == set(wrong)
    assert "2 to 9" in raised.value.message and "canary" not in str(raised.value.to_dict())
