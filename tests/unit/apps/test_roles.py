"""Every role documents what it takes, and the roles of apps say what the definitions say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools import app_roles

ROOT = Path(__file__).parents[3]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text()) if path.exists() else {}


@pytest.mark.parametrize("role", ROLES)
def test_defaults_and_argument_specs_agree(role: str) -> None:
    defaults = _yaml(ROOT / "roles" / role / "defaults/main.yml") or {}
    specs = _yaml(ROOT / "roles" / role / "meta/argument_specs.yml")["argument_specs"]
    options = {name: one for entry in specs.values() for name, one in entry["options"].items()}
    assert {name for name, one in options.items() if not one.get("required")} == set(defaults)
    assert all(name.startswith(f"{role}_") for name in options)
    for name, one in options.items():
        if not one.get("required"):
            assert one["default"] == defaults[name], name


@pytest.mark.parametrize("role", ROLES)
def test_galaxy_takes_the_role(role: str) -> None:
    assert (ROOT / "roles" / role / "README.md").read_text().startswith(f"# livchat.setup.{role}\n")
    assert _yaml(ROOT / "roles" / role / "meta/main.yml")["galaxy_info"]["description"]


def test_the_roles_of_apps_are_what_the_definitions_say() -> None:
    for path, text in app_roles.all_files().items():
        assert (ROOT / "roles" / path).read_text() == text, f"roles/{path}: run `make docs`"


def test_a_roles_variables_reach_the_plan(tmp_path: Path) -> None:
    play = [
        {
            "hosts": "prod",
            "gather_facts": False,
            "connection": "local",
            "tasks": [
                {
                    "ansible.builtin.include_role": {"name": "livchat.setup.n8n"},
                    "vars": {"n8n_instance": "cliente1", "n8n_owner_email": "ana@example.com"},
                }
            ],
        }
    ]
    (tmp_path / "ansible.cfg").touch()
    (tmp_path / "play.yml").write_text(json.dumps(play))
    (tmp_path / "roles").mkdir()
    # In place of the role that goes to the server: one that tells what it was given.
    collection = tmp_path / "collections/ansible_collections/livchat/setup"
    (collection / "roles/app/tasks").mkdir(parents=True)
    (collection / "roles/n8n").symlink_to(ROOT / "roles/n8n")
    (collection / "galaxy.yml").write_text("namespace: livchat\nname: setup\nversion: 0.0.1\n")
    told = [{"ansible.builtin.debug": {"msg": "{{ app_names | to_json }} {{ app_variables | to_json }}"}}]
    (collection / "roles/app/tasks/deploy.yml").write_text(json.dumps(told))
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", "prod,", str(tmp_path / "play.yml")],
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "collections"),
            "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.replace("\\", "")
    assert '["n8n:cliente1"] {"n8n-cliente1": {"owner_email": "ana@example.com"}}' in said
