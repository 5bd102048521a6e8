"""What AWX takes, through its own collection, and what its own rules say of a survey."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.livchat.setup.plugins.plugin_utils._vault import ENVIRONMENT

from livchat_cli.export import awx
from livchat_cli.operations import Operation
from tests import awx_inventory

from .awx_stand_in import Controller
from .conftest import CHOICES, EXPORTED, SECRETS, Ansible, changed
from .stand_in import TOKEN, Server

ROOT = Path(__file__).parents[4]


class _Loader(yaml.SafeLoader):
    """Knows Ansible's mark for a text that is no template."""


_Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


def _loaded(folder: Path) -> Any:
    return yaml.load((folder / "awx/load.yml").read_text(), Loader=_Loader)  # noqa: S506  # it is a safe one


@pytest.fixture(scope="session")
def awx_collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with AWX's own collection, out of the last release of `ansible` that carries it; kept between runs."""
    lock = ROOT / "requirements/awx.txt"
    kept = ROOT / ".cache" / f"awx-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    if not kept.exists():
        wheels = tmp_path_factory.mktemp("wheels")
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--require-hashes", "-d", str(wheels)]
        subprocess.run([*command, "-r", str(lock)], check=True)
        (wheel,) = wheels.glob("*.whl")
        unpacked = kept.with_suffix(f".{os.getpid()}")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(
                unpacked, [one for one in archive.namelist() if one.startswith("ansible_collections/awx/")]
            )
        unpacked.rename(kept)
    return kept


def test_awx_takes_the_export_with_its_own_collection(folder: Path, ansible: Ansible, awx_collection: Path) -> None:
    controller = Controller()
    with Server(controller) as server:
        extra = {"CONTROLLER_HOST": server.url, "CONTROLLER_OAUTH_TOKEN": TOKEN, **SECRETS}
        load = ("playbook", "awx/load.yml", "-v")
        printed = ansible(*load, cwd=folder, collections=awx_collection, **extra)
        # Four types of credentials, three credentials, the image, the inventory, its source, and the templates.
        assert changed(printed) == 10 + len(EXPORTED)
        # Nothing differs now; only that the project would be read again, AWX's collection calls a change in check mode.
        checked = ansible(*load, "--check", cwd=folder, collections=awx_collection, **extra)
    assert changed(checked) == 1
    assert "canary" not in printed + checked
    templates = controller.names("job_templates")
    assert list(templates) == [f"livchat.setup {one.name}" for one in EXPORTED]
    for operation in EXPORTED:
        template = templates[f"livchat.setup {operation.name}"]
        number = next(key for key, one in controller.kinds["job_templates"].items() if one is template)
        assert controller.surveys.get(number, {}) == awx.survey(operation)
        assert template["survey_enabled"] is bool(operation.schema())
        assert template["playbook"] == f"{operation.name.replace('.', '_')}.yml"
        assert len(controller.associated[number]) == 3
    assert sorted(one for inputs in controller.secrets.values() for one in inputs.values()) == sorted(
        [CHOICES.home, *SECRETS.values()]
    )


def test_awx_needs_no_token_for_a_dns_that_is_not_managed(folder: Path, ansible: Ansible, awx_collection: Path) -> None:
    controller = Controller()
    with Server(controller) as server:
        extra = {"CONTROLLER_HOST": server.url, "CONTROLLER_OAUTH_TOKEN": TOKEN, **SECRETS}
        del extra["CLOUDFLARE_API_TOKEN"]
        # One template is enough to see what each is given.
        book = (folder / "awx/load.yml").read_text()
        first = book.index("- name: Job template ")
        (folder / "awx/load.yml").write_text(book[: book.index("- name: Job template ", first + 1)])
        load = ("playbook", "awx/load.yml", "-v")
        refused = ansible(*load, cwd=folder, collections=awx_collection, failing=True, **extra)
        assert "CLOUDFLARE_API_TOKEN" in refused and not controller.kinds.get("credentials")
        (folder / "settings.yml").write_text("dns: {provider: none}\n")
        ansible(*load, cwd=folder, collections=awx_collection, **extra)
    assert sorted(controller.names("credentials")) == ["livchat.setup servers", "livchat.setup vault"]
    assert [len(one) for one in controller.associated.values()] == [2]


@pytest.mark.parametrize("operation", EXPORTED, ids=lambda one: one.name)
def test_awx_would_take_each_survey(operation: Operation) -> None:
    """The rules of AWX's own check of a survey."""
    kinds = {
        "text": str,
        "textarea": str,
        "password": str,
        "multiplechoice": str,
        "multiselect": str,
        "integer": int,
        "float": (int, float),
    }
    for question in awx.survey(operation).get("spec", []):
        assert set(question) <= {
            *("question_name", "question_description", "variable", "type", "required"),
            *("default", "choices", "min", "max"),
        }
        assert isinstance(question["question_name"], str) and isinstance(question["required"], bool)
        if "default" in question:
            assert isinstance(question["default"], kinds[question["type"]])  # type: ignore[arg-type]
        if question["type"] == "multiplechoice":
            assert question["choices"] and question.get("default", question["choices"][0]) in question["choices"]
        if question["type"] == "multiselect":
            assert question["choices"] and set(question.get("default", "").split()) <= set(question["choices"])
        assert all(isinstance(question.get(limit, 0), int) for limit in ("min", "max"))
        # AWX takes an empty text for the answer that it requires, but for one that is too short.
        if question["required"] and kinds[question["type"]] is str and "choices" not in question:
            assert question["min"] >= 1


def test_awx_injects_what_the_collection_reads(folder: Path) -> None:
    (play,) = _loaded(folder)
    types = [one["awx.awx.credential_type"] for one in play["tasks"] if "awx.awx.credential_type" in one]
    injected = [name for one in types for name in one["injectors"]["env"]]
    assert sorted(injected) == sorted(
        [*ENVIRONMENT.values(), "LIVCHAT_HOME", "LIVCHAT_VAULT_PASSWORD_FILE", "LIVCHAT_VAULT_FILE"]
    )
    for one in types:
        fields = {field["id"] for field in one["inputs"]["fields"]}
        used = json.dumps(one["injectors"])
        assert all(f"{{{{ {name} }}}}" in used for name in fields)


@pytest.mark.parametrize("hosts", [{}, {"prod": {"ansible_host": "203.0.113.7", "labels": ["a:b", "[c]"]}}], ids=len)
def test_a_job_of_awx_reads_the_inventory_that_awx_gives_it(
    folder: Path, tmp_path: Path, ansible: Ansible, hosts: dict[str, Any]
) -> None:
    given = {"all": {"children": ["managed"]}, "managed": {"hosts": list(hosts)}, "_meta": {"hostvars": hosts}}
    program = awx_inventory.write(tmp_path / "hosts", given)
    printed = ansible("inventory", "-i", str(program), "--list", cwd=folder, ANSIBLE_CONFIG=str(folder / "ansible.cfg"))
    assert json.JSONDecoder().raw_decode(printed, printed.index("{"))[0]["_meta"]["hostvars"] == hosts
