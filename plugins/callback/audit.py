# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: audit
author:
  - LivChat (@livchat)
version_added: 0.1.0
type: aggregate
short_description: Keeps a line of every operation on every server
description:
  - At the end of a playbook, adds a line for each host to C(audit.jsonl) in the operator's home.
  - A line with the outcome C(begun) comes before that as soon as something was changed on a host, so that a run
    which is killed has left a line too.
  - A line has the time, who asked, the operation, the host, the extra variables, how it ended, how long it took,
    and which tasks changed something or failed.
  - Values whose names say that they are secret are left out, and of tasks with C(no_log) only the name is kept.
  - A failure to write the log is shown and does not fail the playbook.
requirements:
  - C(callbacks_enabled = livchat.setup.audit) in C(ansible.cfg), or E(ANSIBLE_CALLBACKS_ENABLED).
"""

import os
import time
import typing as t

from ansible import context
from ansible.plugins.callback import CallbackBase

from ..plugin_utils._audit import Audit
from ..plugin_utils._home import Home

# Tasks named in a line; a run that changes more than this is told by its beginning.
TASKS = 50


class CallbackModule(CallbackBase):  # type: ignore[misc]  # Ansible has no types
    """Collects what happens to each host, and writes it down when the playbook ends."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "livchat.setup.audit"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self._operation = ""
        self._began = time.monotonic()
        self._home: str | None = None
        # A directory that is only not mounted must not be made by writing down that it was not there.
        self._homeless = False
        self._parameters: dict[str, t.Any] = {}
        self._changed: dict[str, list[str]] = {}
        self._failed: dict[str, list[str]] = {}

    def v2_playbook_on_start(self, playbook: t.Any) -> None:
        self._began = time.monotonic()
        self._operation = os.path.splitext(os.path.basename(playbook._file_name))[0]

    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        # As the actions and lookups find it: among the variables, else where the environment says.
        manager = play.get_variable_manager()
        self._parameters = dict(manager.extra_vars)
        found = manager.get_vars(play=play).get("livchat_home")
        if isinstance(found, str):
            self._home = found

    def v2_runner_on_ok(self, result: t.Any) -> None:
        if result._result.get("changed"):
            host = result._host.get_name()
            first = host not in self._changed
            self._note(self._changed, result)
            if first and not context.CLIARGS.get("check"):
                self._write({host: "begun"})

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            self._homeless |= _code(result) == "HOME_MISSING"
            self._note(self._failed, result)

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        self._note(self._failed, result)

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        self._write({host: self._outcome(stats.summarize(host)) for host in self._hosts(stats)})

    def _write(self, outcomes: dict[str, str]) -> None:
        try:
            if self._homeless:
                return
            audit = Audit(Home(self._home))
            duration = time.monotonic() - self._began
            for host, outcome in outcomes.items():
                audit.add(
                    self._operation,
                    host,
                    self._parameters,
                    outcome,
                    duration,
                    check=bool(context.CLIARGS.get("check")),
                    changed=self._changed.get(host, []),
                    failed=self._failed.get(host, []),
                    **self._asked_by(),
                )
        except Exception as error:
            # What was done is done; that it could not be written down must be seen all the same.
            self._display.warning(f"the audit log could not be written: {error}")

    def _asked_by(self) -> dict[str, str]:
        """Who asked, where AWX or Semaphore say so: there the user of the system is the same for all."""
        task = self._parameters.get("semaphore_vars", {}).get("task_details", {})
        name = self._parameters.get("awx_user_name") or task.get("username")
        return {"actor": str(name)} if name else {}

    def _hosts(self, stats: t.Any) -> list[str]:
        """Servers, without the controller where it only reported on them."""
        hosts = sorted(stats.processed)
        servers = [one for one in hosts if one != "localhost" or one in self._changed or one in self._failed]
        return servers or hosts

    @staticmethod
    def _outcome(summary: dict[str, int]) -> str:
        if summary["unreachable"]:
            return "unreachable"
        return "failed" if summary["failures"] else "success"

    @staticmethod
    def _note(place: dict[str, list[str]], result: t.Any) -> None:
        """Keeps the task's name, and of a failure the error's code, never its arguments or its output."""
        names = place.setdefault(result._host.get_name(), [])
        code = _code(result)
        if len(names) < TASKS:
            names.append(f"{result._task.get_name()} ({code})" if code else result._task.get_name())


def _code(result: t.Any) -> str | None:
    error = result._result.get("error")
    return error.get("code") if isinstance(error, dict) and not result._task.no_log else None
