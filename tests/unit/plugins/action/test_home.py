"""The home of a machine that has none of its own: a directory that lasts, or a vault that is brought along."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.livchat.setup.plugins.plugin_utils._audit import Audit
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home

from .conftest import Play

READY = {"name": "ready", "livchat.setup.home": {"settings": {"dns": {"zone": "example.com"}}}}
KEY = {"name": "key", "livchat.setup.ssh_keypair": {"name": "prod"}}


def test_a_directory_that_is_not_there_is_not_made(play: Play, tmp_path: Path) -> None:
    assert play([READY], failing=True)["ready"]["error"]["code"] == "HOME_MISSING"
    # Not by the audit log either: the next run would take it for the one that lasts.
    assert not (tmp_path / "home").exists()


def test_settings_are_set_and_keys_put_back(play: Play, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.yaml").write_text("dns: {zone: example.org}\nacme: {email: me@example.com}\n")
    play([KEY])
    private = (home / "ssh_keys" / "prod").read_text()
    shutil.rmtree(home / "ssh_keys")
    checked = play([READY], "--check", "--diff")["ready"]
    assert checked["changed"] and "+dns.zone" not in json.dumps(checked) and not (home / "ssh_keys").exists()
    assert "dns.zone: example.com" in checked["diff"]["after"] and "example.org" in checked["diff"]["before"]
    done = play([READY, {**READY, "name": "again"}])
    assert (done["ready"]["changed"], done["ready"]["restored"]) == (True, ["prod"])
    assert not done["again"]["changed"] and done["again"]["restored"] == []
    assert (home / "ssh_keys" / "prod").read_text() == private
    settings = yaml.safe_load((home / "config.yaml").read_text())
    assert settings == {"dns": {"zone": "example.com"}, "acme": {"email": "me@example.com"}}


def test_a_setting_that_is_none_is_refused(play: Play, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    wrong = {"name": "ready", "livchat.setup.home": {"settings": {"dns": {"zones": "example.com"}}}}
    assert play([wrong], failing=True)["ready"]["error"]["code"] == "SETTING_INVALID"


def test_a_vault_that_is_brought_along_is_read_and_never_written(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVCHAT_VAULT_PASSWORD", "a password")
    (tmp_path / "home").mkdir()
    play([KEY])
    carried = tmp_path / "carried"
    shutil.move(tmp_path / "home" / "credentials.vault", carried)
    shutil.rmtree(tmp_path / "home")
    before = carried.read_bytes()
    brought = {"LIVCHAT_VAULT_FILE": str(carried)}
    # Below a file nobody makes a directory, as below /var/lib nobody but root.
    nowhere = play([READY], failing=True, environment=brought, livchat_home=str(carried / "home"))["ready"]["error"]
    assert nowhere["code"] == "HOME_UNWRITABLE" and "/tmp/livchat" in nowhere["message"]
    done = play([READY, KEY], "--check", environment=brought)
    # The home goes with the run, so that it is filled in check mode too, and counts as no change.
    assert not done["ready"]["changed"] and done["ready"]["restored"] == ["prod"]
    assert not done["key"]["changed"]
    new = {"name": "new", "livchat.setup.ssh_keypair": {"name": "staging"}}
    assert play([READY, new], failing=True, environment=brought)["new"]["error"]["code"] == "VAULT_READ_ONLY"
    gone = {"name": "gone", "livchat.setup.ssh_keypair": {"name": "prod", "state": "absent"}}
    assert play([READY, gone], failing=True, environment=brought)["gone"]["error"]["code"] == "VAULT_READ_ONLY"
    lasting = {"name": "ready", "livchat.setup.home": {"lasting": True}}
    assert play([lasting], failing=True, environment=brought)["ready"]["error"]["code"] == "VAULT_READ_ONLY"
    assert carried.read_bytes() == before and not (tmp_path / "home" / "credentials.vault").exists()


def test_the_audit_log_names_who_asked_in_awx_and_semaphore(play: Play, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    play([READY], awx_user_name="ana")
    play([READY], semaphore_vars={"task_details": {"username": "bruno"}})
    play([READY])
    ended = [line for line in Audit(Home(str(tmp_path / "home"))).lines() if line["outcome"] == "success"]
    assert [line["actor"] for line in ended] == ["ana", "bruno", "a test"]


ANSWERS: dict[str, Any] = {
    "schema": {
        "properties": {
            "name": {"type": "string", "pattern": "^[a-z]+$", "x-allowed": "lower case letters"},
            "target": {"type": "array", "items": {"type": "string", "pattern": "^[a-z]+$"}, "default": []},
            "confirm_name": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        },
        "required": ["name"],
    },
    "confirm": "name",
    "pattern": "target",
}


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ({"name": "Prod"}, "INPUT_INVALID"),
        ({"name": "prod", "confirm_name": ""}, "CONFIRMATION_REQUIRED"),
        ({"name": "prod", "confirm_name": "staging"}, "CONFIRMATION_MISMATCH"),
    ],
)
def test_answers_that_do_not_do_end_the_run(play: Play, answers: dict[str, str], code: str) -> None:
    task = {"name": "read", "livchat.setup.answers": {**ANSWERS, "answers": answers}}
    assert play([task], "--check", failing=True)["read"]["error"]["code"] == code


def test_servers_become_one_pattern_and_none_is_no_answer(play: Play) -> None:
    confirmed = {"name": "prod", "confirm_name": "prod"}
    read = {"name": "read", "livchat.setup.answers": {**ANSWERS, "answers": {**confirmed, "target": "one, two"}}}
    none = {"name": "none", "livchat.setup.answers": {**ANSWERS, "answers": {**confirmed, "target": ""}}}
    results = play([read, none])
    assert results["read"]["given"] == {**confirmed, "target": "one,two"}
    assert results["none"]["given"] == confirmed and not results["none"]["changed"]


def test_a_server_of_the_state_has_the_variables_that_the_inventory_gives(play: Play, tmp_path: Path) -> None:
    record = {
        "provider": "hetzner",
        "id": "42",
        "ip_address": "203.0.113.7",
        "metadata": {"private_key": "prod", "domain": "prod.example.com"},
    }
    tasks = [
        {"name": "remember", "livchat.setup.state": {"server": "prod", "record": record}},
        {"name": "look", "ansible.builtin.debug": {"msg": "{{ lookup('livchat.setup.server', 'prod') }}"}},
    ]
    found = play(tasks)["look"]["msg"]
    assert found["ansible_host"] == "203.0.113.7" and found["server_domain"] == "prod.example.com"
    assert found["ansible_ssh_private_key_file"] == str(tmp_path / "home" / "ssh_keys" / "prod")
    assert "HostKeyAlias=hetzner-42" in found["ansible_ssh_common_args"]
    unknown = {"name": "look", "ansible.builtin.debug": {"msg": "{{ lookup('livchat.setup.server', 'other') }}"}}
    assert "SERVER_UNKNOWN" in play([unknown], failing=True)["look"]["msg"]
