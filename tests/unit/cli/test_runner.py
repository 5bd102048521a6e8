"""Jobs against real playbooks on this machine: results, errors, secrets, interruption."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from livchat_cli.errors import LivchatError
from livchat_cli.events import Kind, Progress
from livchat_cli.jobs import Jobs
from tests.direct import DirectJob
from tests.throwaway import Tree

PLAYBOOKS = Path(__file__).parent / "playbooks"
CANARY = "cAnArY-4f1d9e77"
LOCALHOST = "localhost,"


def play(home: Path, name: str, extra_vars: dict[str, Any] | None = None, **more: Any) -> Any:
    return DirectJob(home, secrets=[CANARY], **more).run(str(PLAYBOOKS / f"{name}.yml"), extra_vars or {}, LOCALHOST)


def failure(home: Path, name: str, extra_vars: dict[str, Any] | None = None) -> LivchatError:
    with pytest.raises(LivchatError) as caught:
        play(home, name, extra_vars)
    return caught.value


def everything(folder: Path) -> str:
    return "\n".join(one.read_text(errors="replace") for one in folder.rglob("*") if one.is_file())


def alive(marker: str) -> list[str]:
    """Command lines of processes that hold the marker."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if marker in line:
                    found.append(line)
    return found


def wait_for(condition: Callable[[], Any], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


def test_a_result_comes_back_and_no_secret_stays_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVCHAT_VAULT_PASSWORD", f"vault-{CANARY}")
    seen: list[str] = []
    modes: set[int] = set()
    done = threading.Event()

    def observe() -> None:
        while not done.is_set():
            seen.extend(alive(CANARY))
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit() and int(entry.name) != os.getpid():
                    with contextlib.suppress(OSError):
                        if CANARY.encode() in (entry / "environ").read_bytes():
                            seen.append(f"environment of {entry.name}")
            with contextlib.suppress(OSError):
                modes.update(stat.S_IMODE(one.stat().st_mode) for one in tmp_path.glob("jobs/*/run/*.json"))
            time.sleep(0.1)

    steps: list[Progress] = []
    observer = threading.Thread(target=observe)
    observer.start()
    try:
        given = {"apps": ["n8n"], "variables": {"n8n": {"password": CANARY}}}
        result = play(tmp_path, "hand_over", given, listener=steps.append)
    finally:
        done.set()
        observer.join()
    assert result == {"apps": ["n8n"]}
    assert seen == []
    assert modes == {0o600}
    assert CANARY not in everything(tmp_path)
    assert stat.S_IMODE((tmp_path / "jobs").stat().st_mode) == 0o700
    assert not list(tmp_path.glob("jobs/*/run"))
    kinds = {(step.task, step.kind) for step in steps}
    assert {("Use a secret", Kind.STARTED), ("Give the observer time", Kind.CHANGED)} <= kinds


def test_what_a_caller_gives_is_data_and_no_template(tmp_path: Path) -> None:
    given = ["{{ lookup('ansible.builtin.pipe', 'id') }}", "{% raw %}", "{# #}", "plain"]
    given.append("#jinja2: variable_start_string: '[%', variable_end_string: '%]'\n[% 1 + 1 %]")
    assert play(tmp_path, "hand_over", {"apps": given}) == {"apps": given}


def test_the_error_of_an_action_passes_through_a_rescue(tmp_path: Path) -> None:
    error = failure(tmp_path, "fail_typed")
    assert error.code == "DNS_ENDPOINT_INVALID"
    assert "ftp://example.com" in error.message and error.details["host"] == "localhost"


def test_a_failure_without_a_code_names_task_and_host_and_keeps_secrets(tmp_path: Path) -> None:
    error = failure(tmp_path, "fail_plain", {"variables": {"n8n": {"password": CANARY}}})
    assert error.code == "TASK_FAILED"
    assert "'Quote a value' on host localhost: the value is (redacted)" in error.message
    assert CANARY not in everything(tmp_path / "jobs")


def test_an_error_that_a_role_says_in_words_has_its_code(tmp_path: Path) -> None:
    error = failure(tmp_path, "fail_told", {"what": "assert"})
    assert (error.code, error.message) == ("APP_IN_USE", "postgres is needed by n8n; remove it first")
    assert error.details["task"] == "Say an error of ours"


def test_a_rescue_that_tells_an_error_again_adds_to_it_and_loses_nothing(tmp_path: Path) -> None:
    error = failure(tmp_path, "fail_told", {"what": "typed"})
    assert error.code == "DNS_ENDPOINT_INVALID"
    assert error.message.endswith("What was made was removed.")
    assert error.details["task"] == "Ask where nobody can be asked"
    plain = failure(tmp_path, "fail_told", {"what": "plain"})
    assert plain.code == "TASK_FAILED" and plain.details["task"] == "Do what cannot be done"
    assert "No such file" in plain.message and plain.message.endswith("What was made was removed.")


def test_a_playbook_that_does_not_start_says_why(tmp_path: Path) -> None:
    error = failure(tmp_path, "broken")
    assert error.code == "PLAYBOOK_FAILED"
    assert "there_is_no_such_module" in error.message and "Traceback" not in error.message


def test_a_server_nobody_knows_is_an_error(tmp_path: Path) -> None:
    assert failure(tmp_path, "target", {"target": "localhost,nowhere"}).code == "SERVER_UNKNOWN"


@pytest.mark.parametrize("record", ["", "[]", '{"status": "running"}'])
def test_a_record_that_a_crash_damaged_stops_no_run(tmp_path: Path, record: str) -> None:
    dead = tmp_path / "jobs" / "20200101T000000-dead00"
    (dead / "run").mkdir(parents=True)
    (dead / "lock").touch()
    (dead / "job.json").write_text(record)
    play(tmp_path, "hand_over")
    assert json.loads((dead / "job.json").read_text())["status"] == "killed"
    assert not (dead / "run").exists()


def test_a_run_that_lives_is_left_alone_by_the_next(tmp_path: Path) -> None:
    marker = f"34{os.getpid() % 10000:04}.25"
    job = DirectJob(tmp_path)

    def run() -> None:
        with contextlib.suppress(LivchatError):
            job.run(str(PLAYBOOKS / "sleep.yml"), {"seconds": marker}, LOCALHOST)

    thread = threading.Thread(target=run)
    thread.start()
    assert wait_for(lambda: alive(f"sleep {marker}"), 20)
    play(tmp_path, "hand_over")
    assert (job.folder.path / "run").is_dir()
    job.cancel()
    thread.join(20)


def test_cancelling_ends_every_process_of_the_run(tmp_path: Path) -> None:
    marker = f"31{os.getpid() % 10000:04}.25"
    job = DirectJob(tmp_path)
    threading.Thread(target=lambda: wait_for(lambda: alive(f"sleep {marker}"), 20) and job.cancel()).start()
    with pytest.raises(LivchatError) as caught:
        job.run(str(PLAYBOOKS / "sleep.yml"), {"seconds": marker}, LOCALHOST)
    assert caught.value.code == "INTERRUPTED"
    assert wait_for(lambda: not alive(marker), 5), alive(marker)
    assert not list(tmp_path.glob("jobs/*/run"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_the_command_and_its_job_within_five_seconds(
    tree: Tree, tmp_path: Path, number: signal.Signals
) -> None:
    marker = f"32{number:02}{os.getpid() % 10000:04}.25"
    command = tree.command(
        "server", "nap", "prod", "--apps", "nap", "--var", f"nap.seconds={marker}", "--yes", "--json"
    )
    child = subprocess.Popen(command, env=tree.environment(tmp_path), stdout=subprocess.PIPE, text=True)
    assert wait_for(lambda: alive(f"sleep {marker}"), 60)
    began = time.monotonic()
    child.send_signal(number)
    output, _ = child.communicate(timeout=10)
    assert time.monotonic() - began < 5
    assert child.returncode == 130
    error = json.loads(output)
    assert error["code"] == "INTERRUPTED"
    assert Jobs(tmp_path).record(error["details"]["job"])["status"] == "cancelled"
    assert wait_for(lambda: not alive(f"sleep {marker}"), 2), alive(marker)
