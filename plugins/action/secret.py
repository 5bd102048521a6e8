# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ..plugin_utils._action import LivchatAction
from ..plugin_utils._vault import generate


class ActionModule(LivchatAction):
    """See plugins/modules/secret.py."""

    ARGUMENTS: t.ClassVar = {"entries": {"type": "list", "elements": "dict", "required": True}}

    def work(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        missing = {
            secret["vault_path"]: secret["generate"]
            for entry in arguments["entries"]
            for secret in entry["secrets"]
            if self.vault.get(secret["vault_path"]) is None
        }
        if missing and not self.check_mode:
            self.vault.set_all({path: generate(**how) for path, how in missing.items()})
        return {"changed": bool(missing), "created": sorted(missing)}
