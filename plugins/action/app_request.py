# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
import typing as t

from ..module_utils._errors import LivchatError
from ..plugin_utils import _gate, _render
from ..plugin_utils._action import LivchatAction
from ..plugin_utils._https import Answer, Outside

# Answers of an application, or of Traefik before it, that has started but does not know all its routes yet.
NOT_YET = (404, 502, 503, 504)
# Seconds.
PATIENCE = 60


class ActionModule(LivchatAction):
    """See plugins/modules/app_request.py."""

    ARGUMENTS: t.ClassVar = {
        "entries": {"type": "list", "elements": "dict", "required": True},
        "address": {"type": "str", "required": True},
        "ca_file": {"type": "str", "default": ""},
    }

    def work(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        if self.check_mode:
            return {"changed": False}
        outside = Outside(arguments["address"], arguments["ca_file"], timeout=60)
        done = [
            f"{entry['instance']}: {request['name']}"
            for entry in arguments["entries"]
            for request in entry["post_install"]
            if self._send(outside, entry, request)
        ]
        return {"changed": bool(done), "done": done}

    def _send(self, outside: Outside, entry: dict[str, t.Any], request: dict[str, t.Any]) -> bool:
        """Whether the request changed something; not when the app says that it was done before."""
        names = [secret["name"] for secret in entry["secrets"]]
        secrets = {f"secrets.{name}": self.secret(f"{request['vault_path']}/{name}") for name in names}
        where = f"{entry['app']}: post_install"
        body = _render.fill(request.get("body"), secrets, where)
        form = _render.fill(request.get("form"), secrets, where)
        if form is not None:
            form = {name: _render.text(value) for name, value in form.items()}

        headers = _gate.headers(entry, self.secret)

        def send() -> Answer:
            return outside.request(
                request["host"], request["path"], request["method"], body, headers=headers, form=form
            )

        answer = send()
        deadline = time.monotonic() + PATIENCE
        while answer.status in NOT_YET and time.monotonic() < deadline:
            time.sleep(1)
            answer = send()
        # First, since an app may say both with one status.
        before = request.get("done", {})
        if answer.status == before.get("status") and before["contains"] in answer.body:
            return False
        wanted = request.get("contains", "")
        if answer.status in request["status"] and wanted in answer.body:
            return True
        # The answer may quote what was sent, so it stays out of the message.
        url = f"https://{request['host']}{request['path']}"
        message = f"{entry['instance']}: {request['name']}: {url} answered {answer.status}"
        if answer.status in request["status"]:
            message += f" without {wanted!r}"
        raise LivchatError("POST_INSTALL_FAILED", message, {"status": answer.status})
