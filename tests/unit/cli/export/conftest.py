"""A folder exported for both, an operation that only a test declares, and Ansible with nothing of this process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from livchat_cli import collection, operations, parameters
from livchat_cli.export.choices import Choices
from livchat_cli.export.folder import export
from livchat_cli.operations import Effect, Operation

Ansible = Callable[..., str]
EXPORTED = [one for one in operations.OPERATIONS if not one.name.startswith(("jobs.", "token."))]
CHOICES = Choices(
    repository="https://git.example.com/ops.git",
    branch="main",
    home="/var/lib/livchat",
    organization="Default",
    image="registry.example.com/livchat-ee:1",
    project="livchat.setup",
)
SECRETS = {"HCLOUD_TOKEN": "canary-h", "CLOUDFLARE_API_TOKEN": "canary-c", "LIVCHAT_VAULT_PASSWORD": "canary-v"}


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Throwaway(parameters.Parameters):
    """One parameter of each kind that a survey may meet."""

    name: parameters.ServerName
    target: parameters.AnyTargets = Field(default=[])
    colour: Colour = Colour.BLUE
    size: Literal["small", "large"] | None = None
    states: list[Literal["on", "off"]] = Field(default=["on", "off"])
    count: Annotated[int, Field(ge=2, le=9, description="How many")] = 3
    ratio: float = 0.5
    force: bool = False
    words: list[str] = Field(default=[], description="Any words", examples=[["a b", "c"]])
    labels: parameters.Labels = Field(default={})
    variables: parameters.AppVariables = Field(default={})
    api_key: Annotated[str | None, Field(description="A key", json_schema_extra={"format": "password"})] = None
    confirm_name: parameters.ConfirmName = None


@pytest.fixture
def throwaway(monkeypatch: pytest.MonkeyPatch) -> Operation:
    """An operation that is declared, and nothing else."""
    declared = Operation(
        name="server.throw",
        summary="Throw a server away",
        summary_pt="Joga um servidor fora",
        effect=Effect.DESTROY,
        target="server",
        parameters="Throwaway",
        playbook="throw",
        confirm="name",
        mapping={"size": "server_size"},
        examples=("server throw prod",),
    )
    monkeypatch.setattr(parameters, "Throwaway", Throwaway, raising=False)
    monkeypatch.setattr(operations, "OPERATIONS", (*operations.OPERATIONS, declared))
    return declared


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for target in ("awx", "semaphore"):
        export(target, tmp_path / "folder", CHOICES, tmp_path / "home")
    return tmp_path / "folder"


@pytest.fixture
def ansible(tmp_path: Path) -> Ansible:
    """Runs `ansible-PROGRAM`, without what of Ansible or of us is in this process' environment."""

    def run(
        program: str, *arguments: str, cwd: Path, collections: Path | None = None, failing: bool = False, **extra: str
    ) -> str:
        mine = ("ANSIBLE", "LIVCHAT", "HCLOUD", "CLOUDFLARE")
        environment = {
            **{name: one for name, one in os.environ.items() if not name.startswith(mine)},
            "ANSIBLE_COLLECTIONS_PATH": ":".join(str(one) for one in (collection.find(), collections) if one),
            "ANSIBLE_CONFIG": str(tmp_path / "none.cfg"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            **extra,
        }
        (tmp_path / "none.cfg").write_text("")
        command = [sys.executable, "-m", "ansible", program, *arguments]
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode != 0) is failing, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout + done.stderr

    return run


def changed(printed: str) -> int:
    (line,) = (one for one in printed.splitlines() if one.startswith("localhost ") and " ok=" in one)
    return int(line.partition("changed=")[2].split()[0])
