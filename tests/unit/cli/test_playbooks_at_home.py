"""What the doors answer at once, a bare `ansible-playbook` answers as well: the same, or the same error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home
from ansible_collections.livchat.setup.plugins.plugin_utils._turns import Turns
from ansible_collections.livchat.setup.plugins.plugin_utils._vault import Vault

from livchat_cli import collection
from livchat_cli.access import Tokens
from livchat_cli.client import Client
from livchat_cli.errors import LivchatError
from livchat_cli.jobs import JobFolder, Jobs, Status
from livchat_cli.operations import OPERATIONS, get
from tests.unit.api.running import PASSWORD, state

JOB = "20260102T030405-a1b2c3"
OTHER_JOB = "20260102T030406-a1b2c3"
# Extra-vars as somebody types them, and the same for the doors.
READS: list[tuple[str, dict[str, str], dict[str, Any]]] = [
    ("catalog.list", {}, {}),
    ("catalog.list", {"category": "databases"}, {"category": "databases"}),
    ("catalog.show", {"app": "n8n"}, {"app": "n8n"}),
    ("catalog.order", {"apps": "n8n:cliente1, wordpress"}, {"apps": ["n8n:cliente1", "wordpress"]}),
    ("deployments.list", {}, {}),
    (
        "deployments.list",
        {"server": "s1", "status": "successful,failed", "limit": "2", "before": "20260107T030405-000007"},
        {"server": "s1", "status": ["successful", "failed"], "limit": 2, "before": "20260107T030405-000007"},
    ),
    ("secrets.list", {}, {}),
    ("secrets.list", {"below": "servers/s1"}, {"below": "servers/s1"}),
    ("jobs.list", {}, {}),
    (
        "jobs.list",
        {"status": "failed,successful", "operation": "app.install", "server": "s1", "limit": "1", "before": OTHER_JOB},
        {
            "status": ["failed", "successful"],
            "operation": "app.install",
            "server": "s1",
            "limit": 1,
            "before": OTHER_JOB,
        },
    ),
    ("jobs.show", {"job": JOB}, {"job": JOB}),
    ("jobs.log", {"job": JOB, "lines": "2", "skip": "1"}, {"job": JOB, "lines": 2, "skip": 1}),
    ("token.list", {}, {}),
]
Play = Callable[..., Any]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIVCHAT_VAULT_PASSWORD", PASSWORD)
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    (folder / "state.json").write_text(json.dumps(state(3, 2)))
    Vault(Home(str(folder))).set_all({"servers/s1/apps/n8n/key": "x" * 32, "tokens/hetzner": "y" * 64})
    for number, job in enumerate((JOB, OTHER_JOB)):
        made = JobFolder(folder / "jobs", job)
        made.path.mkdir(mode=0o700, parents=True)
        made.update(operation="app.install", servers=["s1"], status=Status.SUCCESSFUL, principal="root")
        made.keep_result([{"number": number}])
        made.write("log", "".join(f"line {line}\n" for line in range(5)))
    Tokens(folder).create("ci", ["deploy"], ["s1"], 90)
    return folder


@pytest.fixture
def play(home: Path, tmp_path: Path) -> Play:
    """Runs an operation's playbook on its own; its result, and how much it changed, or the error of its task."""

    def run(operation: str, given: dict[str, str], *options: str) -> Any:
        (tmp_path / "none.cfg").write_text("")
        mine = ("ANSIBLE", "LIVCHAT")
        environment = {
            **{name: one for name, one in os.environ.items() if not name.startswith(mine)},
            "ANSIBLE_COLLECTIONS_PATH": str(collection.find()),
            "ANSIBLE_CONFIG": str(tmp_path / "none.cfg"),
            "ANSIBLE_SHOW_CUSTOM_STATS": "true",
            "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
            "LIVCHAT_HOME": str(home),
            "LIVCHAT_VAULT_PASSWORD": PASSWORD,
        }
        variables = [word for name, value in given.items() for word in ("-e", json.dumps({name: value}))]
        playbook = f"livchat.setup.{get(operation).playbook}"
        command = [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", playbook, *variables, *options]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert "{" in done.stdout, done.stdout + done.stderr
        report = json.loads(done.stdout[done.stdout.index("{") :])
        if done.returncode:
            tasks = [task["hosts"]["localhost"] for one in report["plays"] for task in one["tasks"]]
            return next(one for one in tasks if one.get("failed"))
        return report["global_custom_stats"]["livchat_result"], report["stats"]["localhost"]["changed"]

    return run


def test_all_that_the_doors_answer_at_once_is_tried_here() -> None:
    changing = {"jobs.cancel", "token.create", "token.rotate", "token.revoke"}
    assert {name for name, *_ in READS} | changing == {one.name for one in OPERATIONS if one.function}


@pytest.mark.parametrize(("operation", "typed", "given"), READS, ids=lambda one: one if isinstance(one, str) else "")
def test_the_same_answer(play: Play, home: Path, operation: str, typed: dict[str, str], given: dict[str, Any]) -> None:
    answer, changes = play(operation, typed)
    assert (answer, changes) == (json.loads(json.dumps(Client(home).run(operation, **given))), 0)
    assert answer


@pytest.mark.parametrize(
    ("operation", "typed", "given", "code"),
    [
        ("catalog.list", {"category": "x y"}, {}, "INPUT_INVALID"),
        ("catalog.show", {"app": "../../etc/passwd"}, {}, "INPUT_INVALID"),
        ("catalog.show", {"app": "nothing"}, {}, "APP_UNKNOWN"),
        ("deployments.list", {"server": "$(id)"}, {}, "INPUT_INVALID"),
        ("deployments.list", {"status": "done"}, {"status": ["done"]}, "INPUT_INVALID"),
        ("deployments.list", {"limit": "1000"}, {}, "INPUT_INVALID"),
        ("deployments.list", {"before": "nothing"}, {}, "DEPLOYMENT_UNKNOWN"),
        ("secrets.list", {"below": "../../etc"}, {}, "INPUT_INVALID"),
        ("jobs.list", {"status": "done"}, {"status": ["done"]}, "INPUT_INVALID"),
        ("jobs.show", {"job": "20260102T030405-ffffff"}, {}, "JOB_UNKNOWN"),
        ("jobs.log", {"job": "../../state.json"}, {}, "INPUT_INVALID"),
        ("token.create", {"name": "CI"}, {}, "INPUT_INVALID"),
        ("token.revoke", {"token": "00000000"}, {}, "TOKEN_UNKNOWN"),
    ],
)
def test_what_is_wrong_is_the_same_error(  # noqa: PLR0917  # pytest passes them by name
    play: Play, home: Path, operation: str, typed: dict[str, str], given: dict[str, Any], code: str
) -> None:
    with pytest.raises(LivchatError) as door:
        Client(home).perform(get(operation), {**typed, **given})
    assert door.value.code == code
    assert code in play(operation, typed)["msg"]


def test_tokens_are_made_kept_and_ended(play: Play, home: Path) -> None:
    wanted = {"name": "awx", "scopes": "read, deploy", "servers": "s1,s2", "days": "3"}
    assert play("token.create", wanted, "--check") == (None, 1)
    assert [one.name for one in Tokens(home).all()] == ["ci"]
    made, changes = play("token.create", wanted)
    assert changes == 1 and (made["scopes"], made["servers"]) == (["deploy", "read"], ["s1", "s2"])
    file = Path(made["key_file"])
    key = file.read_text().strip()
    assert file.stat().st_mode & 0o777 == 0o600 and Tokens(home).principal(key).token == made["id"]
    rotated, _ = play("token.rotate", {"token": made["id"]})
    assert Path(rotated["key_file"]).read_text().strip() != key
    ended, _ = play("token.revoke", {"token": made["id"]})
    assert ended["id"] == made["id"] and [one.name for one in Tokens(home).all()] == ["ci"]
    audited = [json.loads(line)["operation"] for line in (home / "audit.jsonl").read_text().splitlines()]
    assert audited == ["token.create", "token.rotate", "token.revoke"]
    assert key not in (home / "audit.jsonl").read_text()


def test_a_job_is_ended(play: Play, home: Path) -> None:
    with Turns(Home(str(home))).turn("another", "server.setup", ["s1"], print, lambda: False):
        # It waits for its turn, which this one has: nothing of it runs yet.
        job = Client(home).submit("server.setup", target=["s1"])["id"]
        shown, changes = play("jobs.cancel", {"job": job})
    assert (shown["status"], changes) == ("cancelled", 1)
    assert Jobs(home).record(job)["status"] == "cancelled"
    assert "JOB_ENDED" in play("jobs.cancel", {"job": job})["msg"]


def test_what_only_a_playbook_of_its_own_does_is_refused(home: Path, tmp_path: Path, play: Play) -> None:
    book = tmp_path / "book.yml"
    task = {"livchat.setup.operation": {"name": "server.destroy", "parameters": {"name": "s1"}}}
    book.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]))
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(collection.find()), "LIVCHAT_HOME": str(home)}
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", str(book)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode and "livchat.setup.server_destroy" in done.stdout + done.stderr
