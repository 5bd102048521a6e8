"""The process of a job: detached from whoever asked for it, it lives until the job has ended.

    python -m livchat_cli.worker < REQUEST

The request comes on standard input, since it may hold secrets. The job's lock and its place among those that change the
same servers come as inherited files, so that the job lives, and waits, from the moment it was asked for.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from livchat_cli import collection
from livchat_cli.deliveries import Deliveries
from livchat_cli.errors import LivchatError
from livchat_cli.events import Kind, Progress, Redactor
from livchat_cli.jobs import JobFolder, Jobs, Status, now
from livchat_cli.operations import get
from livchat_cli.runner import Run
from livchat_cli.spawn import PASSWORD

collection.activate()

from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home, writing  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._turns import Turns  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._vault import Vault  # noqa: E402


class Worker:
    """Carries one request out."""

    def __init__(self, home: Path, request: Mapping[str, Any]) -> None:
        self._home = home
        self._request = request
        self._jobs = Jobs(home)
        self._folder = JobFolder(self._jobs.folder, request["job"])
        self._operation = get(request["operation"])
        self._place = Turns(Home(str(home))).taken_over(request["place"]) if request["place"] else None

    def work(self) -> None:
        """The job from its beginning to its end, and what others are told of it."""
        parameters = self._operation.parse(self._request["parameters"])
        extra_vars = self._operation.extra_vars(parameters)
        notes = [Progress(**{**one, "kind": Kind(one["kind"])}) for one in self._request["notes"]]
        known: set[str] = set()

        def redactor() -> Redactor:
            # Of all times that it is asked: the job makes secrets, and forgets others.
            known.update(self._secrets(extra_vars))
            return Redactor(known)

        seconds = min(self._operation.timeout, self._request.get("timeout") or self._operation.timeout)
        run = Run(self._home, self._folder, self._operation.name, redactor, notes=notes, seconds=seconds)
        error: LivchatError | None = None
        try:
            result = run.run(f"livchat.setup.{self._operation.playbook}", extra_vars, place=self._place)
            with writing(str(self._home)):
                self._folder.keep_result(result)
        except LivchatError as failure:
            error = failure
        except Exception as defect:
            # Its text stays out: nobody knows what it quotes.
            error = LivchatError("INTERNAL_ERROR", f"a defect of livchat-setup ({type(defect).__name__})")
        self._end(error)

    def _end(self, error: LivchatError | None) -> None:
        cancelled = error is not None and error.code == "INTERRUPTED"
        status = Status.CANCELLED if cancelled else Status.FAILED if error else Status.SUCCESSFUL
        event = {"status": status, "finished_at": now(), "error": error.to_dict() if error else None}
        deliveries = Deliveries(self._home)
        # Before the job is over for others: a process that is killed between the two tells them all the same. Settings
        # or a log that are damaged change nothing of how it ended.
        with contextlib.suppress(OSError, LivchatError):
            deliveries.prepare(self._folder, {**self._folder.record(), **event}, self._operation)
        # Where there is no room even for this, whoever looks sees that (`Jobs.record`).
        with contextlib.suppress(OSError):
            self._folder.update(**event)
        with contextlib.suppress(OSError, LivchatError):
            self._jobs.forget_old()
            deliveries.send()

    def _secrets(self, extra_vars: Mapping[str, Any]) -> Iterator[str]:
        """All that must not come back: the vault's secrets, and values for applications, which may be passwords."""
        for values in (extra_vars.get("variables") or {}).values():
            yield from (str(one) for one in (values.values() if isinstance(values, Mapping) else [values]))
        vault = Vault(Home(str(self._home)))
        try:
            yield from vault.values()
        except LivchatError:
            # The run says better what is wrong with it.
            return


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def main() -> None:
    signal.signal(signal.SIGTERM, _interrupt)
    # Ctrl-C in the terminal that it was started from is the business of the command that follows it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    request = json.load(sys.stdin)
    os.set_inheritable(request["lock"], False)
    if request["vault_password"]:
        # In this process' memory only; the environment that others see is the one it was started with.
        os.environ[PASSWORD] = request["vault_password"]
    Worker(Path(os.environ["LIVCHAT_HOME"]), request).work()


if __name__ == "__main__":
    main()
