"""What the parts of one API share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from starlette.requests import Request

from livchat_cli.access import Principal, Tokens
from livchat_cli.api.idempotency import Once
from livchat_cli.api.limits import Limits, Places
from livchat_cli.api.looks import Looks
from livchat_cli.api.metrics import Metrics
from livchat_cli.client import Client

# Calls that wait for a job's end at once, of one token and of all; who comes beyond that does not wait.
WAITING_EACH = 50
WAITING = 300


@dataclass(frozen=True)
class Service:
    home: Path
    tokens: Tokens
    limits: Limits
    metrics: Metrics
    once: Once
    looks: Looks
    waiting: Places = field(default_factory=lambda: Places(WAITING_EACH, WAITING))

    @classmethod
    def of(cls, home: Path) -> Service:
        """That of a home. Raises LivchatError SETTING_INVALID or HOME_DAMAGED."""
        return cls(home, Tokens(home), Limits(home), Metrics(home), Once(home), Looks(home))

    def client(self, request: Request) -> Client:
        """For whoever asks: it checks scopes and servers."""
        return Client(self.home, principal(request))


def principal(request: Request) -> Principal:
    """Who asks, as the guard has found out."""
    found: Principal = request.scope["state"]["principal"]
    return found
