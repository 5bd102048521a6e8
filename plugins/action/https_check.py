# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import concurrent.futures
import typing as t

from ..module_utils._errors import LivchatError
from ..plugin_utils._action import LivchatAction
from ..plugin_utils._https import Outside


class ActionModule(LivchatAction):
    """See plugins/modules/https_check.py."""

    ARGUMENTS: t.ClassVar = {
        "urls": {
            "type": "list",
            "elements": "dict",
            "required": True,
            "options": {
                "host": {"type": "str", "required": True},
                "path": {"type": "str", "default": "/"},
                "status": {"type": "list", "elements": "int", "default": [200]},
                "url": {"type": "str"},
            },
        },
        "address": {"type": "str", "required": True},
        "ca_file": {"type": "str", "default": ""},
        "resolvers": {"type": "list", "elements": "str", "default": []},
        "timeout": {"type": "int", "default": 180},
        "interval": {"type": "float", "default": 0.5},
    }

    def work(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        outside = Outside(arguments["address"], arguments["ca_file"], tuple(arguments["resolvers"]))

        def look(url: dict[str, t.Any]) -> dict[str, t.Any]:
            try:
                answer = outside.wait(
                    url["host"], url["path"], url["status"], arguments["timeout"], arguments["interval"]
                )
            except LivchatError as error:
                return {"host": url["host"], "error": error.to_dict()}
            return {"host": url["host"], "status": answer.status, "issuer": answer.issuer, "expires": answer.expires}

        # All at once, each with the whole time: the slowest one decides how long this takes, not their sum.
        with concurrent.futures.ThreadPoolExecutor(max_workers=max(1, min(32, len(arguments["urls"])))) as pool:
            answers = list(pool.map(look, arguments["urls"]))
        result: dict[str, t.Any] = {"changed": False, "answers": answers}
        if wrong := [one["error"] for one in answers if "error" in one]:
            message = "; ".join(f"{error['code']}: {error['message']}" for error in wrong)
            result.update(failed=True, msg=message, error=wrong[0])
        return result
