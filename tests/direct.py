"""A job that this process carries out itself, with a playbook of any kind: for tests of runs, without a worker."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home
from ansible_collections.livchat.setup.plugins.plugin_utils._turns import Turns

from livchat_cli.events import Listener, Redactor
from livchat_cli.jobs import JobFolder, Jobs, Status
from livchat_cli.runner import Run


class DirectJob:
    """One job. `cancel` may be called from any thread."""

    def __init__(
        self,
        home: Path,
        listener: Listener | None = None,
        secrets: Collection[str] = (),
        seconds: float | None = None,
    ) -> None:
        notes = Jobs(home).bury_dead()
        self.folder = JobFolder.make(home / "jobs")
        self.id = self.folder.id
        self._turns = Turns(Home(str(home)))
        self._run = Run(
            home, self.folder, "test", lambda: Redactor(secrets), listener=listener, notes=notes, seconds=seconds
        )
        self.cancel = self._run.cancel

    def run(
        self,
        playbook: str,
        extra_vars: Mapping[str, Any],
        inventory: str | None = None,
        servers: Collection[str] = (),
    ) -> Any:
        """The playbook's result. The record says how it ended in no more than a word."""
        with self.folder.lock():
            self.folder.update(operation="test", servers=sorted(servers), status=Status.WAITING)
            ended = Status.FAILED
            try:
                place = self._turns.draw(self.id, "test", servers) if servers else None
                result = self._run.run(playbook, extra_vars, inventory, place)
                ended = Status.SUCCESSFUL
            finally:
                self.folder.update(status=ended)
        return result
