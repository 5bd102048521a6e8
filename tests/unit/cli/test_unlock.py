"""The command line at a terminal, when only the person knows the vault's password."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pexpect
import pytest
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home
from ansible_collections.livchat.setup.plugins.plugin_utils._vault import Vault

PASSWORD = "correct horse battery"
QUESTION = "Password of the vault"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIVCHAT_VAULT_PASSWORD", PASSWORD)
    made = Home(str(tmp_path / "home"))
    made.make()
    Vault(made).set("some/secret", "value")
    monkeypatch.delenv("LIVCHAT_VAULT_PASSWORD")
    return Path(made.path)


def terminal(home: Path, *arguments: str) -> pexpect.spawn[str]:
    """The command at a terminal of its own, where no desktop's keyring is."""
    environment = {**os.environ, "LIVCHAT_HOME": str(home), "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
    environment.pop("HCLOUD_TOKEN", None)
    command = ["-m", "livchat_cli", *arguments]
    return pexpect.spawn(sys.executable, command, env=environment, encoding="utf-8", timeout=30)


def test_a_wrong_password_is_asked_for_again_and_never_shown(home: Path) -> None:
    screen = terminal(home, "server", "list")
    screen.expect(QUESTION)
    screen.sendline("wrong")
    screen.expect("does not open")
    screen.expect(QUESTION)
    screen.sendline(PASSWORD)
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == 0
    assert "no servers" in screen.before
    assert PASSWORD not in screen.before
    assert not [path for path in home.rglob("*") if path.is_file() and PASSWORD in path.read_text(errors="replace")]


def test_three_wrong_passwords_end_it(home: Path) -> None:
    screen = terminal(home, "server", "list")
    for _ in range(3):
        screen.expect(QUESTION)
        screen.sendline("wrong")
    screen.expect("VAULT_LOCKED")
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == 5
    assert not (home / "jobs").exists()
