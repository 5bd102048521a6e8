"""What Semaphore's "Restore project" takes, by its API description, and loading it with its secrets."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema

from .conftest import CHOICES, EXPORTED, SECRETS, Ansible, changed
from .semaphore_stand_in import Semaphore
from .stand_in import TOKEN, Server

# The parts of a project that are known by their names, by the fields that name them.
NAMED = {
    "inventory": "inventories",
    "repository": "repositories",
    "environment": "environments",
    "view": "views",
    "ssh_key": "keys",
}


def test_semaphore_would_restore_the_project(folder: Path) -> None:
    project = json.loads((folder / "semaphore/project.json").read_text())
    schema = json.loads(Path(__file__).with_name("semaphore_backup.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(project)
    known = {kind: {one.get("name", one.get("title")) for one in project[kind]} for kind in set(NAMED.values())}
    for part in ("templates", "repositories"):
        for one in project[part]:
            named = {(kind, one[field]) for field, kind in NAMED.items() if isinstance(one.get(field), str)}
            assert all(name in known[kind] for kind, name in named), f"{one['name']}: a restore would stop here"
    assert [one["name"] for one in project["templates"]] == [one.name for one in EXPORTED]
    (environment,) = project["environments"]
    assert json.loads(environment["env"]) == {"LIVCHAT_HOME": CHOICES.home}
    # What an environment sets wins over answers.
    assert json.loads(environment["json"]) == {}


def test_semaphore_is_given_the_project_and_the_secrets_once(folder: Path, ansible: Ansible) -> None:
    instance = Semaphore()
    with Server(instance) as server:
        extra = {"SEMAPHORE_URL": server.url, "SEMAPHORE_TOKEN": TOKEN}
        load = ("playbook", "semaphore/load.yml", "-v")
        printed = ansible(*load, cwd=folder, **extra, **SECRETS)
        assert changed(printed) == 2
        again = ansible(*load, cwd=folder, **extra, **SECRETS)
    assert changed(again) == 0 and len(instance.backups) == 1
    assert instance.backups[0] == json.loads((folder / "semaphore/project.json").read_text())
    assert instance.secrets == SECRETS and "canary" not in printed + again
