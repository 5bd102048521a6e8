# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""The operator's secrets: one JSON object in one file, encrypted by Ansible Vault."""

from __future__ import annotations

import json
import os
import secrets
import string
import typing as t

from ansible.errors import AnsibleError
from ansible.parsing.vault import VaultLib, VaultSecret

from ..module_utils._errors import LivchatError
from ._home import Home
from ._settings import Settings

FILE = "credentials.vault"
KEYRING_SERVICE = "livchat-setup"
ALPHABETS = {
    "alphanumeric": string.ascii_letters + string.digits,
    "hex": "0123456789abcdef",
}
# Where a secret that the vault lacks may come from instead.
ENVIRONMENT = {"tokens/hetzner": "HCLOUD_TOKEN", "tokens/cloudflare": "CLOUDFLARE_API_TOKEN"}


def generate(length: int = 32, charset: str = "alphanumeric") -> str:
    """A new secret; an alphanumeric one has a lower case letter, an upper case one and a digit, as applications demand."""
    while True:
        value = "".join(secrets.choice(ALPHABETS[charset]) for _ in range(length))
        if charset == "hex" or (value.lower() != value != value.upper() and any(map(str.isdigit, value))):
            return value


class Vault:
    """Secrets by slash-separated path.

    Raises:
        LivchatError: VAULT_LOCKED (no password, or a wrong one), HOME_DAMAGED (not a vault).
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._opened: tuple[tuple[int, int], dict[str, t.Any]] | None = None

    def get(self, path: str) -> str | None:
        """The secret at that path; for a token, the environment's when the vault has none."""
        found = _find(self._load(), path.split("/"))
        if found is None and path in ENVIRONMENT:
            return os.environ.get(ENVIRONMENT[path]) or None
        return found if isinstance(found, str) else None

    def set(self, path: str, value: str) -> bool:
        """Keeps the secret; whether that changed anything."""
        return self.set_all({path: value})

    def set_all(self, values: dict[str, str]) -> bool:
        """Keeps several secrets in one write; whether that changed anything."""
        with self._home.lock():
            tree = self._load()
            if all(_find(tree, path.split("/")) == value for path, value in values.items()):
                return False
            for path, value in values.items():
                place = tree
                *folders, last = path.split("/")
                for folder in folders:
                    place = place.setdefault(folder, {})
                place[last] = value
            self._save(tree)
        return True

    def delete(self, path: str) -> bool:
        """Forgets the secret, or all below the path; whether there was something."""
        with self._home.lock():
            tree = self._load()
            *folders, last = path.split("/")
            place: t.Any = tree
            for folder in folders:
                place = place.get(folder, {})
            if last not in place:
                return False
            del place[last]
            self._save(tree)
        return True

    def exists(self) -> bool:
        return os.path.exists(self._home.file(FILE))

    def _load(self) -> dict[str, t.Any]:
        try:
            stat = os.stat(self._home.file(FILE))
        except FileNotFoundError:
            return {}
        version = (stat.st_mtime_ns, stat.st_ino)
        if self._opened and self._opened[0] == version:
            return self._opened[1]
        text = self._home.read(FILE) or ""
        if not text.startswith("$ANSIBLE_VAULT;"):
            raise self._home.damaged(FILE, "it is no Ansible Vault")
        try:
            tree = json.loads(self._library().decrypt(text))
        except AnsibleError as error:
            raise LivchatError("VAULT_LOCKED", f"{self._home.file(FILE)} does not open with this password") from error
        except ValueError as error:
            raise self._home.damaged(FILE, "its content is no JSON") from error
        self._opened = (version, tree)
        return tree  # type: ignore[no-any-return]

    def _save(self, tree: dict[str, t.Any]) -> None:
        encrypted = self._library().encrypt(json.dumps(tree, sort_keys=True))
        self._home.write(FILE, encrypted.decode())
        self._opened = None

    def _library(self) -> VaultLib:
        return VaultLib([("default", VaultSecret(self._password()))])

    def _password(self) -> bytes:
        path = os.environ.get("LIVCHAT_VAULT_PASSWORD_FILE")
        if not path and (given := os.environ.get("LIVCHAT_VAULT_PASSWORD")):
            return given.encode()
        path = path or Settings(self._home).get("vault.password_file")
        if path:
            try:
                with open(os.path.expanduser(path), "rb") as handle:
                    return handle.read().strip()
            except OSError as error:
                raise LivchatError("VAULT_LOCKED", f"the vault's password file {path}: {error.strerror}") from error
        try:
            import keyring

            if kept := keyring.get_password(KEYRING_SERVICE, self._home.path):
                return kept.encode()
        except Exception:  # noqa: BLE001, S110  # no keyring here, however it says so, is no password
            pass
        raise LivchatError(
            "VAULT_LOCKED",
            "the vault's password is unknown: set LIVCHAT_VAULT_PASSWORD_FILE, or run `livchat-setup init`",
        )


def _find(tree: t.Any, keys: list[str]) -> t.Any:
    for key in keys:
        if not isinstance(tree, dict) or key not in tree:
            return None
        tree = tree[key]
    return tree
