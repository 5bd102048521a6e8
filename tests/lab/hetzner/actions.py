"""Actions: what Hetzner does after it has answered."""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from tests.lab.engine import LabError

from .errors import ApiError
from .faults import Faults
from .store import Resource, Store, now

log = logging.getLogger(__name__)


def nothing() -> None:
    """The work of an action that is done the moment it is asked for."""


@dataclass(frozen=True)
class Step:
    """One action: its name at Hetzner, what it is about, and what it does."""

    command: str
    about: tuple[tuple[str, int], ...]
    work: Callable[[], None] = nothing


class Actions:
    """Begins actions and ends them a moment later, in success or error."""

    def __init__(self, store: Store, faults: Faults) -> None:
        self._store = store
        self._faults = faults

    def begin(self, *steps: Step, lock: Resource | None = None, failed: Callable[[], None] = nothing) -> list[Resource]:
        """The actions of the steps, which are done in order; once one fails, so do those after it.

        Args:
            lock: the server that can take no other action until these have ended.
            failed: done after a failure.

        Raises:
            ApiError: the server is locked already (423).
        """
        with self._store.changing():
            if lock is not None:
                if lock["locked"]:
                    raise ApiError(423, "locked", "cannot perform operation because server is locked")
                lock["locked"] = True
            actions = [self._add(step) for step in steps]
            shown = copy.deepcopy(actions)
        threading.Thread(target=self._run, args=(steps, actions, lock, failed), daemon=True).start()
        return shown

    def _add(self, step: Step) -> Resource:
        return self._store.add(
            "actions",
            {
                "command": step.command,
                "status": "running",
                "progress": 0,
                "started": now(),
                "finished": None,
                "resources": [{"type": kind, "id": number} for kind, number in step.about],
                "error": None,
            },
        )

    def _run(
        self,
        steps: tuple[Step, ...],
        actions: list[Resource],
        lock: Resource | None,
        failed: Callable[[], None],
    ) -> None:
        problem: str | None = None
        for step, action in zip(steps, actions, strict=True):
            if problem is None:
                problem = self._do(step, action)
            error = {"code": "action_failed", "message": problem} if problem else None
            last = action is actions[-1]
            with self._store.changing():
                # In one change with the last action: who sees it ended may act on the server again.
                if last and problem:
                    failed()
                if last and lock is not None:
                    lock["locked"] = False
                action.update(status="error" if error else "success", progress=100, finished=now(), error=error)

    def _do(self, step: Step, action: Resource) -> str | None:
        """Why it failed, if it did."""
        try:
            with self._store.changing():
                action["progress"] = 20
            if self._faults.action_fails(step.command):
                raise LabError(f"fault: {step.command} fails")
            step.work()
        except LabError as error:
            return str(error)
        except Exception:
            # A client must not wait for ever for an action that the lab's own defect ended.
            log.exception("action %s", step.command)
            return "defect in the lab; its log has the trace"
        return None

    def interrupt_unfinished(self) -> None:
        """Ends the actions that a restart of the API left without anyone to do them."""
        with self._store.changing():
            for action in self._store.all("actions"):
                if action["status"] == "running":
                    error = {"code": "action_failed", "message": "the API was restarted meanwhile"}
                    action.update(status="error", progress=100, finished=now(), error=error)
