"""The folder for Semaphore: a project as its "Restore project" takes it, and a playbook that fills its keys too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from livchat_cli.export import wrappers
from livchat_cli.export.choices import Choices
from livchat_cli.export.surveys import Kind, Question, questions
from livchat_cli.operations import Operation

_NONE = "None"
_PASSWORD = "login_password"  # noqa: S105  # a type of key
_TYPES = {
    Kind.TEXT: "",
    Kind.LINES: "text",
    Kind.SECRET: "secret",
    Kind.INTEGER: "int",
    # Semaphore has no other numbers.
    Kind.NUMBER: "",
    Kind.CHOICE: "enum",
    # Of several it lets one be chosen.
    Kind.CHOICES: "enum",
}
_LOAD = Path(__file__).with_name("semaphore_load.yml")


def files(choices: Choices) -> dict[str, str]:
    """`semaphore/project.json`, and `semaphore/load.yml` for SEMAPHORE_URL and SEMAPHORE_TOKEN in its environment."""
    return {
        "semaphore/project.json": json.dumps(project(choices), indent=2, ensure_ascii=False) + "\n",
        "semaphore/load.yml": _LOAD.read_text(encoding="utf-8"),
    }


def project(choices: Choices) -> dict[str, Any]:
    """A project's backup. It names things by their names; its keys are there and empty, as in any backup."""
    operations = wrappers.exported()
    name = choices.project
    groups = list(dict.fromkeys(one.target for one in operations))
    return {
        "meta": {"name": name, "alert": False, "max_parallel_tasks": 0, "type": ""},
        # A backup cannot hold an environment's secrets. Keys it can, and as passwords of vaults they reach each job.
        "keys": [{"name": _NONE, "type": "none"}, *({"name": one, "type": _PASSWORD} for one in wrappers.SECRETS)],
        "repositories": [{"name": name, "git_url": choices.repository, "git_branch": choices.branch, "ssh_key": _NONE}],
        "inventories": [{"name": name, "type": "file", "inventory": wrappers.INVENTORY, "ssh_key": _NONE}],
        "environments": [{"name": name, "json": "{}", "env": json.dumps({"LIVCHAT_HOME": choices.home})}],
        "views": [{"title": group, "position": position} for position, group in enumerate(groups)],
        "templates": [_template(one, name) for one in operations],
        "integrations": [],
        "integration_aliases": [],
        "schedules": [],
    }


def _template(operation: Operation, name: str) -> dict[str, Any]:
    return {
        "name": operation.name,
        "description": operation.summary,
        "app": "ansible",
        "type": "",
        "playbook": wrappers.file_name(operation),
        "repository": name,
        "inventory": name,
        # Until 2.17 a template has one environment, from then on several.
        "environment": name,
        "environments": [name],
        "view": operation.target,
        "arguments": "[]",
        "allow_override_args_in_task": False,
        "autorun": False,
        "suppress_success_alerts": False,
        "survey_vars": [_survey_var(one) for one in questions(operation)],
        # `name` is the vault id that Ansible is given, by which the collection finds it.
        "vaults": [{"name": one, "type": "password", "vault_key": one} for one in wrappers.SECRETS],
    }


def _survey_var(question: Question) -> dict[str, Any]:
    written: dict[str, Any] = {
        "name": question.variable,
        "title": question.title,
        "description": question.description,
        "type": _TYPES[question.kind],
        "required": question.required,
        "values": [{"name": one, "value": one} for one in question.choices],
    }
    several = question.kind is Kind.CHOICES and "\n" in str(question.default)
    # Left out, they are what an empty answer means.
    if question.default is not None and not several:
        written["default_value"] = str(question.default)
    return written
