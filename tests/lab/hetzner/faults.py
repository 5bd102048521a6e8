"""Faults on demand: what a client must live through when the real cloud has a bad day."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from .errors import invalid_fields


class Fault(BaseModel):
    """A fault that happens `times` times, or until it is switched off."""

    model_config = ConfigDict(extra="forbid")
    times: int | None = Field(default=None, ge=0)


F = TypeVar("F", bound=Fault)


class ActionFails(Fault):
    # A pattern of action commands, such as `create_server` or `*_server`.
    command: str = "*"


class SoldOut(Fault):
    server_type: str = "*"
    location: str = "*"
    # Whether GET /server_types says so too; if not, a client learns it only when it creates the server.
    announced: bool = True


class OnRequest(Fault):
    method: str = "*"
    path: str = "*"


class RateLimited(OnRequest):
    pass


class ServerError(OnRequest):
    status: Literal[500, 502, 503, 504] = 503


class Slow(OnRequest):
    seconds: float = Field(ge=0, le=600)


class CutAfter(OnRequest):
    # The request is carried out, then the connection is closed in place of an answer. Writes only, unless told.
    method: str = "[!G]*"


def _listed(short: str) -> BeforeValidator:
    """One fault, or its one telling value, may stand in place of a list of faults; nothing or 0 means none."""

    def widen(value: Any) -> Any:
        values = value if isinstance(value, list) else [value] if value else []
        return [one if isinstance(one, (dict, Fault)) else {short: one} for one in values]

    return BeforeValidator(widen)


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    action_fails: Annotated[list[ActionFails], _listed("command")] = []
    sold_out: Annotated[list[SoldOut], _listed("server_type")] = []
    rate_limited: Annotated[list[RateLimited], _listed("times")] = []
    server_error: Annotated[list[ServerError], _listed("times")] = []
    slow: Annotated[list[Slow], _listed("seconds")] = []
    cut_after: Annotated[list[CutAfter], _listed("times")] = []


class Faults:
    """The switches, and the counters that requests use up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = Settings()

    def clear(self) -> None:
        with self._lock:
            self._now = Settings()

    def set(self, wanted: dict[str, Any]) -> None:
        """Sets the faults that are named and leaves the others as they are.

        Raises:
            ApiError: a fault is unknown or wrong (422).
        """
        try:
            new = Settings.model_validate(wanted)
        except ValidationError as error:
            raise invalid_fields({".".join(map(str, one["loc"])): [one["msg"]] for one in error.errors()}) from error
        with self._lock:
            self._now = self._now.model_copy(update={name: getattr(new, name) for name in new.model_fields_set})

    def show(self) -> dict[str, Any]:
        with self._lock:
            return self._now.model_dump()

    def action_fails(self, command: str) -> bool:
        return self._take(self._now.action_fails, command=command) is not None

    def refuses(self, server_type: str, location: str) -> bool:
        return self._take(self._now.sold_out, server_type=server_type, location=location) is not None

    def announced_sold_out(self, server_type: str, location: str) -> bool:
        return any(
            fault.announced and _matches(fault, {"server_type": server_type, "location": location})
            for fault in self._now.sold_out
        )

    def rate_limited(self, method: str, path: str) -> bool:
        return self._take(self._now.rate_limited, method=method, path=path) is not None

    def server_error(self, method: str, path: str) -> int | None:
        fault = self._take(self._now.server_error, method=method, path=path)
        return fault.status if fault else None

    def seconds(self, method: str, path: str) -> float:
        fault = self._take(self._now.slow, method=method, path=path)
        return fault.seconds if fault else 0

    def cuts(self, method: str, path: str) -> bool:
        return self._take(self._now.cut_after, method=method, path=path) is not None

    def _take(self, faults: Sequence[F], **subject: str) -> F | None:
        """The first fault that applies, one of its times used up."""
        with self._lock:
            for fault in faults:
                if _matches(fault, subject):
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None


def _matches(fault: Fault, subject: dict[str, str]) -> bool:
    return fault.times != 0 and all(fnmatchcase(value, getattr(fault, name)) for name, value in subject.items())
