# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import ipaddress
import os
import re
import typing as t

from ..module_utils._errors import LivchatError
from ..plugin_utils._action import LivchatAction
from ..plugin_utils._dns import Resolver

# Each with what is allowed, in words.
RULES = {
    "name": (r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", "a lower case letter, then letters, digits and dashes, 63 at most"),
    "address": (r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", "an IPv4 address or a host name"),
    "user": (r"[a-z_][a-z0-9_-]{0,31}", "a Linux user name"),
    "domain": (
        r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]",
        "a domain in lower case, such as old.example.com",
    ),
}


class ActionModule(LivchatAction):
    """See plugins/modules/adoption.py."""

    ARGUMENTS: t.ClassVar = {
        "name": {"type": "str", "required": True},
        "address": {"type": "str", "required": True},
        "user": {"type": "str", "default": "root"},
        "port": {"type": "int", "default": 22},
        "private_key": {"type": "str", "default": ""},
        "domain": {"type": "str", "default": ""},
    }

    def work(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        name, port = arguments["name"], arguments["port"]
        zone = self.settings.get("dns.zone")
        domain = arguments["domain"] or (f"{name}.{zone}" if zone else "")
        for field, value in {**arguments, "domain": domain}.items():
            if field in RULES and not re.fullmatch(RULES[field][0], value):
                raise _refused(field, value, RULES[field][1])
        if not 1 <= port <= 65535:
            raise _refused("port", port, "1 to 65535")
        key = os.path.abspath(os.path.expanduser(arguments["private_key"])) if arguments["private_key"] else ""
        if key and not os.access(key, os.R_OK):
            raise _refused("private_key", arguments["private_key"], "a file that can be read")
        if self.settings.get("dns.provider") == "cloudflare" and not f".{domain}".endswith(f".{zone}"):
            raise _refused("domain", domain, f"a domain in the DNS zone {zone}")
        servers = self._servers()
        known = servers.get(name, {})
        address = self._address(arguments["address"])
        self._check_conflicts(name, address, port, servers)
        return {
            "changed": False,
            "ip_address": address,
            "port": port,
            "user": arguments["user"],
            "domain": domain,
            "private_key": key,
            "known": bool(known),
            # How it came to be ours does not change when it is adopted again.
            "status": known.get("status") or "adopted",
            "created_at": known.get("created_at")
            or datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        }

    def _servers(self) -> dict[str, dict[str, t.Any]]:
        """What the index and the inventory know; a server that was deleted at the provider is in the former only."""
        hosts = self.variables.get("groups", {}).get("livchat", [])
        listed = {host: self.variables["hostvars"][host].get("livchat_server", {}) for host in hosts}
        return {**listed, **self.state.load()["servers"]}

    def _address(self, given: str) -> str:
        """IPv4, since the DNS records of applications need it."""
        if re.fullmatch(r"[0-9.]+", given):
            try:
                return str(ipaddress.IPv4Address(given))
            except ValueError:
                raise _refused("address", given, RULES["address"][1]) from None
        found = Resolver(self.settings.get("dns.resolvers")).addresses(given)
        address = next((one for one in found if ":" not in one), "")
        if not address:
            message = f"the host name {given} has no IPv4 address: {', '.join(found) or 'nobody knows it'}"
            raise LivchatError("SERVER_UNREACHABLE", message, {"address": given})
        return address

    @staticmethod
    def _check_conflicts(name: str, address: str, port: int, servers: dict[str, dict[str, t.Any]]) -> None:
        known = servers.get(name, {})
        details = {"name": name, "ip_address": known.get("ip_address", "")}
        if known and known.get("provider") != "adopted":
            place = f"{known.get('provider')}, {known.get('ip_address')}"
            message = f"there is a server {name} already ({place}); use another name"
            raise LivchatError("SERVER_NAME_CONFLICT", message, details)
        for other, server in servers.items():
            theirs = (server.get("ip_address"), (server.get("metadata") or {}).get("port", 22))
            if other != name and theirs == (address, port):
                message = f"the server at {address}, port {port}, is known as {other} already"
                raise LivchatError("SERVER_ADDRESS_CONFLICT", message, {"name": other, "ip_address": address})


def _refused(field: str, value: t.Any, allowed: str) -> LivchatError:
    message = f"{field}: {value!r}: not allowed; allowed: {allowed}"
    return LivchatError("INPUT_INVALID", message, {"fields": [{"field": field, "value": value, "allowed": allowed}]})
