"""The vault's password, asked of the person at the terminal where nothing else gives it."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from livchat_cli import collection
from livchat_cli.errors import LivchatError

collection.activate()

from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._vault import Vault  # noqa: E402

VARIABLE = "LIVCHAT_VAULT_PASSWORD"
TRIES = 3


def unlock(home: Path) -> None:
    """Asks until the vault opens. Nothing is asked where there is no vault, or where its password is known.

    The password stays in this process: a run gets it in a file of its own.

    Raises:
        LivchatError: VAULT_LOCKED, when no answer opens it.
    """
    vault = Vault(Home(str(home)))
    if not vault.exists() or vault.password_known():
        return
    for left in reversed(range(TRIES)):
        os.environ[VARIABLE] = typer.prompt("Password of the vault", hide_input=True, err=True)
        try:
            vault.verify()
        except LivchatError as error:
            del os.environ[VARIABLE]
            if not left or error.code != "VAULT_LOCKED":
                raise
            typer.echo("That does not open it.", err=True)
        else:
            return


def choose() -> None:
    """Has the person think of a password for a new vault, and type it twice."""
    os.environ[VARIABLE] = typer.prompt("Password of the vault", hide_input=True, confirmation_prompt=True, err=True)
