# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ..module_utils._errors import LivchatError
from ..plugin_utils import _answers
from ..plugin_utils._action import LivchatAction


class ActionModule(LivchatAction):
    """See plugins/modules/answers.py."""

    ARGUMENTS: t.ClassVar = {
        "schema": {"type": "dict", "required": True},
        "answers": {"type": "dict", "required": True},
        "confirm": {"type": "str", "default": ""},
        "pattern": {"type": "str", "default": ""},
    }

    def work(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        given = _answers.read(arguments["schema"], arguments["answers"])
        if arguments["confirm"]:
            self._check_confirmed(given, arguments["confirm"])
        pattern = arguments["pattern"]
        if isinstance(given.get(pattern), list):
            servers = given.pop(pattern)
            if servers:
                given[pattern] = ",".join(servers)
        return {"changed": False, "given": given}

    @staticmethod
    def _check_confirmed(given: dict[str, t.Any], field: str) -> None:
        name, said = given[field], given.get("confirm_name")
        details = {"field": "confirm_name", "name": name}
        if said is None:
            raise LivchatError("CONFIRMATION_REQUIRED", f"repeat the name {name} as confirm_name to confirm", details)
        if said != name:
            message = f"confirm_name: {said!r} is not the name {name}; nothing was done"
            raise LivchatError("CONFIRMATION_MISMATCH", message, details)
