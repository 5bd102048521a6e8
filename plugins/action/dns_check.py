# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ..plugin_utils._action import LivchatAction
from ..plugin_utils._check import report
from ..plugin_utils._zone_check import ZoneCheck


class ActionModule(LivchatAction):
    """See plugins/modules/dns_check.py."""

    ARGUMENTS: t.ClassVar = {
        "name": {"type": "str", "default": ""},
        "zone": {"type": "str", "default": ""},
    }

    def work(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        check = ZoneCheck.of(self.settings, self.vault, self.state.load(), **arguments)
        return {"changed": False, **report(check.checks())}
