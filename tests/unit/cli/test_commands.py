"""The command line as a user meets it: what stdout, stderr and the exit code say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from livchat_cli import commands, home
from livchat_cli.client import Client
from livchat_cli.main import main
from livchat_cli.operations import OPERATIONS


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HCLOUD_TOKEN", "CLOUDFLARE_API_TOKEN", "LIVCHAT_VAULT_PASSWORD", "LIVCHAT_VAULT_PASSWORD_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LIVCHAT_HOME", str(tmp_path / "home"))


@pytest.fixture
def performed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """Operations that would have run, with their extra-vars."""
    done: list[tuple[str, dict[str, Any]]] = []

    def perform(self: Client, operation: Any, values: Any, listener: Any = None) -> Any:
        parameters = operation.parse(values)
        operation.check_confirmed(parameters)
        done.append((operation.name, operation.extra_vars(parameters)))
        return []

    monkeypatch.setattr(Client, "perform", perform)
    return done


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_every_operation_is_a_command_with_help(operation: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*operation.name.split("."), "--help"]) == 0
    text = capsys.readouterr().out
    assert operation.summary in " ".join(text.split())
    assert "Examples:" in text and "--json" in text


@pytest.mark.parametrize(
    ("line", "name", "extra_vars"),
    [
        ("server setup one two", "server.setup", {"target": "one,two", "full": False}),
        (
            "server create prod --domain a.example.com --label customer=acme",
            "server.create",
            {"name": "prod", "domain": "a.example.com", "labels": {"customer": "acme"}},
        ),
        (
            "server adopt old vps.example.net --user admin --key-type rsa",
            "server.adopt",
            {"name": "old", "address": "vps.example.net", "user": "admin", "port": 22, "key_type": "rsa"},
        ),
        (
            "app install n8n n8n:b --target prod --var n8n.timezone=A=B --yes",
            "app.install",
            {"apps": ["n8n", "n8n:b"], "target": "prod", "variables": {"n8n": {"timezone": "A=B"}}},
        ),
        ("exec -t prod df -h", "exec", {"command": ["df", "-h"], "target": "prod"}),
        ("exec -t prod -- ls --json", "exec", {"command": ["ls", "--json"], "target": "prod"}),
        ("status", "status", {}),
        ("logs n8n -t prod --lines 5", "logs", {"instance": "n8n", "target": "prod", "lines": 5}),
        (
            "app uninstall n8n -t prod --drop-data --yes",
            "app.uninstall",
            {"instance": "n8n", "target": "prod", "drop_data": True, "confirm_name": "n8n"},
        ),
        (
            "dns set @ MX mail.example.com --priority 10 --add --json",
            "dns.set",
            {
                "name": "@",
                "type": "MX",
                "value": "mail.example.com",
                "priority": 10,
                "ttl": 1,
                "proxied": False,
                "add": True,
                "adopt": False,
            },
        ),
        ("dns list", "dns.list", {"everything": False}),
        (
            "dns list prod.example.com --owner operator/dns --all",
            "dns.list",
            {"name": "prod.example.com", "owner": "operator/dns", "everything": True},
        ),
        (
            "dns remove *.example.com TXT -y --zone example.com --json",
            "dns.remove",
            {"name": "*.example.com", "type": "TXT", "zone": "example.com", "confirm_name": "*.example.com"},
        ),
    ],
)
def test_a_command_line_becomes_extra_vars(
    line: str, name: str, extra_vars: dict[str, Any], performed: list[tuple[str, dict[str, Any]]]
) -> None:
    assert main(line.split()) == 0
    assert performed == [(name, extra_vars)]


@pytest.mark.parametrize(
    ("line", "code", "number"),
    [
        ("server show Prod --json", "INPUT_INVALID", 2),
        ("server show --json", "INPUT_INVALID", 2),
        ("server nothing --json", "INPUT_INVALID", 2),
        ("app install n8n --target prod --var timezone=UTC --json", "INPUT_INVALID", 2),
        ("catalog show no-such-app --json", "APP_UNKNOWN", 3),
        ("server adopt old 2001:db8::1 --json", "INPUT_INVALID", 2),
        ("server create prod --domain a.example.com --key-type dsa --json", "INPUT_INVALID", 2),
        ("server destroy prod --json", "CONFIRMATION_REQUIRED", 4),
        ("server destroy prod --confirm-name staging --json", "CONFIRMATION_MISMATCH", 4),
        ("dns remove blog.example.com A --json", "CONFIRMATION_REQUIRED", 4),
        ("dns remove blog.example.com A --confirm-name www.example.com --json", "CONFIRMATION_MISMATCH", 4),
        ("dns set blog.example.com a 203.0.113.7 --json", "INPUT_INVALID", 2),
        ("dns set blog A 203.0.113.7 --json", "INPUT_INVALID", 2),
        ("init --non-interactive --json", "SETTING_INVALID", 2),
    ],
)
def test_an_error_is_an_object_and_an_exit_code(
    line: str, code: str, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line.split()) == number
    error = json.loads(capsys.readouterr().out)
    assert error["code"] == code
    assert set(error) == {"code", "message", "details", "retry_after"}


@pytest.mark.parametrize(
    ("line", "typed", "asked", "done"),
    [
        # What is lost is said before somebody is asked, and nothing is done unless the name is typed.
        ("server destroy prod", "prod", ["server.loss", "Type the name prod to go on"], "server.destroy"),
        ("server destroy prod", "staging", ["server.loss", "Type the name prod to go on"], ""),
        ("server destroy prod --yes", "", [], "server.destroy"),
        ("server destroy prod --confirm-name prod", "", [], "server.destroy"),
        ("app uninstall n8n -t prod", "n8n", ["Type the name n8n to go on"], "app.uninstall"),
    ],
)
def test_a_person_sees_what_is_lost_and_types_the_name(
    line: str,
    typed: str,
    asked: list[str],
    done: str,
    *,
    performed: list[tuple[str, dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str] = []

    def prompt(text: str, **_: Any) -> str:
        seen.extend([*(name for name, _ in performed), text])
        return typed

    monkeypatch.setattr(commands.console, "interactive", lambda: True)
    monkeypatch.setattr(commands.console, "result", lambda *_, **__: None)
    monkeypatch.setattr(commands.typer, "prompt", prompt)
    assert main(line.split()) == (0 if done else 4)
    assert seen == asked
    assert [name for name, _ in performed if name != "server.loss"] == ([done] if done else [])


def test_without_json_an_error_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog", "show", "no-such-app"]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error APP_UNKNOWN: ") and captured.err.count("\n") == 1


def test_a_defect_shows_no_traceback_and_no_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def perform(*_: Any) -> None:
        raise RuntimeError("canary-secret")

    monkeypatch.setattr(Client, "perform", perform)
    assert main(["status"]) == 1
    captured = capsys.readouterr()
    assert "INTERNAL_ERROR" in captured.err and "RuntimeError" in captured.err
    assert "canary" not in captured.err and "Traceback" not in captured.err


def test_an_installation_is_shown_before_a_person_agrees(
    performed: list[tuple[str, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("livchat_cli.console.interactive", lambda: True)
    asked: list[list[str]] = []
    monkeypatch.setattr("typer.confirm", lambda *_, **__: asked.append([name for name, _ in performed]))
    assert main(["app", "install", "n8n", "--target", "prod"]) == 0
    assert asked == [["app.plan"]]
    assert [name for name, _ in performed] == ["app.plan", "app.install"]


@pytest.mark.parametrize(("healthy", "number"), [(True, 0), (False, 1)])
def test_what_is_found_wrong_shows_in_the_exit_code(
    healthy: bool, number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    check = {"check": "dns zone", "status": "ok" if healthy else "failed", "found": "as it is", "cure": "a cure"}
    monkeypatch.setattr(Client, "perform", lambda *_: {"healthy": healthy, "checks": [check]})
    assert main(["dns", "check"]) == number
    assert "a cure" in capsys.readouterr().out
    assert main(["dns", "check", "--json"]) == number
    assert json.loads(capsys.readouterr().out)["checks"] == [check]


def test_host_names_are_shown_whole(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    name = "a-long-name-of-an-application.a-server-with-a-long-name-as-well.example.com"
    record = {"name": name, "type": "MX", "value": name, "priority": 10, "ttl": 1, "proxied": False}
    changed = {**record, "action": "update", "before": f"5 {name}"}
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(Client, "perform", lambda *_: {"zone": "example.com", "changed": True, "records": [changed]})
    assert main(["dns", "set", name, "MX", name, "--priority", "10"]) == 0
    assert capsys.readouterr().out == f"changed: {name} MX 10 {name} (TTL automatic, was 5 {name})\n"
    monkeypatch.setattr(Client, "perform", lambda *_: [{**record, "owner": None, "comment": "by hand"}])
    assert main(["dns", "list", "--all"]) == 0
    assert "…" not in capsys.readouterr().out


def test_the_catalogue_is_read_without_a_playbook(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog", "order", "n8n", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == ["postgres", "redis", "n8n"]
    assert not home.path().exists()


@pytest.mark.parametrize("words", [[], ["server"]])
def test_without_a_command_there_is_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("Usage: livchat-setup") and captured.out.count("\n") > 5
    assert captured.err == ""


def test_completion_knows_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    home.path().mkdir()
    (home.path() / "state.json").write_text('{"servers": {"prod": {}, "staging": {}}}')
    assert commands._complete_server("pr") == ["prod"]
    (home.path() / "state.json").write_text("{damaged")
    assert commands._complete_server("") == []


@pytest.mark.parametrize("words", [["--help"], ["server", "--help"], ["app", "install", "--help"]])
def test_help_loads_nothing_that_is_slow(words: list[str]) -> None:
    program = (
        "import sys\nfrom livchat_cli.main import main\n"
        f"main({words!r})\n"
        "print([one for one in ('ansible', 'ansible_runner', 'rich', 'yaml', 'jsonschema') if one in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"


def test_a_reader_that_leaves_early_sees_no_traceback() -> None:
    program = f"{sys.executable} -m livchat_cli catalog show n8n --json | true"
    ran = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_it_runs_as_a_module(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "livchat_cli", "catalog", "show", "nothing", "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "LIVCHAT_HOME": str(tmp_path)},
    )
    assert ran.returncode == 3 and json.loads(ran.stdout)["code"] == "APP_UNKNOWN"
