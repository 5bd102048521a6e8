# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""The operator's DNS zone: which one it is, and how it is reached."""

from __future__ import annotations

import dataclasses
import typing as t

from ..module_utils._cloudflare import CloudflareClient, plain_name
from ..module_utils._errors import LivchatError
from ._settings import Settings
from ._vault import Vault


@dataclasses.dataclass(frozen=True)
class ZoneAccess:
    """A zone at Cloudflare and the token for it."""

    zone: str
    endpoint: str
    token: str = dataclasses.field(repr=False)

    @classmethod
    def of(cls, settings: Settings, vault: Vault, zone: str = "") -> ZoneAccess:
        """The access that a home has to this zone, or to its own when none is named.

        Raises:
            LivchatError: DNS_NOT_MANAGED, DNS_ZONE_UNKNOWN or DNS_TOKEN_MISSING.
        """
        if settings.get("dns.provider") == "none":
            message = (
                "DNS records are not managed here, as dns.provider is none: make them where your DNS is, "
                "or set dns.provider to cloudflare in config.yaml"
            )
            raise LivchatError("DNS_NOT_MANAGED", message, {"key": "dns.provider"})
        name = plain_name(zone or settings.get("dns.zone"))
        if not name:
            message = "no DNS zone is set: name it (zone), or make it the home's with `livchat-setup init --zone ZONE`"
            raise LivchatError("DNS_ZONE_UNKNOWN", message, {"key": "dns.zone"})
        token = vault.get("tokens/cloudflare")
        if not token:
            message = (
                "no Cloudflare API token is known: `livchat-setup init` keeps one in the vault, "
                "the environment variable CLOUDFLARE_API_TOKEN gives one for now"
            )
            raise LivchatError("DNS_TOKEN_MISSING", message, {"secret": "tokens/cloudflare"})
        return cls(name, settings.get("dns.api_endpoint"), token)

    def client(self, **more: t.Any) -> CloudflareClient:
        return CloudflareClient(self.token, self.endpoint, **more)
