# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

from ..module_utils._errors import LivchatError
from ..plugin_utils._action import LivchatAction
from ..plugin_utils._https import Outside

# By it Portainer's tokens of ours are known.
DESCRIPTION = "livchat.setup"


class ActionModule(LivchatAction):
    """See plugins/modules/portainer_token.py."""

    ARGUMENTS: t.ClassVar = {
        "server": {"type": "str", "required": True},
        "host": {"type": "str", "required": True},
        "address": {"type": "str", "required": True},
        "ca_file": {"type": "str", "default": ""},
        "resolvers": {"type": "list", "elements": "str", "default": []},
        "timeout": {"type": "int", "default": 300},
    }

    def work(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        path = f"servers/{arguments['server']}/portainer"
        kept = self.vault.get(f"{path}/token")
        if self.check_mode:
            return {"changed": kept is None}
        outside = Outside(arguments["address"], arguments["ca_file"], tuple(arguments["resolvers"]))
        self._outside, self._host = outside, arguments["host"]
        outside.wait(self._host, "/api/system/status", [200], arguments["timeout"])
        if kept and self._call("GET", "/api/endpoints?excludeSnapshots=true", token=kept)[0] == 200:
            return {"changed": False}
        credentials = {"Username": "admin", "Password": self.secret(f"{path}/password")}
        session = self._must("POST", "/api/auth", 200, credentials)["jwt"]
        environments = self._must("GET", "/api/endpoints?excludeSnapshots=true", 200, session=session)
        if not environments:
            raise LivchatError("PORTAINER_NOT_READY", f"Portainer at {self._host} has no environment", {})
        owner = self._must("GET", "/api/users/me", 200, session=session)["Id"]
        for known in self._must("GET", f"/api/users/{owner}/tokens", 200, session=session) or []:
            # One that works no more, or that a run made which was killed before it could keep it.
            if known["description"] == DESCRIPTION:
                self._must("DELETE", f"/api/users/{owner}/tokens/{known['id']}", 204, session=session)
        body = {"password": credentials["Password"], "description": DESCRIPTION}
        made = self._must("POST", f"/api/users/{owner}/tokens", 201, body, session=session)
        self.vault.set_all({f"{path}/token": made["rawAPIKey"], f"{path}/username": "admin"})
        return {"changed": True}

    def _call(
        self, method: str, path: str, body: t.Any = None, session: str = "", token: str = ""
    ) -> tuple[int, t.Any]:
        headers = {"Authorization": f"Bearer {session}"} if session else {"X-API-KEY": token} if token else {}
        answer = self._outside.request(self._host, path, method, body, headers=headers)
        try:
            return answer.status, json.loads(answer.body)
        except ValueError:
            return answer.status, None

    def _must(self, method: str, path: str, status: int, body: t.Any = None, session: str = "") -> t.Any:
        """The answer, which must have that status; an answer may hold a secret, so none is quoted."""
        got, answer = self._call(method, path, body, session)
        if got != status:
            message = f"Portainer at {self._host}: {method} {path} answered {got}, not {status}"
            raise LivchatError("PORTAINER_ERROR", message, {"status": got})
        return answer
