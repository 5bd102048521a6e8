"""Plans that wait for approval: kept on disk, so that another process, or this one after a restart, honours each once.

A plan's id is a secret of 128 random bits that only its caller has. On disk is its hash, as the file's name, and the
arguments only as a keyed hash: they may hold passwords.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from livchat_cli import collection
from livchat_cli.errors import LivchatError
from livchat_mcp.texts import Texts

collection.activate()

from ansible_collections.livchat.setup.plugins.plugin_utils._home import writing  # noqa: E402

FOLDER = "mcp-plans"
# Seconds in which a plan may be carried out: what it describes does not stay true for long.
LIFETIME = 600
PREFIX = "plano_"
_ID = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{22}}")


@dataclass(frozen=True)
class Plan:
    """What was planned, for whom, and what it was planned on."""

    principal: str
    operation: str
    # Keyed hash of the arguments; the key is the plan's id.
    arguments: str
    # Hash of what is known of the servers, so that a change is noticed.
    fingerprint: str
    expires_at: float
    # What a person who approves it has to type, and reads before.
    name: str
    lines: tuple[str, ...]
    deletes_data: bool


class Plans:
    """The plans of one home."""

    def __init__(self, home: Path, texts: Texts, clock: Callable[[], float] = time.time) -> None:
        self._folder = home / FOLDER
        self._texts = texts
        self._clock = clock

    def make(
        self,
        principal: str,
        operation: str,
        arguments: Mapping[str, Any],
        *,
        fingerprint: str,
        name: str,
        lines: Sequence[str],
        deletes_data: bool,
    ) -> str:
        """Keeps a new plan; its id."""
        self._forget_expired()
        plan_id = PREFIX + secrets.token_urlsafe(16)
        expires_at = self._clock() + LIFETIME
        digest = _digest(plan_id, operation, arguments)
        self._write(
            plan_id, Plan(principal, operation, digest, fingerprint, expires_at, name, tuple(lines), deletes_data)
        )
        return plan_id

    def get(self, plan_id: str, principal: str, operation: str, arguments: Mapping[str, Any]) -> Plan:
        """The plan, if it is this caller's, for these arguments, and still good.

        Raises:
            LivchatError: PLAN_INVALID; which of these is not so stays unsaid.
        """
        plan = self._read(plan_id)
        digest = _digest(plan_id, operation, arguments)
        if (
            plan is None
            or not hmac.compare_digest(plan.arguments, digest)
            or (plan.principal, plan.operation) != (principal, operation)
        ):
            raise self._invalid()
        return plan

    def take(self, plan_id: str) -> None:
        """Uses the plan up: of all that try, in whichever process, one succeeds.

        Raises:
            LivchatError: PLAN_INVALID
        """
        try:
            self._path(plan_id).unlink()
        except FileNotFoundError:
            raise self._invalid() from None
        self._approval(plan_id).unlink(missing_ok=True)

    def drop(self, plan_id: str) -> None:
        """Ends a plan that is not to be carried out."""
        for path in (self._path(plan_id), self._approval(plan_id)):
            path.unlink(missing_ok=True)

    def shown(self, plan_id: str) -> Plan:
        """The plan, for the operator, who may see all. Raises LivchatError PLAN_INVALID."""
        if not _ID.fullmatch(plan_id) or not (plan := self._read(plan_id)):
            raise self._invalid()
        return plan

    def approve(self, plan_id: str) -> None:
        """Notes that a person approved it: in a file beside it, since the plan itself may be used up at this moment."""
        self.shown(plan_id)
        with writing(str(self._folder)):
            os.close(os.open(self._approval(plan_id), os.O_WRONLY | os.O_CREAT, 0o600))

    def approved(self, plan_id: str) -> bool:
        return self._approval(plan_id).exists()

    def _read(self, plan_id: str) -> Plan | None:
        try:
            known = json.loads(self._path(plan_id).read_text(encoding="utf-8"))
            plan = Plan(**{**known, "lines": tuple(known["lines"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return plan if plan.expires_at > self._clock() else None

    def _write(self, plan_id: str, plan: Plan) -> None:
        path = self._path(plan_id)
        with writing(str(path)):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary = path.with_suffix(f".{secrets.token_hex(4)}")
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
                json.dump(asdict(plan), handle)
                handle.flush()
                os.fsync(handle.fileno())
            temporary.replace(path)

    def _forget_expired(self) -> None:
        oldest = time.time() - LIFETIME
        for path in self._folder.glob("*") if self._folder.is_dir() else ():
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < oldest:
                    path.unlink()

    def _approval(self, plan_id: str) -> Path:
        return self._path(plan_id).with_suffix(".approved")

    def _path(self, plan_id: str) -> Path:
        return self._folder / hashlib.sha256(plan_id.encode()).hexdigest()

    def _invalid(self) -> LivchatError:
        return LivchatError("PLAN_INVALID", self._texts("plan_invalid"))


def _digest(plan_id: str, operation: str, arguments: Mapping[str, Any]) -> str:
    text = json.dumps([operation, dict(arguments)], sort_keys=True)
    return hmac.new(plan_id.encode(), text.encode(), hashlib.sha256).hexdigest()
