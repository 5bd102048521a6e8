# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ..plugin_utils._action import LivchatAction
from ..plugin_utils._catalog import Catalog
from ..plugin_utils._removal import RemovalPlanner, RemovalRequest


class ActionModule(LivchatAction):
    """See plugins/modules/removal.py."""

    ARGUMENTS: t.ClassVar = {
        "server": {"type": "str", "required": True},
        "domain": {"type": "str", "required": True},
        "instance": {"type": "str", "required": True},
        "drop_data": {"type": "bool", "default": False},
        "facts": {"type": "dict", "required": True},
    }

    def work(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        request = RemovalRequest(
            **{name: arguments[name] for name in ("server", "domain", "instance", "drop_data")},
        )
        catalog = Catalog([self.home.file("apps")])
        remembered = self.state.applications(request.server)
        secrets = self.vault.names(f"servers/{request.server}/apps/{request.instance}")
        removal = RemovalPlanner(request, arguments["facts"], catalog, remembered, secrets).plan()
        items = removal["items"]
        before, after = (
            "".join(f"{line}\n" for line in lines) for lines in (items["remove"] + items["keep"], items["keep"])
        )
        diff = {"before_header": request.server, "after_header": request.server, "before": before, "after": after}
        # As with the plan of a deploy: in check mode it stands for all that would follow.
        return {"changed": self.check_mode and removal["changed"], "removal": removal, "diff": diff}
