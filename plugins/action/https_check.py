# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import concurrent.futures
import typing as t

from ..module_utils._errors import LivchatError
from ..plugin_utils import _gate
from ..plugin_utils._action import LivchatAction
from ..plugin_utils._https import Outside

# Lines of what a service printed last.
LINES = 20


class ActionModule(LivchatAction):
    """See plugins/modules/https_check.py."""

    ARGUMENTS: t.ClassVar = {
        "entries": {"type": "list", "elements": "dict", "default": []},
        "closed": {"type": "bool", "default": False},
        "urls": {
            "type": "list",
            "elements": "dict",
            "required": True,
            "options": {
                "host": {"type": "str", "required": True},
                "path": {"type": "str", "default": "/"},
                "status": {"type": "list", "elements": "int", "default": [200]},
                "url": {"type": "str"},
            },
        },
        "address": {"type": "str", "required": True},
        "ca_file": {"type": "str", "default": ""},
        "resolvers": {"type": "list", "elements": "str", "default": []},
        "timeout": {"type": "int", "default": 180},
        "interval": {"type": "float", "default": 0.5},
    }

    def work(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        outside = Outside(arguments["address"], arguments["ca_file"], tuple(arguments["resolvers"]))

        closed = arguments["entries"] if arguments["closed"] else []
        keys = {url["host"]: _gate.headers(entry, self.secret) for entry in closed for url in entry["urls"]}
        patience = (arguments["timeout"], arguments["interval"])

        def look(url: dict[str, t.Any]) -> dict[str, t.Any]:
            try:
                answer = outside.wait(url["host"], url["path"], url["status"], *patience, headers=keys.get(url["host"]))
            except LivchatError as error:
                return {"host": url["host"], "error": error.to_dict()}
            return {"host": url["host"], "status": answer.status, "issuer": answer.issuer, "expires": answer.expires}

        # All at once, each with the whole time: the slowest one decides how long this takes, not their sum.
        with concurrent.futures.ThreadPoolExecutor(max_workers=max(1, min(32, len(arguments["urls"])))) as pool:
            answers = list(pool.map(look, arguments["urls"]))
        result: dict[str, t.Any] = {"changed": False, "answers": answers}
        if wrong := [one for one in answers if "error" in one]:
            message = "; ".join(f"{one['error']['code']}: {one['error']['message']}" for one in wrong)
            error = wrong[0]["error"]
            error["details"].update(self._last_words(arguments["entries"], wrong[0]["host"]))
            result.update(failed=True, msg=message, error=error)
        return result

    def _last_words(self, entries: list[dict[str, t.Any]], host: str) -> dict[str, t.Any]:
        """The service that stands behind the host name, and what it printed last, without its secrets."""
        for entry in entries:
            for name, service in entry["compose"]["services"].items():
                labels = service.get("deploy", {}).get("labels", {})
                if any(f"Host(`{host}`)" in str(label) for label in labels.values()):
                    whole = f"{entry['stack']}_{name}"
                    command = ["docker", "service", "logs", "--raw", "--tail", str(LINES), whole]
                    answer = self._execute_module("ansible.legacy.command", {"argv": command}, task_vars=self.variables)
                    printed = "\n".join(str(answer.get(stream) or "") for stream in ("stdout", "stderr"))
                    for secret in entry["secrets"]:
                        if value := self.vault.get(secret["vault_path"]):
                            printed = printed.replace(value, "********")
                    return {"service": whole, "output": printed.strip().splitlines()[-LINES:]}
        return {}
