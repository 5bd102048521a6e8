# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""The operator's secrets: one JSON object in one file, encrypted by Ansible Vault."""

from __future__ import annotations

import copy
import json
import os
import re
import secrets
import string
import typing as t

from ansible import constants, context
from ansible.errors import AnsibleError
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible.release import __version__ as ansible_version

from ..module_utils._errors import LivchatError
from ._home import Home
from ._settings import Settings

FILE = "credentials.vault"
# Names a vault from elsewhere, such as the file that AWX makes of a credential: it is read, and never written.
CARRIED = "LIVCHAT_VAULT_FILE"
KEYRING_SERVICE = "livchat-setup"
ALPHABETS = {
    "alphanumeric": string.ascii_letters + string.digits,
    "hex": "0123456789abcdef",
}
# Secrets that a run may be given from outside: these beat the vault's, as what was rotated last.
ENVIRONMENT = {"tokens/hetzner": "HCLOUD_TOKEN", "tokens/cloudflare": "CLOUDFLARE_API_TOKEN"}
PASSWORD = "LIVCHAT_VAULT_PASSWORD"  # noqa: S105  # the variable's name
# Names in a path; a server's name may hold dots.
_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")


def generate(length: int = 32, charset: str = "alphanumeric") -> str:
    """A new secret; an alphanumeric one has a lower and an upper case letter and a digit, as applications demand."""
    while True:
        value = "".join(secrets.choice(ALPHABETS[charset]) for _character in range(length))
        if charset == "hex" or (value.lower() != value != value.upper() and any(map(str.isdigit, value))):
            return value


def given(name: str) -> str | None:
    """The environment's variable of that name, else the password that Ansible was given for a vault of that name.

    The latter is how Semaphore hands on a key of its key store: by `--vault-id NAME@prompt`, unseen in a process list.

    Raises:
        LivchatError: ANSIBLE_UNSUPPORTED, when Ansible was given one and this version of it does not say which.
    """
    if found := os.environ.get(name):
        return found
    try:
        # Ansible's own affair, which another version may keep elsewhere: only who needs it does without it then.
        from ansible.parsing.vault import VaultSecretsContext  # noqa: PLC0415
    except ImportError as error:
        named = (*context.CLIARGS.get("vault_ids", ()), *constants.DEFAULT_VAULT_IDENTITY_LIST)
        if any(one.partition("@")[0] == name for one in named):
            message = (
                f"ansible-core {ansible_version} does not hand on what --vault-id gave {name}: set it as a variable"
            )
            details = {"ansible": ansible_version, "vault_id": name}
            raise LivchatError("ANSIBLE_UNSUPPORTED", message, details) from error
        return None
    known = VaultSecretsContext.current(optional=True)
    return next((secret.bytes.decode() for vault, secret in known.secrets if vault == name), None) if known else None


class Vault:
    """Secrets by slash-separated path.

    Raises:
        LivchatError: VAULT_LOCKED (no password, or a wrong one), VAULT_READ_ONLY (a carried one would have to change),
            HOME_DAMAGED (not a vault).
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self.carried = os.environ.get(CARRIED) or None
        # An absolute path stays what it is.
        self._file = self.carried or FILE
        self._opened: tuple[tuple[int, int], dict[str, t.Any]] | None = None

    def get(self, path: str) -> str | None:
        """The secret at that path; for a token, the one that this run is given from outside, if there is one."""
        found = _find(self._load(), _keys(path))
        if path in ENVIRONMENT:
            found = given(ENVIRONMENT[path]) or found
        return found if isinstance(found, str) else None

    def values(self) -> list[str]:
        """All secrets, for who has to recognise them: those whose path says that they name somebody are none."""
        return [value for path, value in _leaves(self._load()) if not path.endswith("/username")]

    def paths(self) -> list[str]:
        """Where there is a secret, in order."""
        return sorted(path.removeprefix("/") for path, _value in _leaves(self._load()))

    def set(self, path: str, value: str) -> bool:
        """Keeps the secret; whether that changed anything."""
        return self.set_all({path: value})

    def set_all(self, values: dict[str, str]) -> bool:
        """Keeps several secrets in one write; whether that changed anything."""
        with self._home.lock():
            tree = self._load()
            if all(_find(tree, _keys(path)) == value for path, value in values.items()):
                return False
            for path, value in values.items():
                _put(tree, path, value)
            self._save(tree)
        return True

    def get_or_create(self, path: str, length: int = 32, charset: str = "alphanumeric") -> str:
        """The secret at that path, generated when there is none."""
        self.create_missing({path: {"length": length, "charset": charset}})
        return str(self.get(path))

    def create_missing(self, wanted: dict[str, dict[str, t.Any]]) -> list[str]:
        """Generates those that are not there, in one write; the paths of the new ones.

        Looking and writing happen under one lock: of two runs at once one makes a secret and the other finds it.
        """
        with self._home.lock():
            tree = self._load()
            missing = [path for path in sorted(wanted) if _find(tree, _keys(path)) is None]
            for path in missing:
                _put(tree, path, generate(**wanted[path]))
            if missing:
                self._save(tree)
        return missing

    def delete(self, path: str) -> bool:
        """Forgets the secret, or all below the path; whether there was something."""
        with self._home.lock():
            tree = self._load()
            *folders, last = _keys(path)
            place = _find(tree, folders)
            if not isinstance(place, dict) or last not in place:
                return False
            del place[last]
            self._save(tree)
        return True

    def names(self, path: str) -> list[str]:
        """What the secrets and folders right below the path are called."""
        found = _find(self._load(), _keys(path))
        return sorted(found) if isinstance(found, dict) else []

    def exists(self) -> bool:
        return os.path.exists(self._home.file(self._file))

    def password_known(self) -> bool:
        """Whether something gives a password, be it the right one or not."""
        try:
            return bool(self._password())
        except LivchatError as error:
            # A file that is named and cannot be read is no reason to look elsewhere.
            return error.details.get("password") != "unknown"

    def verify(self) -> None:
        """Raises what reading a secret would."""
        self._load()

    def _load(self) -> dict[str, t.Any]:
        try:
            stat = os.stat(self._home.file(self._file))
        except FileNotFoundError as error:
            if self.carried:
                message = f"{CARRIED} names {self.carried}, which is not there"
                raise LivchatError("VAULT_LOCKED", message, {"file": self.carried}) from error
            return {}
        version = (stat.st_mtime_ns, stat.st_ino)
        if not self._opened or self._opened[0] != version:
            self._opened = (version, self._open(self._home.read(self._file) or ""))
        return copy.deepcopy(self._opened[1])

    def _open(self, text: str) -> dict[str, t.Any]:
        library = self._library()
        try:
            return _parsed(text, library)
        except ValueError as error:
            raise self._home.damaged(self._file, str(error), lambda backup: _parsed(backup, library)) from error
        except AnsibleError as error:
            # A wrong password and a damaged cipher text look the same.
            message = f"{self._home.file(self._file)} does not open with this password: a wrong one, or a damaged file"
            raise LivchatError("VAULT_LOCKED", message, {"backups": self._home.backups(self._file)[-1:]}) from error

    def check_writable(self) -> None:
        """Raises VAULT_READ_ONLY where a change could not be kept."""
        if self.carried:
            message = (
                f"the vault comes from {self.carried} ({CARRIED}), which cannot be written: what changes a secret "
                "needs a home that lasts, with the vault in it; run it there"
            )
            raise LivchatError("VAULT_READ_ONLY", message, {"file": self.carried})

    def _save(self, tree: dict[str, t.Any]) -> None:
        self.check_writable()
        encrypted = self._library().encrypt(json.dumps(tree, sort_keys=True))
        self._home.write(FILE, encrypted.decode())
        self._opened = None

    def _library(self) -> VaultLib:
        return VaultLib([("default", VaultSecret(self._password()))])

    def _password(self) -> bytes:
        path = os.environ.get("LIVCHAT_VAULT_PASSWORD_FILE")
        if not path and (told := given(PASSWORD)):
            return told.encode()
        path = path or Settings(self._home).get("vault.password_file")
        if path:
            try:
                with open(os.path.expanduser(path), "rb") as handle:
                    password = handle.read().strip()
            except OSError as error:
                raise LivchatError("VAULT_LOCKED", f"the vault's password file {path}: {error.strerror}") from error
            if not password:
                raise LivchatError("VAULT_LOCKED", f"the vault's password file {path} is empty")
            return password
        try:
            # Importing it costs 100 ms, and where it is missing there are other ways to give the password.
            import keyring  # noqa: PLC0415

            if kept := keyring.get_password(KEYRING_SERVICE, self._home.path):
                return kept.encode()
        except Exception:  # noqa: S110  # no keyring here, however it says so, is no password
            pass
        raise LivchatError(
            "VAULT_LOCKED",
            "the vault's password is unknown: set LIVCHAT_VAULT_PASSWORD_FILE, or run `livchat-setup init`",
            {"password": "unknown"},
        )


def _leaves(tree: t.Any, path: str = "") -> t.Iterator[tuple[str, str]]:
    for key, one in tree.items():
        if isinstance(one, dict):
            yield from _leaves(one, f"{path}/{key}")
        else:
            yield f"{path}/{key}", str(one)


def _find(tree: t.Any, keys: list[str]) -> t.Any:
    for key in keys:
        if not isinstance(tree, dict) or key not in tree:
            return None
        tree = tree[key]
    return tree


def _parsed(text: str, library: VaultLib) -> dict[str, t.Any]:
    """The secrets in the file's text; ValueError when it is no vault of ours, AnsibleError when it does not open."""
    if not text.startswith("$ANSIBLE_VAULT;"):
        raise ValueError("it is no Ansible Vault")
    # What json says of a text quotes it, and this one is secret.
    try:
        tree = json.loads(library.decrypt(text))
    except ValueError:
        tree = None
    if not isinstance(tree, dict):
        raise ValueError("its content is no JSON object")
    return tree


def _keys(path: str) -> list[str]:
    if not _PATH.fullmatch(path):
        message = (
            f"{path!r} is no path of the vault: names of letters, digits and ._- joined by /, such as tokens/hetzner"
        )
        raise LivchatError("VAULT_PATH_INVALID", message, {"path": path})
    return path.split("/")


def _put(tree: dict[str, t.Any], path: str, value: str) -> None:
    place = tree
    *folders, last = _keys(path)
    for folder in folders:
        place = place.setdefault(folder, {})
        if not isinstance(place, dict):
            raise LivchatError("VAULT_PATH_INVALID", f"{path}: {folder} is a secret already", {"path": path})
    if isinstance(place.get(last), dict):
        raise LivchatError("VAULT_PATH_INVALID", f"{path}: there are secrets below it already", {"path": path})
    place[last] = value
