"""`init`: the operator's home, its vault, tokens and settings; all answers are tried before any is kept."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from livchat_cli import collection, console, probes, unlock
from livchat_cli.errors import LivchatError

collection.activate()

from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._settings import FILES, Settings, check  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._vault import KEYRING_SERVICE, Vault  # noqa: E402

TOKENS = {
    "hetzner": ("HCLOUD_TOKEN", "Hetzner Cloud API token (Read & Write)"),
    "cloudflare": ("CLOUDFLARE_API_TOKEN", "Cloudflare API token (Zone Read and DNS Edit on the zone)"),
}
_ZONE = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


@dataclass(frozen=True)
class _Asked:
    """A setting that nobody can guess."""

    question: str
    pattern: re.Pattern[str]
    example: str


_ASKED = {
    "dns.zone": _Asked("DNS zone", _ZONE, "example.com"),
    "acme.email": _Asked("E-mail address for the certificate authority", _EMAIL, "me@example.com"),
}


@dataclass
class Answers:
    """What the command line answered; None is what it left open."""

    settings: dict[str, Any] = field(default_factory=dict)
    token_files: dict[str, str | None] = field(default_factory=dict)
    vault_password_file: str | None = None


class Initialiser:
    """Safe to repeat: what is there stays unless it is answered anew."""

    def __init__(self, home: Path, answers: Answers, asking: bool) -> None:
        self._home = Home(str(home))
        self._settings = Settings(self._home)
        self._vault = Vault(self._home)
        self._answers = answers
        self._asking = asking
        # What was answered, and is not kept yet.
        self._chosen: dict[str, Any] = {}

    def run(self) -> dict[str, Any]:
        """What was made and found.

        Raises:
            LivchatError: an answer is not allowed, or an API refused a token. Of the answers none was kept but where
                the vault's password is.
        """
        self._home.make()
        self._chosen = self._settings_given()
        for key, value in self._chosen.items():
            check(key, value)
        # First, since the vault is read for tokens that are there already.
        changed = self._settings.update(self._vault_password())
        checks: dict[str, str] = {}
        tokens: dict[str, str] = {}
        endpoint = self._wanted("providers.hetzner.api_endpoint")
        checks["hetzner"] = self._token("hetzner", tokens, lambda token: probes.hetzner(token, endpoint))
        if self._wanted("dns.provider") == "cloudflare":
            checks["zone"] = self._zone(tokens)
        else:
            checks["zone"] = "not managed (dns.provider is none)"
        checks["acme"] = probes.acme(self._wanted("acme.server"), self._wanted("acme.ca_file"))
        changed |= self._settings.update(self._chosen)
        changed |= self._vault.set_all({f"tokens/{name}": token for name, token in tokens.items()})
        return {"home": self._home.path, "changed": changed, "checks": checks}

    def _wanted(self, key: str) -> Any:
        """The setting as it will be."""
        return self._chosen[key] if key in self._chosen else self._settings.get(key)

    def _settings_given(self) -> dict[str, Any]:
        """Answers of the command line, then of the person, checked."""
        given = {key: value for key, value in self._answers.settings.items() if value not in (None, "", [])}
        for key in FILES:
            if key in given:
                given[key] = str(Path(given[key]).expanduser().absolute())
        for key, asked in _ASKED.items():
            if self._asking and key not in given:
                given[key] = self._ask(key)
            known = given.get(key) or self._settings.get(key)
            if not known:
                option = key.replace("dns.", "").replace(".", "-")
                raise LivchatError("SETTING_INVALID", f"{key}: give it with --{option}, such as {asked.example}")
            _check_text(key, known)
        return given

    def _ask(self, key: str) -> str:
        """What the person answers, once it is allowed."""
        while True:
            answer = str(typer.prompt(_ASKED[key].question, default=self._settings.get(key) or None, err=True)).strip()
            try:
                _check_text(key, answer)
            except LivchatError as error:
                console.note(error.message)
            else:
                return answer

    def _vault_password(self) -> dict[str, str]:
        """A password for the vault, made when there is none; the setting that says where it is."""
        if given := self._answers.vault_password_file:
            path = Path(given).expanduser().absolute()
            _make_password(path)
            return {"vault.password_file": str(path)}
        known = any(os.environ.get(name) for name in ("LIVCHAT_VAULT_PASSWORD_FILE", "LIVCHAT_VAULT_PASSWORD"))
        if known or self._settings.get("vault.password_file") or self._keyring():
            return {}
        advice = "this machine has no keyring: give --vault-password-file FILE, which is made when absent"
        if not self._asking:
            raise LivchatError("VAULT_LOCKED", advice)
        if self._vault.exists():
            unlock.unlock(Path(self._home.path))
            return {}
        console.note(advice)
        question = "File for the vault's password (empty: none, you type it each time)"
        if not (given := typer.prompt(question, default="", show_default=False, err=True).strip()):
            unlock.choose()
            return {}
        path = Path(given).expanduser().absolute()
        _make_password(path)
        return {"vault.password_file": str(path)}

    def _keyring(self) -> bool:
        """Whether the desktop's keyring holds the password; one is made and kept there where that works."""
        try:
            # Slow to import, and absent on servers.
            import keyring  # noqa: PLC0415

            if keyring.get_password(KEYRING_SERVICE, self._home.path):
                return True
            if self._vault.exists():
                # A new password would not open the vault that is there.
                return False
            keyring.set_password(KEYRING_SERVICE, self._home.path, secrets.token_urlsafe(32))
            return keyring.get_password(KEYRING_SERVICE, self._home.path) is not None
        except Exception:
            # However a keyring says that it is not there.
            return False

    def _zone(self, tokens: dict[str, str]) -> str:
        endpoint = self._wanted("dns.api_endpoint")
        given = "dns.zone" in self._answers.settings and self._answers.settings["dns.zone"]

        def look(token: str) -> dict[str, Any]:
            while True:
                try:
                    return probes.cloudflare(token, endpoint, self._wanted("dns.zone"))
                except LivchatError as error:
                    if error.code != "DNS_ZONE_NOT_FOUND" or not self._asking or given:
                        raise
                    console.note(error.message)
                    self._chosen["dns.zone"] = self._ask("dns.zone")

        def probe(token: str) -> str:
            zone = look(token)
            name = self._wanted("dns.zone")
            state = zone.get("status")
            waiting = (
                f"; set its name servers to {', '.join(zone.get('name_servers') or [])}" if state != "active" else ""
            )
            return f"{name} is {state}, the token may edit it{waiting}"

        return self._token("cloudflare", tokens, probe)

    def _token(self, name: str, tokens: dict[str, str], probe: Callable[[str], str]) -> str:
        """Finds a token that works, asking again as long as somebody answers."""
        variable, title = TOKENS[name]
        token = self._token_given(name, variable)
        known = self._vault.get(f"tokens/{name}")
        while True:
            asked = not token and not known and self._asking
            if asked:
                token = typer.prompt(title, hide_input=True, err=True).strip()
            if not (token or known):
                file = f"--{name}-token-file"
                raise LivchatError("API_TOKEN_MISSING", f"{title}: set {variable} or give {file} FILE")
            try:
                found = probe(token or str(known))
            except LivchatError as error:
                if not asked or "_TOKEN_" not in error.code:
                    raise
                console.note(f"{error.message}")
                token = ""
                continue
            if token:
                tokens[name] = token
            return found

    def _token_given(self, name: str, variable: str) -> str:
        file = self._answers.token_files.get(name)
        if not file:
            return os.environ.get(variable, "").strip()
        try:
            return Path(file).expanduser().read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise LivchatError("SETTING_INVALID", f"--{name}-token-file: {file}: {reason}") from None


def _check_text(key: str, value: str) -> None:
    asked = _ASKED[key]
    if not asked.pattern.fullmatch(value):
        message = f"{key}: {value!r} is not allowed; allowed: such as {asked.example}"
        raise LivchatError("SETTING_INVALID", message, {"key": key, "value": value})


def _make_password(path: Path) -> None:
    """A random password in a file of mode 0600, unless there is one; never a file without it, however this ends."""
    if path.exists():
        return
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as handle:
            handle.write(secrets.token_urlsafe(32) + "\n")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise LivchatError("SETTING_INVALID", f"--vault-password-file: {path}: {error.strerror}") from None
