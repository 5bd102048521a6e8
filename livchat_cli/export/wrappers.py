"""What AWX and Semaphore share: a playbook for each operation, and what such playbooks need around them."""

from __future__ import annotations

import configparser
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from livchat_cli import collection, operations
from livchat_cli.ansible_config import SETTINGS
from livchat_cli.export import documents, source
from livchat_cli.export.choices import Choices
from livchat_cli.export.surveys import Kind, Question, questions
from livchat_cli.operations import PATTERN, Effect, Operation

collection.activate()

from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._https import read_authority  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._settings import DEFAULTS, FILES, Settings, nested  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._vault import ENVIRONMENT, PASSWORD  # noqa: E402

NOTE = "Written by `livchat-setup export`: the next export replaces it."
KEPT = "Written once by `livchat-setup export`, and yours to change: the next export leaves it as it is."
INVENTORY = "livchat.yml"
# What a job has to be given: the provider's token, the DNS provider's, and the password of the vault.
SECRETS = (*ENVIRONMENT.values(), PASSWORD)
# Kinds of things that livchat-setup keeps for its own doors.
_OF_THE_DOORS = ("job", "token")
# Of the home's settings, those of the machine that exports, and of its own doors.
_LOCAL_SECTIONS = ("vault", "webhooks", "api", "mcp")
# Where the folder has what they name in files.
_CERTIFICATES = "certificates"
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)
_ENDPOINT = "providers.hetzner.api_endpoint"
# Any image of the Fedora or RHEL family does: ansible-builder brings Ansible and what the collections ask for.
_BASE_IMAGE = "fedora:42"


def exported() -> list[Operation]:
    """All operations but those on the doors' own jobs and tokens: AWX and Semaphore have theirs."""
    return [one for one in operations.OPERATIONS if one.target not in _OF_THE_DOORS]


def file_name(operation: Operation, suffix: str = ".yml") -> str:
    return operation.name.replace(".", "_") + suffix


def files(choices: Choices) -> dict[str, str]:
    """What every export writes anew, by path in the folder.

    Raises:
        LivchatError: INPUT_INVALID, for a source of the collection that is not allowed
    """
    found = {
        "ansible.cfg": _ansible_cfg(),
        "collections/requirements.yml": documents.text({"collections": [_collection(choices)]}, NOTE),
    }
    for operation in exported():
        found[file_name(operation)] = playbook(operation)
        if operation.schema():
            found[f"schemas/{file_name(operation, '.json')}"] = _json(schema(operation))
    return found


def first_files(home: Path, choices: Choices) -> dict[str, str]:
    """What is written once, with the operator's settings, and is the team's from then on.

    Raises:
        LivchatError: the settings cannot be read, or CA_FILE_INVALID for a file of certificates that they name.
    """
    # Reading all of them checks the file.
    settings = Settings(Home(str(home))).all()
    endpoint = settings.get(_ENDPOINT, DEFAULTS[_ENDPOINT])
    inventory = {"plugin": "livchat.setup.hetzner"}
    if endpoint != DEFAULTS[_ENDPOINT]:
        inventory["api_endpoint"] = endpoint
    chosen = {key: one for key, one in settings.items() if key.partition(".")[0] not in _LOCAL_SECTIONS}
    certificates = {}
    for key in FILES:
        if chosen.get(key):
            place = f"{_CERTIFICATES}/{key}.pem"
            # Nothing else that stands in such a file, which may be a key.
            certificates[place] = "".join(_CERTIFICATE.findall(read_authority(chosen[key])))
            chosen[key] = place
    note = "The settings of config.yaml, which every run puts into the home; others that the home has stay."
    return {
        INVENTORY: documents.text(inventory, KEPT),
        "settings.yml": documents.text(nested(chosen), KEPT, note),
        **certificates,
        "execution-environment.yml": documents.text(_execution_environment(choices), KEPT, "For ansible-builder 3."),
    }


def playbook(operation: Operation) -> str:
    """Has the home ready, reads the answers, and hands over to the collection's playbook."""
    settings = "lookup('ansible.builtin.file', playbook_dir ~ '/settings.yml') | from_yaml | default({}, true)"
    home: dict[str, Any] = {"settings": f"{{{{ {settings} }}}}", "folder": "{{ playbook_dir }}"}
    if operation.effect is Effect.DESTROY:
        home["lasting"] = True
    tasks: list[dict[str, Any]] = [{"name": "Have the home ready", "livchat.setup.home": home}]
    handover = {"name": operation.summary, "ansible.builtin.import_playbook": f"livchat.setup.{operation.playbook}"}
    if asked := questions(operation):
        tasks.append(
            {
                "name": "Read the answers",
                "livchat.setup.answers": _answers(operation, asked),
                "register": "survey",
            }
        )
        handover["vars"] = {operation.variable(one.parameter): _handed_on(one) for one in asked}  # type: ignore[assignment]
    plays = [
        {"name": "Prepare", "hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks},
        handover,
    ]
    return documents.text(plays, NOTE, f"The operation {operation.name}.")


def schema(operation: Operation) -> dict[str, Any]:
    """The JSON schema that the answers are checked against, without those that are secret."""
    whole = operation.model.model_json_schema()
    open_ones = [one.parameter for one in questions(operation) if one.kind is not Kind.SECRET]
    return {
        "properties": {name: _closed(whole["properties"][name]) for name in open_ones},
        "required": [name for name in whole.get("required", ()) if name in open_ones],
        **({"$defs": whole["$defs"]} if "$defs" in whole else {}),
    }


def _answers(operation: Operation, asked: list[Question]) -> dict[str, Any]:
    path = f"schemas/{file_name(operation, '.json')}"
    arguments: dict[str, Any] = {
        "schema": f"{{{{ lookup('ansible.builtin.file', playbook_dir ~ '/{path}') | from_json }}}}",
        "answers": {
            one.parameter: f"{{{{ {one.variable} | default('') }}}}" for one in asked if one.kind is not Kind.SECRET
        },
    }
    if operation.confirm:
        arguments["confirm"] = operation.confirm
    if any(one.parameter == PATTERN for one in asked):
        arguments["pattern"] = PATTERN
    return arguments


def _handed_on(question: Question) -> str:
    if question.kind is Kind.SECRET:
        # A secret is a text already; in the result of a task it would be seen.
        return f"{{{{ {question.variable} | default(undef(), true) }}}}"
    return f"{{{{ hostvars['localhost'].survey.given.{question.parameter} | default(undef()) }}}}"


def _closed(one: Any) -> Any:
    """The same, with mappings closed to keys of other patterns, as Pydantic closes them without saying so."""
    if isinstance(one, Mapping):
        closed = {key: _closed(value) for key, value in one.items()}
        if "patternProperties" in closed:
            closed.setdefault("additionalProperties", False)
        return closed
    return [_closed(value) for value in one] if isinstance(one, list) else one


def _ansible_cfg() -> str:
    parser = configparser.ConfigParser(interpolation=None)
    # A job's result is a statistic: AWX keeps it as an artifact, and Semaphore has its output alone.
    parser["defaults"] = {"inventory": INVENTORY, "show_custom_stats": "True"}
    for one in SETTINGS:
        if not parser.has_section(one.section):
            parser.add_section(one.section)
        parser[one.section][one.option] = one.value
    # Each job is a run of its own, which the home has to keep apart from others.
    parser["defaults"]["callbacks_enabled"] += ",livchat.setup.turn"
    # AWX hands each job its inventory as a program that prints it; as the text of an INI file it would be read wrongly.
    parser["inventory"]["enable_plugins"] = f"script,{parser['inventory']['enable_plugins']}"
    written = io.StringIO()
    parser.write(written)
    return f"# {NOTE}\n{written.getvalue().rstrip()}\n"


def _collection(choices: Choices) -> dict[str, str]:
    """This version, unless another is named: questions and playbooks belong together."""
    return source.requirement(choices.collection, str(_metadata("galaxy.yml")["version"]))


def _execution_environment(choices: Choices) -> dict[str, Any]:
    core = _metadata("meta/runtime.yml")["requires_ansible"]
    return {
        "version": 3,
        "images": {"base_image": {"name": _BASE_IMAGE}},
        "dependencies": {
            "ansible_core": {"package_pip": f"ansible-core{core}"},
            "ansible_runner": {"package_pip": "ansible-runner"},
            "python_interpreter": {"package_system": "python3", "python_path": "/usr/bin/python3"},
            # What it needs of Python and of the system, the collection says itself (meta/execution-environment.yml).
            "galaxy": "collections/requirements.yml",
        },
        **source.building(_collection(choices)),
    }


def _metadata(path: str) -> dict[str, Any]:
    file = collection.find() / "ansible_collections" / "livchat" / "setup" / path
    found: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return found


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
