# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import concurrent.futures
import typing as t

from ..plugin_utils._action import LivchatAction
from ..plugin_utils._https import Outside


class ActionModule(LivchatAction):
    """See plugins/modules/https_check.py."""

    ARGUMENTS: t.ClassVar = {
        "urls": {"type": "list", "elements": "dict", "required": True},
        "address": {"type": "str", "required": True},
        "ca_file": {"type": "str", "default": ""},
        "resolvers": {"type": "list", "elements": "str", "default": []},
        "timeout": {"type": "int", "default": 180},
    }

    def work(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        outside = Outside(arguments["address"], arguments["ca_file"], tuple(arguments["resolvers"]))

        def look(url: dict[str, t.Any]) -> dict[str, t.Any]:
            answer = outside.wait(url["host"], url.get("path", "/"), url.get("status", [200]), arguments["timeout"])
            return {"host": url["host"], "status": answer.status, "issuer": answer.issuer, "expires": answer.expires}

        with concurrent.futures.ThreadPoolExecutor(max_workers=8) as pool:
            return {"changed": False, "answers": list(pool.map(look, arguments["urls"]))}
