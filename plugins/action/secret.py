# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ..plugin_utils._action import LivchatAction


class ActionModule(LivchatAction):
    """See plugins/modules/secret.py."""

    ARGUMENTS: t.ClassVar = {"entries": {"type": "list", "elements": "dict", "required": True}}

    def work(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        wanted = {
            secret["vault_path"]: secret["generate"] for entry in arguments["entries"] for secret in entry["secrets"]
        }
        if self.check_mode:
            created = sorted(path for path in wanted if self.vault.get(path) is None)
        else:
            created = self.vault.create_missing(wanted)
        return {"changed": bool(created), "created": created}
