# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DNS at Cloudflare: a client of its API v4 with typed errors."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from http.client import HTTPException
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode

from ansible.module_utils.basic import env_fallback
from ansible.module_utils.urls import open_url
from ansible_collections.livchat.setup.plugins.module_utils._errors import LivchatError
from ansible_collections.livchat.setup.plugins.module_utils._patience import (
    DEFAULT,
    ConnectionCutError,
    Patience,
    TransientError,
    bounded,
)

DEFAULT_ENDPOINT = "https://api.cloudflare.com/client/v4"
# What the comment of a record that we made begins with; its owner follows.
MARK = "managed by livchat.setup: "
# Owner of the records that a person sets. A server owns records under its own name, which cannot hold a slash: no
# server, whatever it is called, takes these with it when it is destroyed.
OPERATOR = "operator/dns"
# The options of doc_fragments/cloudflare.py.
ARGUMENTS: dict[str, Any] = {
    "zone": {"type": "str", "required": True},
    "api_token": {"type": "str", "no_log": True, "fallback": (env_fallback, ["CLOUDFLARE_API_TOKEN"])},
    "api_endpoint": {"type": "str", "default": DEFAULT_ENDPOINT},
    "timeout": {"type": "int", "default": 30},
    "patience": {"type": "int", "default": DEFAULT},
}

# Cloudflare's numeric codes. 9109 and 10000 stand for more than one thing, see _refusal().
_TOKEN_CODES = {1000, 6003, 6111, 9106, 9107}
_MOVED_CODES = {81044, 81057, 81058}
_CONFLICT_CODES = {81053, 81054, 81055, 81056}
_ROUTE_CODES = {7000, 7003}


class RecordsMovedError(TransientError):
    """The records are not those that were read: someone else changed them meanwhile."""


class RateLimitedError(TransientError):
    """The request was refused, so it was not carried out and may be repeated whatever it is."""


class Answer(NamedTuple):
    result: Any
    info: dict[str, Any]


class CloudflareClient:
    """Speaks to the API with one token.

    As long as patience lasts, in seconds for all requests together, reads are repeated after a lost connection or a
    fault of the server, and everything after a rate limit.
    """

    def __init__(
        self,
        token: str,
        endpoint: str = DEFAULT_ENDPOINT,
        *,
        timeout: int = 30,
        patience: float = DEFAULT,
        page_size: int = 1000,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not token:
            raise LivchatError(
                "DNS_TOKEN_MISSING",
                "no Cloudflare API token was given: set api_token or the environment variable CLOUDFLARE_API_TOKEN",
            )
        if any(not 33 <= ord(character) <= 126 for character in token):
            raise LivchatError(
                "DNS_TOKEN_INVALID", "api_token holds spaces, line breaks or other characters no token has"
            )
        if not endpoint.startswith(("https://", "http://")):
            raise LivchatError("DNS_ENDPOINT_INVALID", "api_endpoint: %r is no http:// or https:// address" % endpoint)
        self._token = token
        self._endpoint = endpoint.rstrip("/")
        self._timeout = timeout
        self.patience = Patience(patience, sleep)
        self._page_size = page_size

    @classmethod
    def of(cls, params: dict[str, Any]) -> CloudflareClient:
        """The client that a module's options ask for."""
        return cls(
            params["api_token"] or "",
            params["api_endpoint"],
            timeout=bounded(params["timeout"], params["patience"]),
            patience=params["patience"],
        )

    def zone(self, name: str) -> dict[str, Any]:
        found = self._request("GET", "/zones?" + urlencode({"name": name, "per_page": 50})).result
        for zone in found:
            if zone["name"] == name:
                return dict(zone)
        raise LivchatError(
            "DNS_ZONE_NOT_FOUND",
            "the zone %s is not among those the token can read: add it to the account, "
            "or give the token Zone Read on it" % name,
            {"zone": name},
        )

    def records(self, zone_id: str, **filters: str) -> list[dict[str, Any]]:
        """All records of a zone that match the filters, whatever the number of pages."""
        found: list[dict[str, Any]] = []
        page = 1
        while True:
            query = urlencode({**filters, "page": page, "per_page": self._page_size, "order": "name"})
            answer = self._request("GET", "%s?%s" % (_records_path(zone_id), query))
            found.extend(answer.result)
            if not answer.result or page >= int(answer.info.get("total_pages", 1)):
                break
            page += 1
        # A record made while the pages were read can show up on two of them.
        return list({record["id"]: record for record in found}.values())

    def change_records(
        self, zone_id: str, deletes: list[str], patches: list[dict[str, Any]], posts: list[dict[str, Any]]
    ) -> None:
        """Carries changes out as one: all of them, or none and an error.

        After ConnectionCutError the caller must read the records again to learn which of the two it was.
        """
        body = {"deletes": [{"id": record_id} for record_id in deletes], "patches": patches, "posts": posts}
        self._request("POST", _records_path(zone_id) + "/batch", body, repeat=False)

    def check_editable(self, zone_id: str) -> None:
        """Raises LivchatError DNS_TOKEN_FORBIDDEN unless the token may change the zone's records. Changes nothing."""
        body: dict[str, Any] = {"deletes": [], "patches": [], "posts": []}
        try:
            self._request("POST", _records_path(zone_id) + "/batch", body)
        except LivchatError as error:
            # Whatever is wrong with a change of nothing, the token was good enough to be told so.
            if error.code not in ("DNS_RECORD_INVALID", "DNS_RECORD_CONFLICT", "DNS_API_ERROR"):
                raise

    def _request(self, method: str, path: str, body: Any = None, repeat: bool = True) -> Answer:
        return self.patience.call(
            lambda: self._send(method, path, body), only=TransientError if repeat else RateLimitedError
        )

    def _send(self, method: str, path: str, body: Any) -> Answer:
        try:
            response = open_url(
                self._endpoint + path,
                method=method,
                data=None if body is None else json.dumps(body),
                headers={"Authorization": "Bearer " + self._token, "Content-Type": "application/json"},
                timeout=self._timeout,
                # A redirect would carry the token to another host.
                follow_redirects="none",
                http_agent="livchat.setup",
            )
            status, raw, headers = response.getcode(), response.read(), response.headers
        except HTTPError as error:
            status, raw, headers = error.code, error.read(), error.headers
        except (URLError, HTTPException, OSError) as error:
            reason = getattr(error, "reason", None) or error
            raise ConnectionCutError(
                "DNS_API_UNREACHABLE",
                "%s gave no answer to %s: %s; see whether this network reaches it, and try again"
                % (self._endpoint, method, reason),
                {"endpoint": self._endpoint, "method": method},
            ) from error
        try:
            answer = json.loads(raw)
            if not isinstance(answer, dict):
                raise ValueError
        except ValueError:
            answer = {}
        if status < 300 and answer.get("success") is True and "result" in answer:
            return Answer(answer["result"], answer.get("result_info") or {})
        raise self._error(method, path, status, answer, headers.get("Retry-After"))

    def _error(
        self, method: str, path: str, status: int, answer: dict[str, Any], retry_after: str | None
    ) -> LivchatError:
        errors = _flat(answer.get("errors"))
        codes = {code for code, message in errors}
        said = "; ".join("%s (%s)" % (message, code) for code, message in errors) or "HTTP %s" % status
        details = {
            "method": method,
            "path": path.partition("?")[0],
            "status": status,
            "cloudflare_codes": sorted(codes),
        }
        if status == 429:
            seconds = max(int(retry_after), 1) if retry_after and retry_after.isdigit() else 60
            message = "Cloudflare allows this token no more requests for now (1200 in 5 minutes); try again in %d s"
            return RateLimitedError("DNS_RATE_LIMITED", message % seconds, details, seconds, seconds)
        if status >= 500:
            message = "Cloudflare's API has a fault: it answered %s to %s; try again later" % (said, method)
            return ConnectionCutError("DNS_API_UNAVAILABLE", message, details)
        if codes & _TOKEN_CODES or status in (401, 403):
            return _refusal(said, codes, details)
        if codes & _MOVED_CODES:
            return RecordsMovedError("DNS_RECORD_CONFLICT", "Cloudflare refuses the change: %s" % said, details)
        if codes & _CONFLICT_CODES:
            return LivchatError("DNS_RECORD_CONFLICT", "Cloudflare refuses the change: %s" % said, details)
        if codes & _ROUTE_CODES:
            message = "%s has no such address, is api_endpoint right? %s" % (self._endpoint, said)
            return LivchatError("DNS_ENDPOINT_INVALID", message, details)
        if status == 400 and errors:
            return LivchatError("DNS_RECORD_INVALID", "Cloudflare refuses the request: %s" % said, details)
        message = "%s does not answer as Cloudflare's API does: %s" % (self._endpoint, said)
        return LivchatError("DNS_API_ERROR", message, details)


def plain_name(name: str, zone: str = "") -> str:
    """A name as the API writes it; @ is the zone."""
    plain = name.lower().rstrip(".")
    return zone if plain == "@" else plain


def invalid(field: str, value: Any, allowed: str) -> LivchatError:
    """The error of a parameter; what is allowed is in its details too, for whoever may not show the value."""
    details = {"field": field, "allowed": allowed}
    return LivchatError("INVALID_PARAMETER", f"{field}: {value!r}: {allowed}", details)


def name_outside(field: str, value: Any, zone: str) -> LivchatError:
    """The error of a name that is not in the zone."""
    return invalid(field, value, f"it must be a full host name inside the zone {zone}, or @")


def name_in_zone(name: str, zone: str) -> str:
    """The plain name of what a parameter `name` says, which may be empty for the zone itself.

    Raises:
        LivchatError: INVALID_PARAMETER, when it is not in the zone.
    """
    found = plain_name(name or "@", zone)
    if not within(found, zone):
        raise name_outside("name", name, zone)
    return found


def within(name: str, top: str) -> bool:
    """Whether a name is the other one, or below it."""
    return name == top or name.endswith("." + top)


def owner_of(record: dict[str, Any]) -> str | None:
    """Who a record belongs to, or None when we did not make it."""
    comment = str(record.get("comment") or "")
    return comment[len(MARK) :] if comment.startswith(MARK) else None


def maker_of(record: dict[str, Any]) -> str:
    """Who made a record, in words."""
    owner = owner_of(record)
    if owner is None:
        return "someone else (comment: %s)" % (record.get("comment") or "none")
    return "the operator, with dns.set" if owner == OPERATOR else "livchat.setup for %s" % owner


def same_value(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two records of one name and type say the same."""
    return _comparable(one) == _comparable(other)


def _comparable(record: dict[str, Any]) -> tuple[str, Any]:
    content = str(record.get("content") or "")
    if record["type"] == "TXT":
        # With and without quotes is the same text to Cloudflare; long ones come back in pieces.
        if len(content) > 1 and content.startswith('"') and content.endswith('"'):
            content = content[1:-1].replace('" "', "")
    elif record["type"] == "CAA" and record.get("data"):
        data = record["data"]
        content = '%s %s "%s"' % (data["flags"], data["tag"], data["value"])
    else:
        content = content.lower().rstrip(".")
    return content, record.get("priority") if record["type"] == "MX" else None


def _records_path(zone_id: str) -> str:
    return "/zones/%s/dns_records" % quote(zone_id, safe="")


def _flat(errors: Any) -> list[tuple[int, str]]:
    """Codes and sentences, those that older answers hide in an `error_chain` included."""
    flat: list[tuple[int, str]] = []
    for error in errors if isinstance(errors, list) else []:
        if isinstance(error, dict):
            code = error.get("code")
            flat.append((code if isinstance(code, int) else 0, str(error.get("message", ""))))
            flat.extend(_flat(error.get("error_chain")))
    return flat


def _refusal(said: str, codes: set[int], details: dict[str, Any]) -> LivchatError:
    if codes & _TOKEN_CODES or (9109 in codes and "invalid" in said.lower()):
        message = "Cloudflare does not accept the API token (wrong, expired or revoked): %s" % said
        return LivchatError("DNS_TOKEN_INVALID", message, details)
    message = "the Cloudflare API token may not do this, it needs Zone Read and DNS Edit on the zone: %s" % said
    return LivchatError("DNS_TOKEN_FORBIDDEN", message, details)
