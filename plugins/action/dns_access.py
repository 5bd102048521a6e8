# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ..module_utils._cloudflare import OPERATOR
from ..plugin_utils._action import LivchatAction
from ..plugin_utils._zone import ZoneAccess


class ActionModule(LivchatAction):
    """See plugins/modules/dns_access.py."""

    ARGUMENTS: t.ClassVar = {"zone": {"type": "str", "default": ""}}

    def work(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        access = ZoneAccess.of(self.settings, self.vault, arguments["zone"])
        return {"changed": False, "zone": access.zone, "api_endpoint": access.endpoint, "owner": OPERATOR}
