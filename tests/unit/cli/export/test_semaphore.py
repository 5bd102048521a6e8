"""What Semaphore's "Restore project" takes, by its API description, and loading it with its secrets."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home
from ansible_collections.livchat.setup.plugins.plugin_utils._vault import Vault

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
    "vault_key": "keys",
}


def test_semaphore_would_restore_the_project(folder: Path) -> None:
    project = json.loads((folder / "semaphore/project.json").read_text())
    schema = json.loads(Path(__file__).with_name("semaphore_backup.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(project)
    known = {kind: {one.get("name", one.get("title")) for one in project[kind]} for kind in set(NAMED.values())}
    for part in ("templates", "repositories"):
        for one in [*project[part], *(vault for whole in project[part] for vault in whole.get("vaults", ()))]:
            named = {(kind, one[field]) for field, kind in NAMED.items() if isinstance(one.get(field), str)}
            assert all(name in known[kind] for kind, name in named), f"{one['name']}: a restore would stop here"
    assert [one["name"] for one in project["templates"]] == [one.name for one in EXPORTED]
    (environment,) = project["environments"]
    assert json.loads(environment["env"]) == {"LIVCHAT_HOME": CHOICES.home}
    # What an environment sets wins over answers.
    assert json.loads(environment["json"]) == {}


def test_each_job_is_given_the_secrets_from_the_key_store(folder: Path) -> None:
    project = json.loads((folder / "semaphore/project.json").read_text())
    # Of another type, a job would not start.
    assert {one["name"] for one in project["keys"] if one["type"] == "login_password"} == set(SECRETS)
    for template in project["templates"]:
        assert {one["name"]: one["vault_key"] for one in template["vaults"]} == {name: name for name in SECRETS}
        assert {one["type"] for one in template["vaults"]} == {"password"}, "one without a type is not asked for"


def test_what_a_vault_id_is_given_is_the_secret_of_that_name(
    ansible: Ansible, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Semaphore does with its keys; from files here, where nobody answers a prompt."""
    home = tmp_path / "lasting"
    monkeypatch.setenv("LIVCHAT_VAULT_PASSWORD", SECRETS["LIVCHAT_VAULT_PASSWORD"])
    Vault(Home(str(home))).set_all({"servers/prod/key": "kept", "tokens/hetzner": "old"})
    ids = []
    for name, secret in SECRETS.items():
        (tmp_path / name).write_text(f"{secret}\n")
        ids += ["--vault-id", f"{name}@{tmp_path / name}"]
    paths = "'tokens/hetzner', 'tokens/cloudflare', 'servers/prod/key'"
    asked = ("adhoc", "localhost", "-m", "debug", "-a", f"msg={{{{ lookup('livchat.setup.vaulted', {paths}) }}}}")
    printed = ansible(*asked, *ids, cwd=tmp_path, LIVCHAT_HOME=str(home))
    assert "canary-h,canary-c,kept" in printed
    printed = ansible(*asked, *ids, cwd=tmp_path, LIVCHAT_HOME=str(home), HCLOUD_TOKEN="of-the-environment")
    assert "of-the-environment,canary-c,kept" in printed


@pytest.mark.parametrize("tells_empty", [True, False])
def test_semaphore_is_given_the_project_and_the_secrets_once(folder: Path, ansible: Ansible, tells_empty: bool) -> None:
    instance = Semaphore(tells_empty)
    with Server(instance) as server:
        extra = {"SEMAPHORE_URL": server.url, "SEMAPHORE_TOKEN": TOKEN}
        load = ("playbook", "semaphore/load.yml", "-v")
        printed = ansible(*load, cwd=folder, **extra, **SECRETS)
        assert changed(printed) == 2
        assert instance.secrets == SECRETS
        other = {**SECRETS, "HCLOUD_TOKEN": "canary-other"}
        again = ansible(*load, cwd=folder, **extra, **other)
        assert changed(again) == 0 and len(instance.backups) == 1 and instance.secrets == SECRETS
        told = ansible(*load, "-e", "semaphore_update_secrets=true", cwd=folder, **extra, **other)
    assert changed(told) == 1 and instance.secrets == other
    assert instance.backups == [json.loads((folder / "semaphore/project.json").read_text())]
    assert "canary" not in printed + again + told


def test_a_key_that_is_still_empty_is_filled_later(folder: Path, ansible: Ansible) -> None:
    instance = Semaphore()
    with Server(instance) as server:
        extra = {"SEMAPHORE_URL": server.url, "SEMAPHORE_TOKEN": TOKEN}
        load = ("playbook", "semaphore/load.yml")
        ansible(*load, cwd=folder, **extra, HCLOUD_TOKEN=SECRETS["HCLOUD_TOKEN"])
        assert list(instance.secrets) == ["HCLOUD_TOKEN"]
        assert changed(ansible(*load, cwd=folder, **extra, **SECRETS)) == 1
    assert instance.secrets == SECRETS
