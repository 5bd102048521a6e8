# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: turn
author:
  - LivChat (@livchat)
version_added: 0.1.0
type: aggregate
short_description: Has a playbook wait while another run changes the same servers
description:
  - A play says with the variable C(livchat_changes) which servers it changes, as a pattern of hosts or as a list of
    names. The collection's own playbooks do.
  - Before the first of such plays starts, waits until no other run of the same operator's home changes one of the
    servers that they name, and keeps others waiting until the playbook ends. What a run that was killed has left is
    ended first. Plays before it may find out which servers those are.
  - Does nothing in check mode, nor when C(livchat-setup) runs the playbook and has waited already.
requirements:
  - C(callbacks_enabled = livchat.setup.turn) in C(ansible.cfg), or E(ANSIBLE_CALLBACKS_ENABLED).
"""

import contextlib
import datetime
import os
import re
import secrets
import typing as t

from ansible import context
from ansible.plugins.callback import CallbackBase
from ansible.template import Templar

from ..plugin_utils import _processes
from ..plugin_utils._home import Home
from ..plugin_utils._turns import Turns

CHANGES = "livchat_changes"
# A name, and no pattern of several.
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class CallbackModule(CallbackBase):  # type: ignore[misc]  # Ansible has no types
    """Takes a turn before a playbook begins to change servers, and gives it back at its end."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "livchat.setup.turn"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self._turn = contextlib.ExitStack()
        self._playbook: t.Any = None

    def v2_playbook_on_start(self, playbook: t.Any) -> None:
        self._playbook = playbook

    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        if _processes.VARIABLE in os.environ or context.CLIARGS.get("check"):
            return
        if CHANGES in play.get_variable_manager().get_vars(play=play):
            self._take(self._playbook)

    def _take(self, playbook: t.Any) -> None:
        servers: set[str] = set()
        home = None
        # All at once: who has one server and waits for another may wait for somebody who waits for the first.
        for play in playbook.get_plays():
            manager = play.get_variable_manager()
            variables = manager.get_vars(play=play)
            if CHANGES in variables:
                templar = Templar(loader=playbook._loader, variables=variables)
                servers.update(self._names(templar.template(variables[CHANGES]), manager._inventory))
                home = templar.template(variables.get("livchat_home"))
        if not servers:
            return
        job = f"{datetime.datetime.now(datetime.timezone.utc):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        # By it all that this run starts is known, should it be killed.
        os.environ[_processes.VARIABLE] = job
        operation = os.path.splitext(os.path.basename(playbook._file_name))[0]
        turn = Turns(Home(home)).turn(job, operation, servers, lambda text: self._display.display(f"turn: {text}"))
        self._turn.enter_context(turn)

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        self._turn.close()

    @staticmethod
    def _names(changed: t.Any, inventory: t.Any) -> list[str]:
        """Servers that a pattern or a list means; a name means itself, since a server may not be there yet."""
        parts = changed if isinstance(changed, list) else str(changed).split(",")
        new = [str(one) for one in parts if PLAIN.fullmatch(str(one)) and one not in inventory.groups]
        known = [str(host.name) for host in inventory.get_hosts(changed)] if len(new) < len(parts) else []
        return new + known
