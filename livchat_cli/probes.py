"""Tries what the operator's settings say: tokens and their rights, the zone, the certificate authority.

Nothing is changed anywhere: a right to write is tested with a request that the API must refuse for another reason.
"""

from __future__ import annotations

import json
import socket
import ssl
import urllib.error
import urllib.request
from typing import Any

from livchat_cli import collection
from livchat_cli.errors import LivchatError

collection.activate()

from ansible_collections.livchat.setup.plugins.module_utils._cloudflare import CloudflareClient  # noqa: E402

_ACME = {
    "letsencrypt": "https://acme-v02.api.letsencrypt.org/directory",
    "letsencrypt-staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
}
_TIMEOUT = 10


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the token to another host."""

    def redirect_request(self, *_: Any) -> None:
        return None


def hetzner(token: str, endpoint: str) -> str:
    """What the token may do, in words.

    Raises:
        LivchatError: PROVIDER_TOKEN_INVALID, PROVIDER_TOKEN_READONLY, PROVIDER_UNREACHABLE or PROVIDER_ERROR.
    """
    status, answer = _hetzner(token, f"{endpoint.rstrip('/')}/servers?per_page=1")
    if status in (401, 403):
        message = "Hetzner does not accept the API token (wrong, expired or revoked): make one in its console"
        raise LivchatError("PROVIDER_TOKEN_INVALID", message, {"status": status})
    if status != 200:
        message = f"{endpoint} does not answer as Hetzner's API does: HTTP {status}"
        raise LivchatError("PROVIDER_ERROR", message, {"status": status})
    servers = (answer.get("meta") or {}).get("pagination", {}).get("total_entries", len(answer.get("servers", [])))
    # A key without name and content is refused by every token that may make keys.
    status, _ = _hetzner(token, f"{endpoint.rstrip('/')}/ssh_keys", b"{}")
    if status in (401, 403):
        message = "the Hetzner API token may only read: make one with the permission Read & Write"
        raise LivchatError("PROVIDER_TOKEN_READONLY", message, {"status": status})
    return f"valid, read and write, {servers} servers in the project"


def _hetzner(token: str, address: str, body: bytes | None = None) -> tuple[int, dict[str, Any]]:
    if not address.startswith(("https://", "http://")):
        raise LivchatError("SETTING_INVALID", f"providers.hetzner.api_endpoint: {address!r} is no http(s) address")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise LivchatError("PROVIDER_TOKEN_INVALID", "the Hetzner API token holds characters that no token has")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "User-Agent": "livchat-setup"}
    request = urllib.request.Request(address, data=body, headers=headers)  # noqa: S310  # checked above
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=_TIMEOUT) as response:
            return response.status, _object(response.read())
    except urllib.error.HTTPError as error:
        return error.code, _object(error.read())
    except OSError as error:
        reason = getattr(error, "reason", None) or error
        raise LivchatError("PROVIDER_UNREACHABLE", f"no answer from {address.partition('?')[0]}: {reason}") from None


def _object(raw: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(raw)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def cloudflare(token: str, endpoint: str, zone: str) -> dict[str, Any]:
    """The zone as the token sees it, once it is known that the token may change its records.

    Raises:
        LivchatError: a DNS_… error of the collection's client.
    """
    client = CloudflareClient(token, endpoint, timeout=_TIMEOUT, patience=0)
    found = client.zone(zone.lower().rstrip("."))
    client.records(found["id"])
    client.check_editable(found["id"])
    return dict(found)


def acme(server: str, ca_file: str) -> str:
    """The address of the ACME directory, which answered as one.

    Raises:
        LivchatError: ACME_UNREACHABLE, ACME_INVALID, or SETTING_INVALID.
    """
    address = _ACME.get(server, server)
    if not address.startswith("https://"):
        allowed = f"{', '.join(_ACME)} or an https:// address"
        raise LivchatError("SETTING_INVALID", f"acme.server: {server!r} is not allowed; allowed: {allowed}")
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise LivchatError("SETTING_INVALID", f"acme.ca_file: {ca_file} is no file of certificates: {error}") from None
    try:
        with urllib.request.urlopen(address, timeout=_TIMEOUT, context=context) as response:  # noqa: S310
            directory = _object(response.read())
    except OSError as error:
        reason = getattr(error, "reason", None) or error
        raise LivchatError("ACME_UNREACHABLE", f"no answer from {address}: {reason}") from None
    if "newOrder" not in directory:
        raise LivchatError("ACME_INVALID", f"acme.server: {address} is no ACME directory")
    return address


def port(address: str, number: int) -> None:
    """Raises SERVER_UNREACHABLE unless the port takes a connection."""
    try:
        socket.create_connection((address, number), timeout=5).close()
    except OSError as error:
        message = f"{address}:{number} takes no connection: {error.strerror or error}"
        raise LivchatError("SERVER_UNREACHABLE", message) from None
