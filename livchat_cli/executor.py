"""Carries operations out, whichever front door asks."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from livchat_cli.events import Listener
from livchat_cli.operations import Operation
from livchat_cli.parameters import Parameters
from livchat_cli.runner import Job


class Executor:
    """Runs operations against one operator's home."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def perform(self, operation: Operation, parameters: Parameters, listener: Listener | None = None) -> Any:
        """The operation's result.

        Raises:
            LivchatError: it failed, was interrupted, or was not confirmed.
        """
        operation.check_confirmed(parameters)
        if operation.function:
            module, _, name = operation.function.partition(":")
            return getattr(importlib.import_module(module), name)(self.home, parameters)
        job = Job(self.home, operation.name, listener)
        playbook = f"livchat.setup.{operation.playbook}"
        return job.run(playbook, operation.extra_vars(parameters), servers=operation.servers(parameters))
