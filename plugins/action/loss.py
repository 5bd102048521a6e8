# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import typing as t

from ..module_utils._errors import LivchatError
from ..plugin_utils._action import LivchatAction
from ..plugin_utils._catalog import Catalog
from ..plugin_utils._loss import LossReport


class ActionModule(LivchatAction):
    """See plugins/modules/loss.py."""

    ARGUMENTS: t.ClassVar = {
        "server": {"type": "str", "required": True},
        "facts": {"type": "dict", "default": {}},
        "dns_records": {"type": "list", "elements": "str", "default": []},
    }

    def work(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        name = arguments["server"]
        state = self.state.load()
        hostvars = self.variables.get("hostvars", {})
        listed = hostvars[name].get("livchat_server", {}) if name in hostvars else {}
        server = {**state["servers"].get(name, {}), **listed, "name": name}
        remembered = {
            key.split("/", 1)[1]: one for key, one in state["applications"].items() if key.startswith(f"{name}/")
        }
        report = LossReport(server, arguments["facts"], remembered, self._databases())
        return {"changed": False, "loss": report.loss(arguments["dns_records"])}

    def _databases(self) -> set[str]:
        """Apps that keep data for others. A definition that is broken is no reason to keep a server."""
        catalog = Catalog([self.home.file("apps")])
        found = set()
        for name in catalog.names():
            with contextlib.suppress(LivchatError):
                if "database" in catalog.get(name).get("provides", {}):
                    found.add(name)
        return found
