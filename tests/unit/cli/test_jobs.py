"""Jobs: detached, queued, followed, cancelled, found again; with an operation that needs no server."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.livchat.setup.plugins.plugin_utils import _processes as processes
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home
from ansible_collections.livchat.setup.plugins.plugin_utils._vault import Vault

from livchat_cli import jobs as store
from livchat_cli.deliveries import SECRET, Deliveries, signature
from livchat_cli.errors import LivchatError
from livchat_cli.jobs import JobFolder, Jobs
from tests.throwaway import Tree

CANARY = "cAnArY-7d21e0b4-secret"
PASSWORD = "a master password of no vault"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def nap(tree: Tree, home: Path, *servers: str, **more: Any) -> dict[str, Any]:
    """Submits a nap in a process of its own, which ends at once; the job's record."""
    program = (
        "import json, sys\nfrom livchat_cli import Client\n"
        "print(json.dumps(Client().submit('server.nap', **json.load(sys.stdin))))"
    )
    given = {"target": servers, "apps": ["nap"], "variables": {"nap": more}}
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env={**tree.environment(home), "LIVCHAT_VAULT_PASSWORD": PASSWORD},
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    record: dict[str, Any] = json.loads(done.stdout)
    return record


def wait(condition: Callable[[], Any], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def status(home: Path, record: dict[str, Any]) -> str:
    return str(Jobs(home).get(record["id"]).record()["status"])


def ended(home: Path, record: dict[str, Any]) -> dict[str, Any]:
    wait(lambda: status(home, record) not in ("waiting", "running"))
    return Jobs(home).show(record["id"])


def running(job: str) -> list[str]:
    """Command lines of the job's processes."""
    lines = []
    for pid in processes.of_job(job):
        with contextlib.suppress(OSError):
            lines.append(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return lines


def test_a_job_outlives_who_asked_and_is_found_by_others(tree: Tree, home: Path) -> None:
    record = nap(tree, home, "prod", seconds="2", secret=CANARY)
    assert record["parameters"]["variables"] == {"nap": {"seconds": "(redacted)", "secret": "(redacted)"}}
    # The process that submitted it has ended; in a job's own processes nothing secret is to be seen.
    wait(lambda: any("sleep" in line for line in running(record["id"])))
    for pid in processes.of_job(record["id"]):
        with contextlib.suppress(OSError):
            shown = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
            assert CANARY.encode() not in shown
            assert PASSWORD.encode() not in shown
    followed = list(Jobs(home).follow(record["id"]))
    assert {"Sleep", "Talk"} <= {event["task"] for event in followed}
    shown = Jobs(home).show(record["id"])
    assert (shown["status"], shown["result"]) == ("successful", {"rested": "prod", "said": "(redacted)"})
    assert shown["created_at"] <= shown["started_at"] <= shown["finished_at"]
    kept = "".join(path.read_text(errors="replace") for path in home.rglob("*") if path.is_file())
    assert "said (redacted)" in kept
    assert CANARY not in kept and PASSWORD not in kept
    assert {oct(path.stat().st_mode & 0o077) for path in home.rglob("*")} == {"0o0"}


def test_jobs_on_one_server_take_turns_and_others_do_not_wait(tree: Tree, home: Path) -> None:
    first = nap(tree, home, "one", seconds="600")
    wait(lambda: status(home, first) == "running")
    second = nap(tree, home, "one", "two", seconds="0.1")
    other = nap(tree, home, "three", seconds="0.1")
    assert ended(home, other)["status"] == "successful"
    assert status(home, first) == "running"
    assert status(home, second) == "waiting"
    Jobs(home).cancel(first["id"])
    done = ended(home, second)
    assert done["status"] == "successful"
    assert done["started_at"] >= ended(home, first)["finished_at"]
    assert any("waits for" in event["task"] for event in Jobs(home).get(second["id"]).events())


def test_jobs_begin_in_the_order_in_which_they_were_asked_for(tree: Tree, home: Path) -> None:
    names = naps(tree, home, 5)
    for one in names:
        assert ended(home, {"id": one})["status"] == "successful"
    slept = [next(event["at"] for event in Jobs(home).get(one).events() if event["task"] == "Sleep") for one in names]
    assert slept == sorted(slept)
    assert not list((home / "turns").iterdir())


@pytest.mark.parametrize("fate", ["continued", "killed"])
def test_a_place_is_drawn_before_the_process_of_a_job_begins(tree: Tree, home: Path, fate: str) -> None:
    # The first one's process is stopped before it has done anything.
    first, second = ({"id": one} for one in naps(tree, home, 2, "os.kill(made[0]['pid'], signal.SIGSTOP)"))
    pid = Jobs(home).record(first["id"])["pid"]
    wait(lambda: any("waits for" in event["task"] for event in Jobs(home).get(second["id"]).events()))
    os.kill(pid, signal.SIGCONT if fate == "continued" else signal.SIGKILL)
    assert ended(home, second)["status"] == "successful"
    assert ended(home, first)["status"] == ("successful" if fate == "continued" else "killed")
    assert not list((home / "turns").iterdir())


def naps(tree: Tree, home: Path, number: int, meanwhile: str = "") -> list[str]:
    """Submits that many naps on one server without a pause, and does something after the first; the jobs' ids."""
    program = (
        "import json, os, signal\nfrom livchat_cli import Client\nmade = []\n"
        f"for _ in range({number}):\n"
        "    made.append(Client().submit('server.nap', target=['one'], apps=['nap'], variables={}))\n"
        f"    if len(made) == 1:\n        {meanwhile or 'pass'}\n"
        "print(json.dumps([one['id'] for one in made]))"
    )
    environment = tree.environment(home)
    done = subprocess.run([sys.executable, "-P", "-c", program], env=environment, stdout=subprocess.PIPE, check=True)
    found: list[str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("moment", ["waiting", "running"])
def test_cancelling_ends_all_of_a_job(tree: Tree, home: Path, moment: str) -> None:
    blocker = nap(tree, home, "one", seconds="600") if moment == "waiting" else None
    if blocker:
        wait(lambda: status(home, blocker) == "running")
    record = nap(tree, home, "one", seconds="600")
    wait(lambda: status(home, record) == moment)
    if moment == "running":
        wait(lambda: any("sleep" in line for line in running(record["id"])))
    began = time.monotonic()
    done = Jobs(home).cancel(record["id"])
    # The bound that users are promised.
    assert time.monotonic() - began < 5
    assert done["status"] == "cancelled"
    assert done["error"]["code"] == "INTERRUPTED"
    # Its own process tells those who wanted to know, and is gone then.
    assert not any("sleep" in line or "ansible" in line for line in running(record["id"]))
    wait(lambda: not running(record["id"]), 10)
    with pytest.raises(LivchatError, match="ended already"):
        Jobs(home).cancel(record["id"])
    if blocker:
        assert status(home, blocker) == "running"
        Jobs(home).cancel(blocker["id"])


def test_cancelling_waits_for_nobody_who_is_told(tree: Tree, home: Path) -> None:
    home.mkdir(mode=0o700)
    # Nobody listens there: it is tried again and again, for minutes.
    (home / "config.yaml").write_text("webhooks:\n  urls: [http://127.0.0.1:9/]\n")
    record = nap(tree, home, "one", seconds="600")
    wait(lambda: any("sleep" in line for line in running(record["id"])))
    began = time.monotonic()
    assert Jobs(home).cancel(record["id"])["status"] == "cancelled"
    assert time.monotonic() - began < 5
    # Whoever tells is not ended with it.
    time.sleep(1)
    assert running(record["id"]) and (home / "jobs" / record["id"] / "deliveries.json").exists()
    processes.end(record["id"])


def test_a_job_that_has_no_process_yet_can_be_cancelled(home: Path) -> None:
    folder = JobFolder.make(home / "jobs")
    with folder.lock():
        folder.update(operation="server.setup", status="waiting")
        threading.Timer(0.5, lambda: folder.update(status="successful")).start()
        assert Jobs(home).cancel(folder.id)["status"] == "successful"


@pytest.mark.parametrize("damage", ["the audit log", "the settings"])
def test_what_cannot_be_told_changes_nothing_of_how_it_ended(tree: Tree, home: Path, damage: str) -> None:
    record = nap(tree, home, "one", seconds="3")
    wait(lambda: any("sleep" in line for line in running(record["id"])))
    if damage == "the audit log":
        (home / "audit.jsonl").unlink(missing_ok=True)
        (home / "audit.jsonl").mkdir()
    else:
        (home / "config.yaml").write_text("webhooks: [")
    assert ended(home, record)["status"] == "successful"


def test_a_job_that_takes_too_long_is_ended(tree: Tree, home: Path) -> None:
    done = ended(home, nap(tree, home, "one", seconds="600"))
    assert (done["status"], done["error"]["code"]) == ("failed", "JOB_TIMEOUT")
    wait(lambda: not running(done["id"]))


def test_a_job_whose_process_is_killed_is_buried_and_its_server_is_free(tree: Tree, home: Path) -> None:
    record = nap(tree, home, "one", seconds="600", secret=CANARY)
    wait(lambda: any("sleep" in line for line in running(record["id"])))
    os.kill(Jobs(home).get(record["id"]).record()["pid"], signal.SIGKILL)
    wait(lambda: not JobFolder(home / "jobs", record["id"]).lives())
    assert ended(home, record)["status"] == "killed"
    assert not running(record["id"])
    assert not (home / "jobs" / record["id"] / "run").exists()
    assert ended(home, nap(tree, home, "one"))["status"] == "successful"


def test_an_error_comes_back_without_what_it_quotes(tree: Tree, home: Path) -> None:
    done = ended(home, nap(tree, home, "one", fails="yes", secret=CANARY))
    assert done["status"] == "failed"
    assert "woken by (redacted)" in done["error"]["message"]


@pytest.mark.parametrize("more", [{}, {"fails": "yes"}])
def test_a_secret_that_the_job_makes_itself_stays_in_the_vault(
    tree: Tree, home: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, str]
) -> None:
    done = ended(home, nap(tree, home, "one", makes="apps/new/password", **more))
    monkeypatch.setenv("LIVCHAT_VAULT_PASSWORD", PASSWORD)
    made = Vault(Home(str(home))).get("apps/new/password")
    assert made
    kept = "".join(path.read_text(errors="replace") for path in home.rglob("*") if path.is_file())
    assert made not in kept and made not in json.dumps(done)
    told = done["error"]["message"] if more else done["result"]["said"]
    assert "(redacted)" in told and "made (redacted)" in Jobs(home).get(done["id"]).log()


def test_the_list_filters_and_goes_on_after_a_job(home: Path) -> None:
    names = []
    for number, (operation, server, state) in enumerate(
        [("app.install", "one", "successful"), ("app.install", "two", "failed"), ("server.setup", "one", "successful")]
    ):
        folder = JobFolder(home / "jobs", f"2026010{number}T000000-00000{number}")
        folder.path.mkdir(parents=True)
        folder.update(operation=operation, servers=[server], status=state)
        names.append(folder.id)
    listed = Jobs(home)
    assert [one["id"] for one in listed.all()] == names[::-1]
    assert [one["id"] for one in listed.all(operation="app.install", server="one")] == names[:1]
    assert [one["id"] for one in listed.all(status=["failed"])] == names[1:2]
    assert [one["id"] for one in listed.all(limit=1)] == names[2:]
    assert [one["id"] for one in listed.all(before=names[1])] == names[:1]
    with pytest.raises(LivchatError, match="no job"):
        listed.get("../../etc")


def test_old_jobs_are_forgotten_by_number_and_by_age(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "CHANGES_KEPT", 3)
    monkeypatch.setattr(store, "READS_KEPT", 2)
    young = [JobFolder.make(home / "jobs") for _ in range(4)]
    reads = [JobFolder.make(home / "jobs") for _ in range(5)]
    for folder in (*young, *reads):
        folder.update(operation="any", effect="write" if folder in young else "read", status="successful")
    old = JobFolder(home / "jobs", "20200101T000000-000000")
    alive = JobFolder(home / "jobs", "20200101T000000-000001")
    for folder, state in ((old, "failed"), (alive, "running")):
        folder.path.mkdir()
        folder.update(operation="status", servers=[], status=state)
    lock = alive.lock()
    Jobs(home).forget_old()
    left = {path.name for path in (home / "jobs").iterdir() if path.is_dir()}
    # However many read, those that changed something stay.
    assert left == {alive.id, *sorted(one.id for one in young)[1:], *sorted(one.id for one in reads)[3:]}
    lock.close()


def test_the_end_of_a_killed_job_is_known_also_where_it_cannot_be_written_down(home: Path) -> None:
    folder = JobFolder.make(home / "jobs")
    folder.lock().close()
    folder.update(operation="any", servers=["one"])
    # In the way of what the record is replaced with.
    (folder.path / "job.json.tmp").mkdir()
    for _number in range(2):
        assert Jobs(home).record(folder.id)["error"]["code"] == "HOME_UNWRITABLE"
    assert list(Jobs(home).follow(folder.id)) == []
    (folder.path / "job.json.tmp").rmdir()
    assert Jobs(home).record(folder.id)["status"] == "killed"


class Receiver(BaseHTTPRequestHandler):
    """Answers 500 the first time, and keeps what it is sent."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        received: list[tuple[dict[str, str], bytes]] = self.server.received  # type: ignore[attr-defined]
        received.append((dict(self.headers), body))
        self.send_response(500 if len(received) == 1 else 200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def receiver() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.received = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def test_hooks_and_signed_webhooks_are_told_how_a_job_ended(
    tree: Tree, home: Path, receiver: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVCHAT_VAULT_PASSWORD", PASSWORD)
    home.mkdir(mode=0o700)
    (home / "config.yaml").write_text(
        f"webhooks:\n  urls: ['http://127.0.0.1:{receiver.server_port}/in']\n  events: ['server.*', 'job.*']\n"
    )
    hooks = home / "hooks" / "server.rested.d"
    hooks.mkdir(parents=True)
    heard = home / "heard"
    for name, mode in (("10-ours", 0o700), ("20-anybodys", 0o777), ("30-no-program", 0o600)):
        (hooks / name).write_text(f"#!/bin/sh\necho {name} $LIVCHAT_EVENT >> {heard}\ncat >> {heard}\nenv >> {heard}\n")
        (hooks / name).chmod(mode)
    record = nap(tree, home, "one", secret=CANARY)
    received: list[tuple[dict[str, str], bytes]] = receiver.received  # type: ignore[attr-defined]
    wait(lambda: len(received) == 2)
    wait(lambda: not (home / "jobs" / record["id"] / "deliveries.json").exists())
    # Once more after the first answer, and with the same identity.
    assert received[0][1] == received[1][1]
    headers, body = received[1]
    secret = Vault(Home(str(home))).get(SECRET) or ""
    assert headers["X-Livchat-Signature"] == f"sha256={signature(secret, headers['X-Livchat-Timestamp'], body)}"
    by_hand = hmac.new(secret.encode(), f"{headers['X-Livchat-Timestamp']}.".encode() + body, hashlib.sha256)
    assert headers["X-Livchat-Signature"] == f"sha256={by_hand.hexdigest()}"
    event = json.loads(body)
    assert (event["event"], event["job"]["id"], event["job"]["servers"]) == ("server.rested", record["id"], ["one"])
    said = heard.read_text()
    assert "10-ours server.rested" in said and record["id"] in said
    assert "20-anybodys" not in said and "30-no-program" not in said
    assert PASSWORD not in said and CANARY not in said
    audited = [json.loads(line) for line in (home / "audit.jsonl").read_text().splitlines()]
    told = next(line for line in audited if line["operation"] == "server.rested")
    assert (told["target"], told["job"], told["outcome"]) == ("one", record["id"], "success")


def test_what_a_killed_job_did_not_tell_the_next_one_does(
    tree: Tree, home: Path, receiver: ThreadingHTTPServer
) -> None:
    folder = JobFolder.make(home / "jobs")
    folder.update(operation="server.nap", servers=["one"], status="successful")
    event = {
        "id": "x",
        "event": "server.rested",
        "job": {"id": folder.id, "principal": "", "request_id": "", "error": None, "servers": []},
    }
    url = f"http://127.0.0.1:{receiver.server_port}/in"
    folder.replace("deliveries.json", {"event": event, "wanted": [{"to": url, "tries": 0}]})
    nap(tree, home, "two")
    wait(lambda: len(receiver.received) == 2)  # type: ignore[attr-defined]


def test_that_a_job_was_killed_is_told_by_the_next_one(tree: Tree, home: Path) -> None:
    hooks = home / "hooks" / "job.killed.d"
    hooks.mkdir(parents=True)
    heard = home / "heard"
    (hooks / "10-write").write_text(f"#!/bin/sh\ncat >> {heard}\n")
    (hooks / "10-write").chmod(0o700)
    record = nap(tree, home, "one", seconds="600")
    wait(lambda: any("sleep" in line for line in running(record["id"])))
    os.kill(Jobs(home).get(record["id"]).record()["pid"], signal.SIGKILL)
    wait(lambda: not JobFolder(home / "jobs", record["id"]).lives())
    for _ in range(2):
        ended(home, nap(tree, home, "two"))
    wait(lambda: heard.exists() and not list(home.glob("jobs/*/deliveries.json")))
    # Once, and no job that ended as it should.
    (event,) = (json.loads(line) for line in heard.read_text().replace("}{", "}\n{").splitlines())
    assert (event["event"], event["job"]["id"], event["job"]["status"]) == ("job.killed", record["id"], "killed")
    audited = [json.loads(line) for line in (home / "audit.jsonl").read_text().splitlines()]
    assert [line["job"] for line in audited if line["operation"] == "job.killed"] == [record["id"]]


def test_a_webhook_that_does_not_answer_holds_up_no_other(
    home: Path, receiver: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVCHAT_VAULT_PASSWORD", PASSWORD)
    waiting = JobFolder.make(home / "jobs")
    waiting.update(operation="server.nap", servers=["one"], status="successful")
    job = {"id": waiting.id, "principal": "", "request_id": "", "error": None, "servers": []}
    event = {"id": "x", "event": "server.rested", "job": job}
    dead = {"to": "http://127.0.0.1:9/in", "tries": 5, "due": time.time() + 60}
    waiting.replace("deliveries.json", {"event": event, "wanted": [dead]})
    sender = threading.Thread(target=Deliveries(home).send, daemon=True)
    sender.start()
    time.sleep(0.5)
    other = JobFolder.make(home / "jobs")
    other.update(operation="server.nap", servers=["one"], status="successful")
    url = f"http://127.0.0.1:{receiver.server_port}/in"
    other.replace("deliveries.json", {"event": event, "wanted": [{"to": url, "tries": 0}]})
    wait(lambda: len(receiver.received) == 2)  # type: ignore[attr-defined]


def test_what_is_written_down_while_another_stops_telling_is_told(
    home: Path, receiver: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVCHAT_VAULT_PASSWORD", PASSWORD)
    (home / "jobs").mkdir(parents=True)
    sender, late = Deliveries(home), JobFolder(home / "jobs", "20260101T000000-000000")
    looks = sender._waiting

    def look() -> Iterator[Any]:
        found = list(looks())
        if not found and not late.path.exists():
            # Just after the last look another job ends, and sees that somebody tells others.
            late.path.mkdir()
            job = {"id": late.id, "principal": "", "request_id": "", "error": None, "servers": []}
            url = f"http://127.0.0.1:{receiver.server_port}/in"
            event = {"id": "x", "event": "server.rested", "job": job}
            late.replace("deliveries.json", {"event": event, "wanted": [{"to": url, "tries": 0}]})
            Deliveries(home).send()
            assert not receiver.received  # type: ignore[attr-defined]
        return iter(found)

    monkeypatch.setattr(sender, "_waiting", look)
    sender.send()
    assert len(receiver.received) == 2  # type: ignore[attr-defined]
    assert not (late.path / "deliveries.json").exists()
