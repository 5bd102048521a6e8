"""`init`: the operator's home, its settings and its vault, each answer tried at once."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from livchat_cli import collection, home
from livchat_cli.exits import BAD_INPUT, OperationError


def init(settings: dict[str, Any], tokens: dict[str, str], vault_password_file: str) -> dict[str, Any]:
    """Makes the home, keeps the settings and the tokens.

    Raises:
        OperationError: a setting is not allowed, or the vault cannot be opened.
    """
    collection.importable()
    from ansible_collections.livchat.setup.plugins.module_utils._errors import LivchatError  # noqa: PLC0415
    from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home  # noqa: PLC0415
    from ansible_collections.livchat.setup.plugins.plugin_utils._settings import Settings  # noqa: PLC0415
    from ansible_collections.livchat.setup.plugins.plugin_utils._vault import Vault  # noqa: PLC0415

    place = Home(str(home.path()))
    place.make()
    try:
        if vault_password_file:
            _make_password(Path(vault_password_file))
            settings["vault.password_file"] = str(Path(vault_password_file).absolute())
        changed = Settings(place).update({key: value for key, value in settings.items() if value not in ("", [])})
        changed |= Vault(place).set_all({f"tokens/{name}": value for name, value in tokens.items() if value})
    except LivchatError as error:
        raise OperationError(error.code, error.message, error.details, BAD_INPUT) from error
    return {"home": place.path, "changed": changed}


def _make_password(path: Path) -> None:
    """A random master password in a file of 0600, unless there is one."""
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(secrets.token_urlsafe(32) + "\n")
