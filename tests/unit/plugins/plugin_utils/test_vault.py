from __future__ import annotations

import multiprocessing
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible import context
from ansible.parsing import vault as ansible_vault
from ansible.utils.context_objects import CLIArgs
from ansible_collections.livchat.setup.plugins.module_utils._errors import LivchatError
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home
from ansible_collections.livchat.setup.plugins.plugin_utils._vault import ENVIRONMENT, Vault, generate, given


def test_a_secret_comes_back_and_never_stands_in_the_file(home: Home) -> None:
    Vault(home).set("tokens/hetzner", "very-secret")
    text = home.read("credentials.vault") or ""
    assert text.startswith("$ANSIBLE_VAULT;")
    assert "very-secret" not in text and "hetzner" not in text
    assert stat.S_IMODE(Path(home.file("credentials.vault")).stat().st_mode) == 0o600
    assert Vault(home).get("tokens/hetzner") == "very-secret"
    assert Vault(home).get("tokens") is None
    assert Vault(home).get("tokens/none") is None


def test_setting_the_same_again_writes_nothing(home: Home) -> None:
    vault = Vault(home)
    assert vault.set("a/b", "x")
    before = home.read("credentials.vault")
    assert not vault.set("a/b", "x")
    assert home.read("credentials.vault") == before


def test_a_wrong_password_is_said_and_destroys_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    Vault(home).set("a/b", "x")
    before = home.read("credentials.vault")
    monkeypatch.setenv("LIVCHAT_VAULT_PASSWORD", "another")
    for attempt in (lambda: Vault(home).get("a/b"), lambda: Vault(home).set("a/c", "y")):
        with pytest.raises(LivchatError) as caught:
            attempt()
        assert caught.value.code == "VAULT_LOCKED"
        assert "another" not in caught.value.message
    assert home.read("credentials.vault") == before


def test_a_file_that_is_no_vault_names_its_good_backup(home: Home) -> None:
    vault = Vault(home)
    vault.set("a", "1")
    vault.set("a", "2")
    Path(home.file("credentials.vault")).write_text("")
    with pytest.raises(LivchatError) as caught:
        vault.set("a", "3")
    assert caught.value.code == "HOME_DAMAGED"
    assert caught.value.details["backup"] == home.backups("credentials.vault")[-1]
    assert home.read("credentials.vault") == ""


def test_the_password_file_wins_and_must_hold_something(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "password"
    file.write_text("from the file\n")
    monkeypatch.setenv("LIVCHAT_VAULT_PASSWORD_FILE", str(file))
    Vault(home).set("a", "1")
    monkeypatch.delenv("LIVCHAT_VAULT_PASSWORD_FILE")
    monkeypatch.setenv("LIVCHAT_VAULT_PASSWORD", "from the file")
    assert Vault(home).get("a") == "1"
    file.write_text("\n")
    monkeypatch.setenv("LIVCHAT_VAULT_PASSWORD_FILE", str(file))
    with pytest.raises(LivchatError, match="is empty"):
        Vault(home).get("a")
    monkeypatch.setenv("LIVCHAT_VAULT_PASSWORD_FILE", str(tmp_path / "none"))
    with pytest.raises(LivchatError, match="No such file"):
        Vault(home).get("a")


def test_a_token_that_a_run_is_given_beats_that_of_the_vault(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = Vault(home)
    for path, variable in ENVIRONMENT.items():
        monkeypatch.setenv(variable, "from-environment")
        assert vault.get(path) == "from-environment"
        vault.set(path, "from-vault")
        # A token is rotated where it is given; the vault would go on with the old one.
        assert vault.get(path) == "from-environment"
        monkeypatch.setenv(variable, "")
        assert vault.get(path) == "from-vault"


@pytest.mark.parametrize("path", ["", "/a", "a/", "a//b", "../a", "a/../b", "a b", "a\n"])
def test_a_path_that_is_none_is_refused(home: Home, path: str) -> None:
    with pytest.raises(LivchatError, match="VAULT_PATH_INVALID"):
        Vault(home).set(path, "x")


def test_a_secret_is_not_replaced_by_a_folder_nor_a_folder_by_a_secret(home: Home) -> None:
    vault = Vault(home)
    vault.set("a/b", "x")
    for path in ("a/b/c", "a"):
        with pytest.raises(LivchatError, match="VAULT_PATH_INVALID"):
            vault.set(path, "y")
    assert vault.get("a/b") == "x"


def test_deleting_a_folder_deletes_what_is_below(home: Home) -> None:
    vault = Vault(home)
    vault.set_all({"servers/prod/apps/n8n/key": "1", "servers/other/key": "2"})
    assert vault.delete("servers/prod")
    assert not vault.delete("servers/prod")
    assert vault.get("servers/prod/apps/n8n/key") is None
    assert vault.get("servers/other/key") == "2"


def create(path: str, results: Any) -> None:
    results.put(Vault(Home(path)).get_or_create("servers/prod/apps/n8n/encryption_key", length=48))


def test_of_many_at_once_one_makes_the_secret_and_all_get_it(home: Home) -> None:
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    workers = [context.Process(target=create, args=(home.path, results)) for _ in range(4)]
    for worker in workers:
        worker.start()
    values = {results.get(timeout=30) for _ in workers}
    for worker in workers:
        worker.join()
    assert len(values) == 1
    assert len(values.pop()) == 48


def test_what_exists_is_never_generated_again(home: Home) -> None:
    vault = Vault(home)
    how = {"length": 20, "charset": "hex"}
    assert vault.create_missing({"a/x": how, "a/y": how}) == ["a/x", "a/y"]
    kept = vault.get("a/x")
    assert vault.create_missing({"a/x": how, "a/z": how}) == ["a/z"]
    assert vault.get("a/x") == kept


def test_generated_passwords_have_what_applications_demand() -> None:
    for _ in range(200):
        value = generate(16)
        assert len(value) == 16
        assert any(map(str.islower, value)) and any(map(str.isupper, value)) and any(map(str.isdigit, value))
    assert set(generate(64, "hex")) <= set("0123456789abcdef")


def test_a_vault_from_elsewhere_that_is_not_there_is_no_empty_one(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVCHAT_VAULT_FILE", home.file("brought"))
    with pytest.raises(LivchatError) as caught:
        Vault(home).get("tokens/hetzner")
    assert caught.value.code == "VAULT_LOCKED" and "LIVCHAT_VAULT_FILE" in caught.value.message


def test_an_ansible_that_hides_its_vault_ids_is_a_matter_of_those_who_gave_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(ansible_vault, "VaultSecretsContext")
    monkeypatch.delenv("HCLOUD_TOKEN", raising=False)
    assert given("HCLOUD_TOKEN") is None
    monkeypatch.setattr(context, "CLIARGS", CLIArgs({"vault_ids": ["HCLOUD_TOKEN@prompt"]}))
    assert given("CLOUDFLARE_API_TOKEN") is None
    with pytest.raises(
        LivchatError, match=r"ansible-core .* does not hand on what --vault-id gave HCLOUD_TOKEN"
    ) as caught:
        given("HCLOUD_TOKEN")
    assert caught.value.code == "ANSIBLE_UNSUPPORTED"
    monkeypatch.setenv("HCLOUD_TOKEN", "x")
    assert given("HCLOUD_TOKEN") == "x"
