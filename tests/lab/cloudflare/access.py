"""Who may do what: tokens with their permissions and zones, and the limit on requests per token."""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.lab.cloudflare.errors import ApiError

PERMISSIONS = ("Zone.Read", "DNS.Read", "DNS.Edit")


@dataclass
class Token:
    value: str
    permissions: list[str] = field(default_factory=lambda: list(PERMISSIONS))
    zones: list[str] = field(default_factory=lambda: ["*"])
    status: str = "active"
    id: str = field(default_factory=lambda: secrets.token_hex(16))

    def may(self, permission: str, zone: str) -> bool:
        granted = permission in self.permissions or (permission == "DNS.Read" and "DNS.Edit" in self.permissions)
        return granted and ("*" in self.zones or zone in self.zones)


class Tokens:
    """The tokens that exist. The lab's own may do everything; tests add narrower ones."""

    def __init__(self, token: str) -> None:
        self._lock = threading.Lock()
        self._tokens = {token: Token(token)}

    def add(self, data: dict[str, Any]) -> Token:
        permissions = data.get("permissions", list(PERMISSIONS))
        if unknown := sorted(set(permissions) - set(PERMISSIONS)):
            raise ApiError(400, 400, f"permissions: {', '.join(unknown)}: allowed are {', '.join(PERMISSIONS)}")
        token = Token(
            data.get("value") or secrets.token_urlsafe(30),
            list(permissions),
            list(data.get("zones", ["*"])),
            data.get("status", "active"),
        )
        with self._lock:
            self._tokens[token.value] = token
        return token

    def list(self) -> list[dict[str, Any]]:
        with self._lock:
            return [
                {key: value for key, value in asdict(token).items() if key != "value"}
                for token in self._tokens.values()
            ]

    def remove(self, token_id: str) -> None:
        with self._lock:
            self._tokens = {value: token for value, token in self._tokens.items() if token.id != token_id}

    def of(self, authorization: str | None, verifying: bool = False) -> Token:
        """The token of an Authorization header, or the error Cloudflare answers in its place."""
        if authorization is None:
            raise ApiError(400, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers")
        scheme, _, value = authorization.partition(" ")
        if scheme != "Bearer" or not value or not value.replace("-", "").replace("_", "").isalnum():
            error = ApiError(400, 6003, "Invalid request headers")
            error.errors[0]["error_chain"] = [{"code": 6111, "message": "Invalid format for Authorization header"}]
            raise error
        with self._lock:
            token = self._tokens.get(value)
        if token and token.status == "active":
            return token
        raise ApiError(401, 1000, "Invalid API Token") if verifying else ApiError(403, 9109, "Invalid access token")


class RateLimit:
    """So many requests in a sliding window for each token; over it, nothing for the rest of the window."""

    def __init__(self, requests: int = 1200, window: float = 300.0) -> None:
        self.requests = requests
        self.window = window
        self._lock = threading.Lock()
        self._times: dict[str, deque[float]] = {}

    def count(self, token: str) -> dict[str, str]:
        """Counts one request, and returns the headers that tell how many are left."""
        moment = time.monotonic()
        with self._lock:
            times = self._times.setdefault(token, deque())
            while times and times[0] <= moment - self.window:
                times.popleft()
            wait = math.ceil(times[0] + self.window - moment) if times else math.ceil(self.window)
            if len(times) >= self.requests:
                raise rate_limited(wait)
            times.append(moment)
            left = self.requests - len(times)
        return {
            "Ratelimit": f'"default";r={left};t={wait}',
            "Ratelimit-Policy": f'"default";q={self.requests};w={int(self.window)}',
        }


def rate_limited(retry_after: int) -> ApiError:
    message = "Please wait and consider throttling your request speed"
    return ApiError(429, 971, message, headers={"Retry-After": str(retry_after)})
