# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""Hetzner's API: a client of the hcloud library that lives through its bad days, and what its errors mean."""

from __future__ import annotations

import json
import typing as t

from ansible.module_utils.basic import env_fallback

from ._errors import LivchatError
from ._patience import DEFAULT as DEFAULT_PATIENCE
from ._patience import ConnectionCutError, Patience, TransientError, bounded

try:
    import requests
    from hcloud import Client
    from hcloud.actions.domain import ActionException
    from requests.adapters import HTTPAdapter
except ImportError:
    # Who uses the client says what is missing; the rest of this needs none of it.
    HTTPAdapter = object

# Used-up requests come back one a second (docs.hetzner.cloud, "Rate Limiting"): a run needs a few dozen.
RATE_LIMIT_PAUSE = 60
# Seconds for one answer.
ANSWER_TIMEOUT = 30
# What each module that asks Hetzner is told of it.
OPTIONS: dict[str, t.Any] = {
    "api_token": {"type": "str", "no_log": True, "fallback": (env_fallback, ["HCLOUD_TOKEN"])},
    "api_endpoint": {"type": "str", "default": "https://api.hetzner.cloud/v1"},
    "patience": {"type": "int", "default": DEFAULT_PATIENCE},
}


def refusal(request: str, status: int, body: bytes, retry_after: str | None) -> LivchatError | None:
    """The error that an answer's status means, in words; None for one that says what is wrong with the request."""
    code = _code(body)
    said = f"{status} {code}".strip()
    details = {"request": request, "status": status, "provider_code": code}
    asked = int(retry_after) if retry_after and retry_after.isdecimal() else None
    if status == 429:
        seconds = asked or RATE_LIMIT_PAUSE
        message = f"Hetzner allows this token no more requests for now; try again in {seconds} s"
        return TransientError("PROVIDER_RATE_LIMITED", message, details, seconds, asked)
    if status >= 500:
        message = f"Hetzner's API has a fault: it answered {said} to {request}; try again later"
        return ConnectionCutError("PROVIDER_UNAVAILABLE", message, details, asked, asked)
    if code == "locked":
        message = f"Hetzner still does something else with it (locked, for {request}); try again in a minute"
        return TransientError("PROVIDER_BUSY", message, details)
    if status in (401, 403):
        message = f"Hetzner refuses the token ({said}, for {request}): it must be valid, and may have to write"
        return LivchatError("PROVIDER_TOKEN_INVALID", message, details)
    return None


def silence(request: str, endpoint: str, reason: object) -> LivchatError:
    """The error that no answer means. A certificate that is not trusted will not be at another try either."""
    message = (
        f"{endpoint} gave no answer to {request}: {reason}; see whether it can be reached from here, and try again"
    )
    kind = LivchatError if "CERTIFICATE_VERIFY_FAILED" in str(reason) else ConnectionCutError
    return kind("PROVIDER_UNREACHABLE", message, {"request": request, "endpoint": endpoint})


def _code(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return ""


def connect(token: str, endpoint: str, timeout: float, patience: float) -> t.Any:
    """A client of the hcloud library whose requests are repeated as long as patience lasts.

    A write may then be carried out twice. The second time the API refuses it (`uniqueness_error`, `not_found`), which
    the caller takes as: look what is there.

    Raises:
        LivchatError: PROVIDER_ENDPOINT_INVALID; from each of its requests, in the end, those of `refusal` and `silence`
            that are worth another try.
    """
    try:
        if not endpoint.startswith(("https://", "http://")):
            raise ValueError(endpoint)
        requests.Request("GET", endpoint).prepare()
    except ValueError as error:  # that of requests is one
        message = f"api_endpoint: {endpoint!r} is no http:// or https:// address"
        raise LivchatError("PROVIDER_ENDPOINT_INVALID", message, {"endpoint": endpoint}) from error
    client = Client(token, api_endpoint=endpoint, application_name="livchat.setup", poll_interval=1, timeout=timeout)
    adapter = PatientAdapter(endpoint, Patience(patience))
    # The library repeats less (no 500, no 503, no lost connection), without bound in time, and knows no Retry-After.
    # It offers no way to its transport, so this takes the private one; unit tests notice when it is gone.
    for scheme in ("http://", "https://"):
        client._client._session.mount(scheme, adapter)
    return client


def client_of(parameters: t.Mapping[str, t.Any]) -> t.Any:
    """The client that a module's OPTIONS ask for.

    Raises:
        LivchatError: PROVIDER_TOKEN_MISSING; what `connect` raises.
    """
    if not parameters["api_token"]:
        raise LivchatError("PROVIDER_TOKEN_MISSING", "no token of the provider was given")
    patience = parameters["patience"]
    timeout = bounded(ANSWER_TIMEOUT, patience)
    return connect(parameters["api_token"], parameters["api_endpoint"], timeout, patience)


def server_type(client: t.Any, name: str) -> t.Any:
    """The server type of that name. Raises LivchatError INPUT_INVALID with those that are sold."""
    found = client.server_types.get_by_name(name)
    if found is None:
        # One that is to go may be sold in some places for longer than in others.
        known = sorted(
            one.name
            for one in client.server_types.get_all()
            if not all(place.deprecation for place in one.locations or [])
        )
        raise refused("server_type", name, f"allowed: {', '.join(known)}")
    return found


def check_location(client: t.Any, name: str) -> None:
    """Raises LivchatError INPUT_INVALID with the locations that there are."""
    known = sorted(one.name for one in client.locations.get_all())
    if name not in known:
        raise refused("location", name, f"allowed: {', '.join(known)}")


def places(server_type: t.Any) -> list[str]:
    """Locations at which the type can be had now."""
    return sorted(one.location.name for one in server_type.locations or [] if one.available)


def refused(field: str, value: object, allowed: str) -> LivchatError:
    """The error for a parameter that Hetzner has no such thing for."""
    return LivchatError("INPUT_INVALID", f"{field}: {value!r}; {allowed}", {"field": field, "value": value})


def in_words(error: t.Any) -> str:
    """The library's error in words."""
    if isinstance(error, ActionException):
        failure = error.action.error or {}
        return f"{error.action.command}: {failure.get('message') or 'it did not end in time'}"
    return str(error)


def provider_error(error: t.Any) -> LivchatError:
    """The library's errors as ours."""
    if isinstance(error, LivchatError):
        return error
    code = getattr(error, "code", None) or ""
    details = {"provider_code": str(code)}
    if code in ("unauthorized", "forbidden", "token_readonly", 401, 403):
        message = f"Hetzner refuses the token: {in_words(error)}; it needs the right to read and write"
        return LivchatError("PROVIDER_TOKEN_INVALID", message, details)
    if code == "protected":
        message = f"{in_words(error)}; remove the protection at Hetzner first"
        return LivchatError("SERVER_PROTECTED", message, details)
    return LivchatError("PROVIDER_ERROR", f"Hetzner could not do it: {in_words(error)}", details)


class PatientAdapter(HTTPAdapter):  # type: ignore[misc,valid-type]  # object where requests is missing
    """The transport of a session: errors of ours in place of answers that say nothing about the request."""

    def __init__(self, endpoint: str, patience: Patience) -> None:
        super().__init__()
        self._endpoint = endpoint
        self._patience = patience

    def send(self, request: t.Any, **options: t.Any) -> t.Any:
        return self._patience.call(lambda: self._send(request, options))

    def _send(self, request: t.Any, options: dict[str, t.Any]) -> t.Any:
        name = f"{request.method} {request.path_url.partition('?')[0]}"
        try:
            response = super().send(request, **options)
            body = response.content
        except requests.RequestException as error:
            reason = error if isinstance(error, requests.exceptions.SSLError) else _kind(error)
            raise silence(name, self._endpoint, reason) from error
        problem = refusal(name, response.status_code, body, response.headers.get("Retry-After"))
        # What is wrong with a token or a request the library says itself.
        if isinstance(problem, TransientError):
            raise problem
        return response


def _kind(error: Exception) -> str:
    """What happened; the error itself quotes addresses and objects."""
    if isinstance(error, requests.exceptions.Timeout):
        return "it took too long"
    return "the connection was refused or lost"
