"""Tokens: what they let through, when they end, and what of them is kept."""

from __future__ import annotations

import contextlib
import datetime
import json
import time
from pathlib import Path

import pytest
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home

from livchat_cli.access import Principal, Tokens
from livchat_cli.client import Client
from livchat_cli.errors import LivchatError
from livchat_cli.operations import OPERATIONS, Effect, Scope, get

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime.datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(tmp_path: Path, clock: Clock) -> Tokens:
    return Tokens(tmp_path, clock)


def secret_of(key: str) -> str:
    """The part of a key that is secret; it may hold an underscore itself."""
    return key.removeprefix("livchat_key_").partition("_")[2]


def test_a_key_is_shown_once_and_kept_as_a_hash(tokens: Tokens, tmp_path: Path) -> None:
    token, key = tokens.create("ci", ["deploy"], ["prod"], days=30)
    assert key.startswith(f"livchat_key_{token.id}_")
    kept = "".join(path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file())
    assert secret_of(key) not in kept
    assert token.digest not in json.dumps(token.shown())
    assert (tmp_path / "tokens.json").stat().st_mode & 0o077 == 0


def test_scopes_imply_the_lesser_ones(tokens: Tokens) -> None:
    allowed = {}
    for scope in Scope:
        _token, key = tokens.create(scope, [scope])
        allowed[scope] = tokens.principal(key).scopes
    assert allowed == {
        Scope.READ: {"read"},
        Scope.DEPLOY: {"read", "deploy"},
        Scope.ADMIN: {"read", "deploy", "admin"},
        Scope.EXEC: {"read", "exec"},
        Scope.REPORT: {"report"},
    }


@pytest.mark.parametrize(
    "spoil",
    [
        lambda key: key[:-1] + ("A" if key[-1] != "A" else "B"),
        lambda key: key.replace("livchat_key_", "livchat_key_0"),
        lambda key: f"livchat_key_00000000_{secret_of(key)}",
        lambda _key: "",
        lambda key: key + "\n",
        lambda key: key * 1000,
    ],
)
def test_a_wrong_key_is_refused_and_not_quoted(tokens: Tokens, spoil: object) -> None:
    _token, key = tokens.create("ci", ["read"])
    wrong = spoil(key)  # type: ignore[operator]
    with pytest.raises(LivchatError) as refused:
        tokens.principal(wrong)
    assert refused.value.code == "ACCESS_DENIED"
    assert secret_of(key) not in str(refused.value)


def test_a_token_ends_by_time_by_revocation_and_by_rotation(tokens: Tokens, clock: Clock) -> None:
    ending, ending_key = tokens.create("short", ["read"], days=1)
    clock.now += datetime.timedelta(days=1, seconds=-1)
    assert tokens.principal(ending_key).name == "token:short"
    clock.now += datetime.timedelta(seconds=1)
    with pytest.raises(LivchatError, match=r"expired at .* make a new one"):
        tokens.principal(ending_key)
    with pytest.raises(LivchatError, match="TOKEN_EXPIRED"):
        tokens.rotate(ending.id)
    token, old = tokens.create("ci", ["read"])
    rotated, new = tokens.rotate(token.id)
    assert rotated.id == token.id and new != old
    with pytest.raises(LivchatError, match="ACCESS_DENIED"):
        tokens.principal(old)
    assert tokens.principal(new).name == "token:ci"
    tokens.revoke(token.id)
    with pytest.raises(LivchatError, match="ACCESS_DENIED"):
        tokens.principal(new)
    with pytest.raises(LivchatError, match="TOKEN_UNKNOWN"):
        tokens.rotate(token.id)
    assert [one.id for one in tokens.all()] == [ending.id]


def test_the_last_use_is_noted_now_and_then(tokens: Tokens, clock: Clock, tmp_path: Path) -> None:
    _token, key = tokens.create("ci", ["read"])
    tokens.principal(key)
    first = (tmp_path / "tokens.json").stat().st_mtime_ns
    clock.now += datetime.timedelta(seconds=59)
    tokens.principal(key)
    assert (tmp_path / "tokens.json").stat().st_mtime_ns == first
    clock.now += datetime.timedelta(seconds=1)
    tokens.principal(key)
    (token,) = tokens.all()
    assert token.last_used_at == clock.now.isoformat(timespec="seconds")


def test_a_damaged_file_lets_nobody_in_and_is_left_alone(tokens: Tokens, tmp_path: Path) -> None:
    _token, key = tokens.create("ci", ["admin"])
    (tmp_path / "tokens.json").write_text("[{}]")
    with pytest.raises(LivchatError, match="HOME_DAMAGED"):
        tokens.principal(key)
    with pytest.raises(LivchatError, match="HOME_DAMAGED"):
        tokens.create("other", ["admin"])
    assert (tmp_path / "tokens.json").read_text() == "[{}]"


def test_every_operation_takes_a_scope_that_fits_its_effect() -> None:
    for operation in OPERATIONS:
        if operation.effect is Effect.DESTROY:
            assert operation.scope is Scope.ADMIN, operation.name
        if operation.effect is Effect.WRITE:
            assert operation.scope is not Scope.READ, operation.name
    assert get("exec").scope is Scope.EXEC
    assert get("app.install").scope is Scope.DEPLOY


def test_a_principal_stays_within_its_scopes_and_servers() -> None:
    limited = Principal("ci", frozenset({"read", "deploy"}), frozenset({"one"}))
    limited.check(get("app.install"), ["one"])
    limited.check(get("catalog.list"), [])
    for name, servers in (
        ("app.install", ["two"]),
        ("app.install", ["one", "two"]),
        ("status", []),
        ("server.list", []),
    ):
        with pytest.raises(LivchatError, match="limited to the servers one"):
            limited.check(get(name), servers)
    with pytest.raises(LivchatError, match="needs the scope admin"):
        limited.check(get("server.destroy"), ["one"])


def record(
    servers: list[str], principal: str = "token:other", token: str = "0" * 8, operation: str = "server.setup"
) -> dict[str, object]:
    return {"id": "j1", "operation": operation, "servers": servers, "principal": principal, "token": token}


@pytest.mark.parametrize("operation", ["jobs.show", "jobs.cancel"])
def test_a_token_for_some_servers_gets_no_job_that_may_be_about_others(operation: str) -> None:
    limited = Principal("token:ci", frozenset(Scope), frozenset({"one"}), "1" * 8)
    limited.check_job(get(operation), record(["one"]))
    # A command names the server that it reads in its parameters only: none is known.
    for servers in ([], ["two"], ["one", "two"]):
        with pytest.raises(LivchatError, match="ACCESS_FORBIDDEN"):
            limited.check_job(get(operation), record(servers))
        assert not limited.sees(record(servers))
    limited.check_job(get(operation), record([], "token:ci", "1" * 8))
    # Another token of the same name.
    with pytest.raises(LivchatError, match="ACCESS_FORBIDDEN"):
        limited.check_job(get(operation), record([], "token:ci", "2" * 8))
    Principal("token:ci", frozenset(Scope)).check_job(get(operation), record([]))


@pytest.mark.parametrize(
    ("scopes", "servers", "given", "on", "allowed"),
    [
        (["admin"], [], ["deploy"], [], True),
        (["admin"], [], ["exec"], [], False),
        (["admin"], [], ["report"], [], False),
        (["admin", "exec"], [], ["exec"], ["one"], True),
        (["admin"], ["one"], ["read"], ["one"], True),
        (["admin"], ["one"], ["read"], ["one", "two"], False),
        (["admin"], ["one"], ["read"], [], False),
    ],
)
def test_nobody_gives_what_they_have_not(  # noqa: PLR0917  # pytest passes them by name
    tokens: Tokens, scopes: list[str], servers: list[str], given: list[str], on: list[str], allowed: bool
) -> None:
    asker = tokens.principal(tokens.create("asker", scopes, servers)[1])
    with contextlib.nullcontext() if allowed else pytest.raises(LivchatError, match="ACCESS_FORBIDDEN"):
        asker.check_grants(given, on, None)


def test_an_administrator_cannot_rotate_a_token_that_may_do_more(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path)
    runner, _ = tokens.create("runner", ["exec"])
    admin = Client(tmp_path, tokens.principal(tokens.create("admin", ["admin"])[1]))
    for operation, values in (
        ("token.rotate", {"token": runner.id}),
        ("token.create", {"name": "mine", "scopes": ["exec"]}),
    ):
        with pytest.raises(LivchatError, match="ACCESS_FORBIDDEN"):
            admin.run(operation, **values)
    assert {one.name for one in tokens.all()} == {"runner", "admin"}
    assert tokens.get(runner.id).digest == runner.digest
    assert admin.run("token.create", name="reader", scopes=["read"])["key"]


def test_a_token_lets_nobody_in_for_longer_than_itself(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path)
    lasting, _ = tokens.create("lasting", ["read"])
    short = Client(tmp_path, tokens.principal(tokens.create("short", ["admin"], days=2)[1]))
    for operation, values in (
        ("token.create", {"name": "for-ever"}),
        ("token.create", {"name": "longer", "days": 3}),
        ("token.rotate", {"token": lasting.id}),
    ):
        with pytest.raises(LivchatError, match="ACCESS_FORBIDDEN"):
            short.run(operation, **values)
    assert short.run("token.create", name="shorter", days=1)["expires_at"]


def test_what_a_command_found_is_for_who_may_run_commands(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path)
    ran = record(["one"], operation="exec")
    for scopes, seen in ((["read"], False), (["admin"], False), (["exec"], True)):
        principal = tokens.principal(tokens.create("other", scopes)[1])
        assert principal.sees(ran) is seen
        assert principal.sees(record(["one"]))
        for operation in ("jobs.show", "jobs.log"):
            with contextlib.nullcontext() if seen else pytest.raises(LivchatError, match="ACCESS_FORBIDDEN"):
                principal.check_job(get(operation), ran)
    own = Principal("token:ci", frozenset({Scope.READ}), token="1" * 8)
    own.check_job(get("jobs.show"), record(["one"], "token:ci", "1" * 8, "exec"))


def test_who_comes_in_waits_for_no_disk_and_for_no_lock(
    tokens: Tokens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    _token, key = tokens.create("ci", ["read"])
    backups = sorted((tmp_path / "backups").rglob("*"))
    tokens.principal(key)
    assert sorted((tmp_path / "backups").rglob("*")) == backups, "that it was seen is nothing to have back"
    clock.now += datetime.timedelta(hours=1)
    with Home(str(tmp_path)).lock():
        began = time.monotonic()
        assert tokens.principal(key).name == "token:ci"
        # The next call does not even try.
        assert tokens.principal(key).name == "token:ci"
        assert time.monotonic() - began < 2

    def full(*_arguments: object) -> None:
        raise LivchatError("HOME_UNWRITABLE", "no space left")

    clock.now += datetime.timedelta(hours=1)
    monkeypatch.setattr(Home, "write", full)
    assert tokens.principal(key).name == "token:ci"
