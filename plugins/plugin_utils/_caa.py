# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""CAA records: which certificate authorities may issue for a name (RFC 8659, with the methods of RFC 8657)."""

from __future__ import annotations

import typing as t

from ._dns import Resolver

# What authorities are called in CAA records. Source: letsencrypt.org/docs/caa.
AUTHORITIES = {"letsencrypt": "letsencrypt.org", "letsencrypt-staging": "letsencrypt.org"}
# Tags that an authority may come upon (RFC 8659, RFC 9495, the CA/Browser Forum's baseline requirements).
TAGS = {"issue", "issuewild", "issuemail", "issuevmc", "iodef", "contactemail", "contactphone"}
CRITICAL = 128


class Issuance:
    """Whether an authority (its name in CAA records) may issue when it validates by this method."""

    def __init__(self, resolver: Resolver, authority: str, method: str) -> None:
        self._resolver = resolver
        self._authority = authority
        self._method = method

    def refusals(self, domain: str, wildcard: bool) -> list[tuple[str, str, str]]:
        """What keeps it from issuing for a domain, and for all names below it when `wildcard` says so.

        Each is the name in the certificate, where the CAA records are, and what they say.

        Raises:
            LivchatError: a lookup failed, see Resolver.
        """
        place, records = self._relevant(domain)
        found = [(domain, place, self._refusal(records, False))]
        if wildcard:
            found.append((f"*.{domain}", place, self._refusal(records, True)))
        return [one for one in found if one[2]]

    def _relevant(self, name: str) -> tuple[str, list[t.Any]]:
        """The records that hold for a name, and where they are: at the name, or at the nearest one above it."""
        place = name
        while place:
            if found := self._resolver.records(place, "CAA"):
                return place, found
            place = place.partition(".")[2]
        return "", []

    def _refusal(self, records: list[t.Any], wildcard: bool) -> str:
        by_tag: dict[str, list[str]] = {}
        for record in records:
            tag = record.tag.decode().lower()
            if record.flags & CRITICAL and tag not in TAGS:
                return f"has a critical CAA record with the unknown tag {tag}"
            by_tag.setdefault(tag, []).append(record.value.decode(errors="replace"))
        admitted = (by_tag.get("issuewild") if wildcard else None) or by_tag.get("issue") or []
        if not admitted or any(self._admits(value) for value in admitted):
            return ""
        return f"admits {' and '.join(sorted(admitted))} only (CAA)"

    def _admits(self, value: str) -> bool:
        authority, *parameters = (part.strip() for part in value.split(";"))
        named = dict(one.split("=", 1) for one in parameters if "=" in one)
        methods = named.get("validationmethods")
        return authority.lower() == self._authority and (methods is None or self._method in methods.split(","))
