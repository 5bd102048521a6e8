"""Who may do what: bearer tokens, kept as hashes, with scopes, servers and an end."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livchat_cli import collection
from livchat_cli.errors import LivchatError
from livchat_cli.operations import OPERATIONS, Operation, Scope

if TYPE_CHECKING:
    from livchat_cli.parameters import NoParameters, OneToken, TokenCreate

collection.activate()

from ansible_collections.livchat.setup.plugins.plugin_utils._audit import actor  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._home import LOCK_PATIENCE, Home  # noqa: E402

FILE = "tokens.json"
PREFIX = "livchat_key_"
# What each scope lets through beside its own name.
IMPLIED = {
    Scope.READ: {Scope.READ},
    Scope.DEPLOY: {Scope.READ, Scope.DEPLOY},
    Scope.ADMIN: {Scope.READ, Scope.DEPLOY, Scope.ADMIN},
    # Whoever runs commands on a server can do anything there; being an administrator alone does not make one.
    Scope.EXEC: {Scope.READ, Scope.EXEC},
    # For machines that only have something to tell.
    Scope.REPORT: {Scope.REPORT},
}
# The last use is written down at most this often, so that reading does not become writing. Seconds.
SEEN_EVERY = 60
# Seconds that a call waits to have it written down.
_STAMP_PATIENCE = 0.2
# Operations whose results may hold anything that is on a server.
_COMMANDS = frozenset(one.name for one in OPERATIONS if one.scope is Scope.EXEC)
_KEY = re.compile(rf"{PREFIX}([0-9a-f]{{8}})_([A-Za-z0-9_-]{{43}})")
Clock = Callable[[], datetime.datetime]


@dataclass(frozen=True)
class Token:
    """A token as it is kept: its secret is there as a hash only."""

    id: str
    name: str
    # SHA-256 of the secret, which is 256 random bits: nothing to guess, so nothing that a slow hash would protect.
    digest: str
    scopes: tuple[str, ...]
    # Names of the servers it is limited to; none for all.
    servers: tuple[str, ...]
    created_at: str
    expires_at: str | None = None
    last_used_at: str | None = None
    # The identifier of the first token it descends from, which may be gone; empty for one that an operator made. All
    # that descend from one have its allowance of new servers together.
    family: str = ""

    def shown(self) -> dict[str, Any]:
        """What may be shown of it."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
            if key != "digest"
        }


@dataclass(frozen=True)
class Principal:
    """Who asks: a person at this machine, or the holder of a token."""

    name: str
    scopes: frozenset[str]
    servers: frozenset[str] = frozenset()
    # The token's identifier; names may come twice. With the hash of the secret it was shown with.
    token: str = ""
    digest: str = field(default="", repr=False)
    # When the token ends; empty for never.
    expires_at: str = ""
    # Of the token, or its own identifier where it is the first one; empty for no token.
    family: str = ""

    def check(self, operation: Operation, servers: Iterable[str]) -> None:
        """Raises LivchatError ACCESS_FORBIDDEN unless the operation, on these servers, is within what it may do.

        An operation that names no server looks at all of them.
        """
        if operation.scope not in self.scopes:
            message = (
                f"{operation.name} needs the scope {operation.scope}; this token has: {', '.join(sorted(self.scopes))}"
            )
            raise LivchatError("ACCESS_FORBIDDEN", message, {"operation": operation.name, "scope": operation.scope})
        named = set(servers)
        free = operation.target in ("catalog", "job")
        if not (free and not named) and not self._covers(named):
            allowed = ", ".join(sorted(self.servers))
            message = f"{operation.name}: this token is limited to the servers {allowed}: name one of them"
            raise LivchatError("ACCESS_FORBIDDEN", message, {"operation": operation.name, "servers": allowed})

    def owns(self, job: Mapping[str, Any]) -> bool:
        """Whether it asked for the job itself. Names may come twice, tokens do not."""
        return (job["principal"], job.get("token")) == (self.name, self.token)

    def sees(self, job: Mapping[str, Any]) -> bool:
        """Whether a job is its own, or about nothing but its servers; of a command that others ran, what it takes."""
        commands = Scope.EXEC not in self.scopes and job["operation"] in _COMMANDS
        return self.owns(job) or (not commands and self._covers(job["servers"]))

    def _covers(self, servers: Iterable[str]) -> bool:
        """Whether these are among its servers; none named may be any."""
        named = set(servers)
        return not self.servers or (bool(named) and self.servers >= named)

    def check_job(self, operation: Operation, job: Mapping[str, Any]) -> None:
        """Raises LivchatError ACCESS_FORBIDDEN unless the operation, on this job, is within what it may do.

        A job is its owner's to see and to end; that of another one takes the scope, and may be about no server but its
        own. One that names no server may have been about all.
        """
        if self.owns(job):
            return
        self.check(operation, job["servers"])
        if not self.sees(job):
            message = f"{operation.name}: the job is of another, and about more than this token may know"
            raise LivchatError("ACCESS_FORBIDDEN", message, {"operation": operation.name, "job": job["id"]})

    def check_grants(self, scopes: Iterable[str], servers: Iterable[str], expires_at: str | None) -> None:
        """Raises LivchatError ACCESS_FORBIDDEN unless it may itself do all that a token with these may, for as long."""
        if self.expires_at and not (expires_at and expires_at <= self.expires_at):
            message = f"this token ends at {self.expires_at}, and can let nobody in for longer: give days"
            raise LivchatError("ACCESS_FORBIDDEN", message, {"expires_at": self.expires_at})
        granted = {scope for one in scopes for scope in IMPLIED[Scope(one)]}
        if more := granted - self.scopes:
            message = f"a token can give no scope that it has not itself: {', '.join(sorted(more))}"
            raise LivchatError("ACCESS_FORBIDDEN", message, {"scopes": sorted(more)})
        if not self._covers(servers):
            allowed = ", ".join(sorted(self.servers))
            message = f"a token can let others on no server but its own: {allowed}"
            raise LivchatError("ACCESS_FORBIDDEN", message, {"servers": allowed})


def local() -> Principal:
    """Whoever runs this process: may do everything, for the home is theirs."""
    return Principal(actor(), frozenset(Scope))


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def end_in(days: int | None, clock: Clock = _now) -> str | None:
    """When a token ends that is made now for so many days; None for never."""
    return _text(clock() + datetime.timedelta(days=days)) if days else None


class Tokens:
    """The tokens of one home."""

    def __init__(self, home: Path, clock: Clock = _now) -> None:
        self._home = Home(str(home))
        self._clock = clock
        self._read: tuple[tuple[int, int], dict[str, Token]] | None = None
        # When each was last seen, also where that could not be written down.
        self._seen: dict[str, datetime.datetime] = {}

    def create(
        self,
        name: str,
        scopes: Iterable[str],
        servers: Iterable[str] = (),
        days: int | None = None,
        family: str = "",
    ) -> tuple[Token, str]:
        """A new token, and the key to show this once."""
        moment = self._clock()
        secret = secrets.token_urlsafe(32)
        token = Token(
            id=secrets.token_hex(4),
            name=name,
            digest=_digest(secret),
            scopes=tuple(sorted(set(scopes))),
            servers=tuple(sorted(set(servers))),
            created_at=_text(moment),
            expires_at=self.end(days),
            family=family,
        )
        self._change(lambda known: known.__setitem__(token.id, token))
        return token, f"{PREFIX}{token.id}_{secret}"

    def end(self, days: int | None) -> str | None:
        """When a token ends that is made now for so many days."""
        return end_in(days, self._clock)

    def all(self) -> list[Token]:
        return sorted(self._load().values(), key=lambda one: (one.created_at, one.id))

    def revoke(self, token_id: str) -> Token:
        """Ends a token at once. Raises LivchatError TOKEN_UNKNOWN."""
        found = self.get(token_id)
        self._change(lambda known: known.pop(token_id, None))
        return found

    def rotate(self, token_id: str) -> tuple[Token, str]:
        """The same token with a new secret, and the new key; the old one ends at once.

        Raises:
            LivchatError: TOKEN_UNKNOWN; TOKEN_EXPIRED, since a new key does not put off its end.
        """
        known, secret = self.get(token_id), secrets.token_urlsafe(32)
        if self._expired(known):
            message = f"the token {known.name} expired at {known.expires_at}: make a new one"
            raise LivchatError("TOKEN_EXPIRED", message, {"id": token_id})
        token = replace(known, digest=_digest(secret), last_used_at=None)
        self._change(lambda known: known.__setitem__(token_id, token))
        self._seen.pop(token_id, None)
        return token, f"{PREFIX}{token.id}_{secret}"

    def principal(self, key: str) -> Principal:
        """Who holds the key.

        Raises:
            LivchatError: ACCESS_DENIED; which part of the key is wrong stays unsaid.
        """
        match = _KEY.fullmatch(key)
        token = self._load().get(match[1]) if match else None
        # Compared also when there is no such token, so that the time tells nothing.
        right = hmac.compare_digest(token.digest if token else "0" * 64, _digest(match[2] if match else ""))
        if not token or not right:
            raise LivchatError("ACCESS_DENIED", "the token is not valid: it is unknown, was revoked, or was rotated")
        if self._expired(token):
            raise LivchatError("ACCESS_DENIED", f"the token {token.name} expired at {token.expires_at}: make a new one")
        self._used(token)
        allowed = frozenset(scope for one in token.scopes for scope in IMPLIED[Scope(one)])
        return Principal(
            name=f"token:{token.name}",
            scopes=allowed,
            servers=frozenset(token.servers),
            token=token.id,
            digest=token.digest,
            expires_at=token.expires_at or "",
            family=token.family or token.id,
        )

    def holds(self, principal: Principal) -> bool:
        """Whether who asked a while ago may still: the token was neither revoked nor rotated, nor has it expired."""
        token = self._load().get(principal.token)
        return token is not None and token.digest == principal.digest and not self._expired(token)

    def _expired(self, token: Token) -> bool:
        return bool(token.expires_at) and _text(self._clock()) >= str(token.expires_at)

    def _used(self, token: Token) -> None:
        moment = self._clock()
        before = [datetime.datetime.fromisoformat(token.last_used_at)] if token.last_used_at else []
        seen = max([*before, *([self._seen[token.id]] if token.id in self._seen else [])], default=None)
        if seen and moment - seen < datetime.timedelta(seconds=SEEN_EVERY):
            return
        self._seen[token.id] = moment
        used = replace(token, last_used_at=_text(moment))

        def note(known: dict[str, Token]) -> None:
            # It may have been revoked or rotated since it was read.
            if known.get(token.id) == token:
                known[token.id] = used

        # Who may come in is no matter of a full disk, or of a lock that somebody holds.
        with contextlib.suppress(LivchatError):
            self._change(note, patience=_STAMP_PATIENCE, back_up=False)

    def get(self, token_id: str) -> Token:
        """The token. Raises LivchatError TOKEN_UNKNOWN."""
        known = self._load()
        if token_id not in known:
            message = f"there is no token {token_id!r}; `livchat-setup token list` shows them"
            raise LivchatError("TOKEN_UNKNOWN", message, {"id": token_id})
        return known[token_id]

    def _load(self) -> dict[str, Token]:
        path = Path(self._home.file(FILE))
        try:
            stat = path.stat()
        except FileNotFoundError:
            return {}
        version = (stat.st_mtime_ns, stat.st_ino)
        if not self._read or self._read[0] != version:
            self._read = (version, self._parsed())
        return dict(self._read[1])

    def _parsed(self) -> dict[str, Token]:
        try:
            return _tokens(self._home.read(FILE) or "")
        except (ValueError, TypeError, KeyError) as error:
            raise self._home.damaged(FILE, "it is no list of tokens", _tokens) from error

    def _change(
        self, work: Callable[[dict[str, Token]], Any], patience: float = LOCK_PATIENCE, back_up: bool = True
    ) -> None:
        with self._home.lock(patience):
            known = self._load()
            before = dict(known)
            work(known)
            if known != before:
                listed = [asdict(one) for one in known.values()]
                self._home.write(FILE, json.dumps(listed, indent=2) + "\n", back_up)
                self._read = None


def create_token(home: Path, parameters: TokenCreate, principal: Principal) -> dict[str, Any]:
    """The operation token.create: the only one that ever shows a key, beside token.rotate."""
    tokens = Tokens(home)
    principal.check_grants(parameters.scopes, parameters.servers, tokens.end(parameters.days))
    token, key = tokens.create(
        parameters.name, parameters.scopes, parameters.servers, parameters.days, principal.family
    )
    return {**token.shown(), "key": key}


def list_tokens(home: Path, _parameters: NoParameters) -> list[dict[str, Any]]:
    """The operation token.list."""
    return [one.shown() for one in Tokens(home).all()]


def rotate_token(home: Path, parameters: OneToken, principal: Principal) -> dict[str, Any]:
    """The operation token.rotate. Who gets the new key must be let do all that it opens."""
    tokens = Tokens(home)
    known = tokens.get(parameters.token)
    principal.check_grants(known.scopes, known.servers, known.expires_at)
    token, key = tokens.rotate(parameters.token)
    return {**token.shown(), "key": key}


def revoke_token(home: Path, parameters: OneToken) -> dict[str, Any]:
    """The operation token.revoke."""
    return Tokens(home).revoke(parameters.token).shown()


def _tokens(text: str) -> dict[str, Token]:
    listed = [
        Token(**{**one, "scopes": tuple(one["scopes"]), "servers": tuple(one["servers"])}) for one in json.loads(text)
    ]
    return {one.id: one for one in listed}


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _text(moment: datetime.datetime) -> str:
    return moment.isoformat(timespec="seconds")
