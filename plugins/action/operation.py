# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from pathlib import Path

from ..module_utils._errors import LivchatError
from ..plugin_utils import _answers
from ..plugin_utils._action import LivchatAction


class ActionModule(LivchatAction):
    """See plugins/modules/operation.py."""

    ARGUMENTS: t.ClassVar = {
        "name": {"type": "str", "required": True},
        "parameters": {"type": "dict", "default": {}},
    }

    def work(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        try:
            # The package stands above the collection, and need not be there.
            from livchat_cli.client import Client  # noqa: PLC0415
            from livchat_cli.keys import Keys  # noqa: PLC0415
            from livchat_cli.operations import Effect, get  # noqa: PLC0415
        except ImportError as error:
            message = "jobs and tokens are kept by the Python package livchat-setup: install it beside ansible-core"
            raise LivchatError("PACKAGE_MISSING", message, {"package": "livchat-setup"}) from error
        operation = get(arguments["name"])
        if operation.target not in _KEPT_BY_THE_PACKAGE:
            message = f"name: {operation.name!r}: not allowed; run the playbook livchat.setup.{operation.playbook}"
            raise LivchatError("INPUT_INVALID", message, {"fields": [{"field": "name"}]})
        # On a command line everything is a text.
        values = _answers.read(operation.model.model_json_schema(), arguments["parameters"])
        home = Path(self.home.path)
        client = Client(home)
        if self.check_mode and operation.effect is not Effect.READ:
            client.check(operation, values)
            return {"changed": True, "result": None}
        result = client.call(operation, values)
        if operation.reveals:
            # What a task returns is printed, and kept in logs.
            file = Keys(home).keep(operation, result)
            result = {key: one for key, one in result.items() if key not in operation.reveals} | {"key_file": file}
        return {"changed": operation.effect is not Effect.READ, "result": result}


# Targets of operations.
_KEPT_BY_THE_PACKAGE = ("job", "token")
