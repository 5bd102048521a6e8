# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import secrets
import typing as t

from ..plugin_utils._action import LivchatAction
from ..plugin_utils._catalog import Catalog
from ..plugin_utils._plan import Planner, Request


class ActionModule(LivchatAction):
    """See plugins/modules/plan.py."""

    ARGUMENTS: t.ClassVar = {
        "server": {"type": "str", "required": True},
        "address": {"type": "str", "required": True},
        "domain": {"type": "str", "required": True},
        "apps": {"type": "raw", "required": True},
        "variables": {"type": "dict", "default": {}},
        "facts": {"type": "dict", "required": True},
        "backend": {"type": "str", "choices": ["docker", "portainer"], "default": "docker"},
    }

    def work(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        moment = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%S")
        request = Request(
            server=arguments["server"],
            domain=arguments["domain"],
            address=arguments["address"],
            apps=arguments["apps"],
            variables=arguments["variables"],
            deployment=f"{moment}-{secrets.token_hex(3)}",
            backend=arguments["backend"],
        )
        catalog = Catalog([self.home.file("apps")])
        remembered, unfinished = self.state.applications(request.server), self.state.unfinished(request.server)
        plan = Planner(request, arguments["facts"], catalog, self.vault.get, remembered, unfinished=unfinished).plan()
        lines = "".join(f"{line}\n" for line in plan["summary"])
        diff = {"before_header": request.server, "after_header": request.server, "before": "", "after": lines}
        # Planning changes nothing; in check mode it stands for all that would follow, and so shows its diff.
        return {"changed": self.check_mode and plan["changed"], "plan": plan, "diff": diff}
