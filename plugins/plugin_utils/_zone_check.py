# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""What can be wrong with a DNS zone: at Cloudflare, on the way to it, and in the records themselves."""

from __future__ import annotations

import typing as t

from ..module_utils._cloudflare import CloudflareClient, name_in_zone, plain_name, within
from ..module_utils._errors import LivchatError
from ._caa import AUTHORITIES, Issuance
from ._check import Check, examine
from ._dns import Resolver
from ._record_check import RecordCheck, joined
from ._settings import Settings
from ._vault import Vault
from ._zone import ZoneAccess

# Seconds to wait for one answer, of the API or of a DNS server.
TIMEOUT = 10


class ZoneCheck:
    """Examines a zone, or only what belongs to one name and those below it. Looks, and changes nothing."""

    def __init__(
        self,
        client: CloudflareClient,
        zone: str,
        resolver: Resolver,
        *,
        state: t.Mapping[str, t.Any],
        authority: str = "letsencrypt",
        challenge: str = "dns-01",
        name: str = "",
    ) -> None:
        self._client = client
        self._zone = zone
        self._resolver = resolver
        self._servers: dict[str, t.Any] = state["servers"]
        self._applications: dict[str, t.Any] = state["applications"]
        self._authority = authority
        self._challenge = challenge
        self._name = name_in_zone(name, zone)
        self._one = bool(name)

    @classmethod
    def of(
        cls, settings: Settings, vault: Vault, state: t.Mapping[str, t.Any], *, zone: str = "", name: str = ""
    ) -> ZoneCheck:
        """For the zone of a home, or another one that its token sees.

        Raises:
            LivchatError: see ZoneAccess; INVALID_PARAMETER, when the name is not in the zone.
        """
        access = ZoneAccess.of(settings, vault, zone)
        return cls(
            access.client(timeout=TIMEOUT, patience=TIMEOUT),
            access.zone,
            Resolver(settings.get("dns.resolvers"), TIMEOUT),
            state=state,
            authority=settings.get("acme.server"),
            challenge=settings.get("acme.challenge"),
            name=name,
        )

    def checks(self) -> list[Check]:
        try:
            zone = self._client.zone(self._zone)
        except LivchatError as error:
            return [Check("dns zone", "failed", error.code, error.message)]
        looks = [
            ("dns token", lambda: self._token(zone)),
            ("dns delegation", lambda: self._delegation(zone)),
            ("dns caa", self._caa),
            ("dns records", lambda: self._records(zone)),
        ]
        return [self._status(zone), *examine(looks)]

    def _status(self, zone: dict[str, t.Any]) -> Check:
        if zone.get("status") != "active":
            cure = f"at the registrar, set its name servers to {joined(zone.get('name_servers') or [])}"
            return Check("dns zone", "failed", f"{self._zone} is {zone.get('status')}", cure)
        return Check("dns zone", "ok", f"{self._zone} is active")

    def _token(self, zone: dict[str, t.Any]) -> Check:
        self._client.check_editable(zone["id"])
        return Check("dns token", "ok", "may read the zone and edit its records")

    def _delegation(self, zone: dict[str, t.Any]) -> Check:
        """Whether the world asks Cloudflare about the zone."""
        given = zone.get("name_servers") or []
        if not given:
            return Check("dns delegation", "ok", "the zone is another provider's, which includes Cloudflare's answers")
        ours = {plain_name(one) for one in [*given, *(zone.get("vanity_name_servers") or [])]}
        cure = f"at the registrar, set the name servers of {self._zone} to {joined(given)}"
        try:
            found = {plain_name(one.target.to_text()) for one in self._resolver.records(self._zone, "NS")}
        except LivchatError as error:
            if "SERVFAIL" in error.details.get("answers", ()):
                cure = "if the registrar has a DS record (DNSSEC) of an earlier provider, remove it there"
                return Check("dns delegation", "failed", error.message, cure)
            raise
        if not found:
            return Check("dns delegation", "failed", f"{self._zone} has no name servers", cure)
        if found - ours:
            return Check("dns delegation", "failed", f"{self._zone} is delegated to {joined(found)}", cure)
        return Check("dns delegation", "ok", joined(found))

    def _caa(self) -> Check:
        """Whether CAA records let the operator's authority issue what the servers ask for."""
        domains = {one["metadata"]["domain"] for one in self._servers.values() if self._concerned(one)} or {self._name}
        authority = AUTHORITIES.get(self._authority, "")
        issuance = Issuance(self._resolver, authority, self._challenge)
        # With DNS-01, Traefik asks for one certificate for a server's domain and all below it.
        wildcard = self._challenge == "dns-01"
        refusals = [one for domain in sorted(domains) for one in issuance.refusals(domain, wildcard)]
        if not refusals:
            return Check("dns caa", "ok", f"{authority or 'every authority'} may issue for {joined(domains)}")
        name, place, why = refusals[0]
        said = f"{place} {why}, which concerns {joined(one[0] for one in refusals)}"
        if not authority:
            return Check("dns caa", "warning", said, f"see whether that is the authority at {self._authority}")
        if not within(place, self._zone):
            return Check("dns caa", "failed", said, f"have {authority} admitted at {place}, which is not in this zone")
        tag = "issuewild" if name.startswith("*.") else "issue"
        return Check("dns caa", "failed", said, f"livchat-setup dns set {place} CAA '0 {tag} \"{authority}\"' --add")

    def _concerned(self, server: dict[str, t.Any]) -> bool:
        domain = (server.get("metadata") or {}).get("domain") or ""
        return within(domain, self._zone) and (within(domain, self._name) or within(self._name, domain))

    def _records(self, zone: dict[str, t.Any]) -> list[Check]:
        records = self._client.records(zone["id"])
        look = RecordCheck(records, self._zone, self._name, one=self._one, resolver=self._resolver)
        return [
            *examine([("dns records", look.resolving)]),
            *look.leading(self._servers),
            *look.missing(self._applications, self._servers),
            *look.left_over(self._servers),
        ]
