# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: hetzner
author: LivChat (@livchat)
version_added: 0.1.0
short_description: The operator's servers, at Hetzner and adopted ones
description:
  - Lists the servers of a Hetzner Cloud project that carry the label C(managed-by=livchat-setup), and the servers in
    C(state.json) that were adopted from elsewhere.
  - All are in the group C(livchat). Further groups are C(location_X), C(type_X), C(status_X), C(label_K_V), C(app_X)
    for each installed app, and C(instance_X) for each instance of one. What is not a letter, a digit or an underscore
    becomes an underscore in the name of a group.
  - The variables of a host are C(livchat_server), which has all fields of a server, C(server_domain), and what Ansible
    needs to reach it.
  - Asks the provider once per 50 servers, and not at all while the cache is warm. It asks again, as long as the setting
    C(general.api_patience) says, while the provider asks to wait, has a fault or does not answer.
notes:
  - Ansible takes an inventory that fails for one without servers, and goes on. The command line makes it an error; with
    C(ansible-playbook) set C(ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED=true).
options:
  plugin:
    description: Must be C(livchat.setup.hetzner).
    type: str
    required: true
    choices: [livchat.setup.hetzner]
  livchat_home:
    description: The operator's home.
    type: path
    env:
      - name: LIVCHAT_HOME
  api_token:
    description:
      - Token of the project; from a vault id of the name C(HCLOUD_TOKEN), else from the vault, when not given. Without
        any, only adopted servers are listed.
    type: str
    env:
      - name: HCLOUD_TOKEN
  api_endpoint:
    description: Address of the API; the setting C(providers.hetzner.api_endpoint) when not given.
    type: str
extends_documentation_fragment:
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
"""

EXAMPLES = r"""
# livchat.yml
plugin: livchat.setup.hetzner
keyed_groups:
  - key: livchat_server.metadata.location
    prefix: in
"""

import functools
import http.client
import json
import os
import typing as t
import urllib.error
import urllib.parse

from ansible.errors import AnsibleParserError
from ansible.inventory.group import to_safe_group_name
from ansible.module_utils.urls import open_url
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.utils.unsafe_proxy import wrap_var

from ..module_utils._errors import LivchatError
from ..module_utils._hetzner import refusal, silence
from ..module_utils._patience import Patience, bounded
from ..plugin_utils import _hosts
from ..plugin_utils._home import Home
from ..plugin_utils._settings import Settings
from ..plugin_utils._state import State
from ..plugin_utils._vault import Vault

SELECTOR = "managed-by=livchat-setup"
PER_PAGE = 50
# Seconds for one answer.
TIMEOUT = 30
# Of an adopted server, unless the index knows it.
UNSAID = {"resources": {}, "created_at": "", "ssh_key_id": "", "applications": []}


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    NAME = "livchat.setup.hetzner"

    def verify_file(self, path: str) -> bool:
        return super().verify_file(path) and path.endswith(
            ("livchat.yml", "livchat.yaml", "hetzner.yml", "hetzner.yaml")
        )

    def parse(self, inventory, loader, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        try:
            self._home = Home(self.get_option("livchat_home"))
            state = State(self._home).load()
            for server in self._at_provider(path, cache):
                self._add(self._described(server, state), state)
            for name, server in sorted(state["servers"].items()):
                if server.get("provider") == "adopted":
                    self._add({**UNSAID, **server, "name": name}, state)
        except LivchatError as error:
            _hand_over(error)
            raise AnsibleParserError(str(error)) from error

    def _at_provider(self, path: str, cache: bool) -> list[dict[str, t.Any]]:
        """The project's servers as the API tells them, from the cache while that is warm."""
        self.load_cache_plugin()
        key = self.get_cache_key(path)
        use = bool(self.get_option("cache"))
        if use and cache:
            try:
                return self._cache[key]
            except KeyError:
                pass
        token = self.get_option("api_token") or Vault(self._home).get("tokens/hetzner")
        servers = self._fetch(token) if token else []
        if use:
            self._cache[key] = servers
        return servers

    def _fetch(self, token: str) -> list[dict[str, t.Any]]:
        endpoint = self.get_option("api_endpoint") or Settings(self._home).get("providers.hetzner.api_endpoint")
        seconds = Settings(self._home).get("general.api_patience")
        patience = Patience(seconds)
        servers: list[dict[str, t.Any]] = []
        page: int | None = 1
        while page:
            ask = functools.partial(self._page, endpoint, token, page, bounded(TIMEOUT, seconds))
            try:
                body = patience.call(ask)
            except LivchatError as error:
                message = f"the servers could not be listed: {error.message}"
                raise LivchatError(error.code, message, error.details, error.retry_after) from error
            try:
                servers += body["servers"]
                page = body["meta"]["pagination"]["next_page"]
            except (KeyError, TypeError) as error:
                message = f"{endpoint}/servers does not answer as Hetzner's API does; is api_endpoint right?"
                raise LivchatError("PROVIDER_ERROR", message, {"endpoint": endpoint}) from error
        return servers

    @staticmethod
    def _page(endpoint: str, token: str, page: int, timeout: float) -> t.Any:
        query = urllib.parse.urlencode({"label_selector": SELECTOR, "per_page": PER_PAGE, "page": page})
        request = "GET /servers"
        try:
            headers = {"Authorization": f"Bearer {token}"}
            answer = open_url(f"{endpoint}/servers?{query}", headers=headers, timeout=timeout)
            return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            problem = refusal(request, error.code, error.read(), error.headers.get("Retry-After"))
            if problem is None:
                message = f"{endpoint}/servers answered {error.code} {error.reason}; is api_endpoint right?"
                problem = LivchatError("PROVIDER_ERROR", message, {"endpoint": endpoint, "status": error.code})
            raise problem from error
        except (OSError, http.client.HTTPException) as error:
            raise silence(request, endpoint, getattr(error, "reason", None) or error) from error
        except ValueError:
            # The caller misses what it looks for.
            return None

    @staticmethod
    def _described(server: dict[str, t.Any], state: dict[str, t.Any]) -> dict[str, t.Any]:
        """The API's server in the fields of ours; what only we know comes from the state."""
        kept = state["servers"].get(server["name"], {})
        labels = server["labels"]
        address = server["public_net"].get("ipv4") or {}
        return {
            "id": str(server["id"]),
            "name": server["name"],
            "provider": "hetzner",
            "ip_address": address.get("ip", ""),
            "status": server["status"],
            "resources": {
                "cpu_cores": server["server_type"]["cores"],
                "memory_mb": int(server["server_type"]["memory"] * 1024),
                "disk_gb": server["server_type"]["disk"],
            },
            "created_at": server["created"],
            "ssh_key_id": kept.get("ssh_key_id", ""),
            "applications": kept.get("applications", []),
            "metadata": {
                "user": "root",
                "port": 22,
                **kept.get("metadata", {}),
                "location": server["location"]["name"],
                "server_type": server["server_type"]["name"],
                "image": (server.get("image") or {}).get("name", ""),
                "labels": labels,
                "domain": kept.get("metadata", {}).get("domain") or labels.get("livchat-domain", ""),
                "private_key": kept.get("metadata", {}).get("private_key") or server["name"],
            },
        }

    def _add(self, server: dict[str, t.Any], state: dict[str, t.Any]) -> None:
        # What an API or a file says is data, never a template.
        server = wrap_var(server)
        name, metadata = server["name"], server["metadata"]
        self.inventory.add_host(name, group=self.inventory.add_group("livchat"))
        for variable, value in _hosts.variables(self._home, server).items():
            self.inventory.set_variable(name, variable, value)
        groups = [f"status_{server['status']}"]
        groups += [
            f"{kind}_{metadata[field]}"
            for kind, field in (("location", "location"), ("type", "server_type"))
            if metadata.get(field)
        ]
        for instance in server["applications"]:
            app = state["applications"].get(f"{name}/{instance}", {}).get("name") or instance
            groups += [f"app_{app}", f"instance_{instance}"]
        groups += [f"label_{label}_{value}" for label, value in metadata.get("labels", {}).items()]
        for group in groups:
            self.inventory.add_host(
                name, group=self.inventory.add_group(to_safe_group_name(group, force=True, silent=True))
            )
        strict = self.get_option("strict")
        known = self.inventory.get_host(name).get_vars()
        self._set_composite_vars(self.get_option("compose"), known, name, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), known, name, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), known, name, strict=strict)


def _hand_over(error: LivchatError) -> None:
    """Writes the error down for the program that runs Ansible, which itself passes on no more than a sentence."""
    if path := os.environ.get("LIVCHAT_ERROR_FILE"):
        with open(path, "w", encoding="utf-8") as handle:
            json.dump(error.to_dict(), handle)
