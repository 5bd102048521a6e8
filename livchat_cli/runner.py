"""Runs one playbook through ansible-runner for a job, and leaves no secret in the job's folder."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from livchat_cli import collection
from livchat_cli.ansible_config import CHOSEN, SETTINGS
from livchat_cli.errors import LivchatError
from livchat_cli.events import Kind, Listener, Progress, Redactor, progress
from livchat_cli.failures import Failures
from livchat_cli.jobs import JobFolder, Status, now

collection.activate()

from ansible_collections.livchat.setup.plugins.plugin_utils import _processes as processes  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home, writing  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._turns import Place, Turns  # noqa: E402

# Bytes of the home's disk that a run may need, for the modules it sends to servers and what Ansible prints: a setup,
# which needs the most, was seen to take 3 MB.
_ROOM = 8 << 20
# After an interruption Ansible gets this long to end its workers before they are killed.
_GRACE = 2.0
_UNMATCHED = re.compile(r"Could not match supplied host pattern, ignoring: (\S+)")
_INVENTORY = "plugin: livchat.setup.hetzner\n"
# Where the inventory plugin writes its error: of an inventory that fails, Ansible tells only text.
_ERROR_FILE = "error.json"


class Run:
    """One run of one playbook, for the job whose folder it is given. `cancel` may be called from any thread.

    What ansible-runner offers for variables and environment ends up in files and arguments that outlive the run, so
    neither is used: extra-vars go through a file of mode 0600 that is gone when the run is.

    `redactor` is asked twice for what is to be taken out of all that the run leaves: the run may make secrets itself.
    """

    def __init__(
        self,
        home: Path,
        folder: JobFolder,
        operation: str,
        redactor: Callable[[], Redactor],
        *,
        listener: Listener | None = None,
        notes: Collection[Progress] = (),
        seconds: float | None = None,
    ) -> None:
        self._home = home
        self._folder = folder
        self._operation = operation
        self._redactor = redactor
        self._redact = redactor()
        self._listener = listener
        # What is to be told as soon as there is somewhere to tell it.
        self._notes = notes
        # How long it may take, from when its turn has come; None: as long as it likes.
        self._seconds = seconds
        self._failures = Failures()
        self._result: Any = None
        self._ended = False
        self._cancelled = threading.Event()
        self._timed_out = False
        self._deadline = 0.0
        self._begun = False
        self._pid: int | None = None
        self._events: TextIO = io.StringIO()

    def run(
        self,
        playbook: str,
        extra_vars: Mapping[str, Any],
        inventory: str | None = None,
        place: Place | None = None,
    ) -> Any:
        """What the playbook handed over as `livchat_result`.

        `playbook` is a name such as livchat.setup.status, or a file; `inventory` replaces the operator's servers.
        `place` is that of what changes servers, among the jobs of this home: it begins when the turn has come, and
        gives the place up at its end.

        Raises:
            LivchatError: the failed task's error, SERVER_UNKNOWN, HOME_UNWRITABLE, JOB_TIMEOUT, or INTERRUPTED.
        """
        with writing(str(self._home)), place or contextlib.nullcontext():
            rc, log = None, ""
            try:
                with (
                    self._workspace() as work,
                    self._folder.open("events.jsonl") as self._events,
                ):
                    self._wait(place)
                    if not self._cancelled.is_set():
                        self._check_room()
                        self._begun = True
                        self._folder.update(status=Status.RUNNING, started_at=now())
                        with self._time_limit():
                            rc, log = self._execute(work, playbook, extra_vars, inventory)
                        if rc != 0 or not self._ended:
                            # Ansible says in many ways, or in none, that it could not write.
                            self._check_room()
            except KeyboardInterrupt:
                # While it waited for its turn; from then on the run itself sees to it.
                self.cancel()
            self._redact = self._redactor()
            with contextlib.suppress(OSError):
                self._folder.write("log", self._redact(log))
            if error := self._verdict(rc, log, extra_vars):
                # A task may quote what it was given.
                raise LivchatError(
                    error.code, self._redact(error.message), self._redact(error.details), error.retry_after
                )
        return self._redact(self._result)

    def cancel(self, timed_out: bool = False) -> None:
        """Ends the run: asks Ansible, which ends its workers; what is left after a moment is killed."""
        if self._cancelled.is_set():
            return
        self._timed_out = timed_out
        self._deadline = time.monotonic() + _GRACE
        if self._pid:
            processes.send(self._pid, signal.SIGTERM)
        self._cancelled.set()

    # --- the run
    def _wait(self, place: Place | None) -> None:
        """Waits for the turn, if it needs one."""
        for note in self._notes:
            self._tell(time.time(), note)
        if place:
            where = ", ".join(sorted(place.ticket.servers))

            def say(text: str) -> None:
                self._tell(time.time(), Progress(Kind.NOTE, where, "", text))

            Turns(Home(str(self._home))).wait(place, say, self._cancelled.is_set)

    @contextlib.contextmanager
    def _time_limit(self) -> Iterator[None]:
        """Cancels the run when it takes too long."""
        if self._seconds is None:
            yield
            return
        timer = threading.Timer(self._seconds, self.cancel, kwargs={"timed_out": True})
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _execute(
        self, work: Path, playbook: str, extra_vars: Mapping[str, Any], inventory: str | None
    ) -> tuple[int | None, str]:
        # Importing it takes a quarter of a second, which `--help` need not pay.
        import ansible_runner  # noqa: PLC0415

        variables = _write(work / "extra-vars.json", json.dumps(_literal(extra_vars)))
        servers = inventory or str(_write(work / "livchat.yml", _INVENTORY))
        (work / "project").mkdir()
        runner = ansible_runner.interface.init_runner(
            private_data_dir=str(work),
            playbook=playbook,
            inventory=servers,
            cmdline=f"-e @{variables}",
            quiet=True,
            settings={"pexpect_timeout": 1},
            event_handler=self._on_event,
            status_handler=self._on_status(work),
            # Without one of ours, ansible-runner takes the process' signal handlers.
            cancel_callback=self._must_kill,
        )
        runner.config.env = self._environment(work, runner.config.env)
        crash: list[BaseException] = []

        def run() -> None:
            try:
                runner.run()
            except Exception as error:
                crash.append(error)

        thread = threading.Thread(target=run, name=f"job-{self._folder.id}", daemon=True)
        thread.start()
        while thread.is_alive():
            try:
                thread.join(0.1)
            except KeyboardInterrupt:
                self.cancel()
            if self._cancelled.is_set() and time.monotonic() > self._deadline:
                break
        if self._cancelled.is_set() or crash:
            processes.end(self._folder.id)
            thread.join(1)
        log = _read(Path(runner.config.artifact_dir) / "stdout")
        if stated := _read(work / _ERROR_FILE):
            self._failures.stated(json.loads(stated))
        if crash and isinstance(crash[0], OSError) and crash[0].errno in (errno.ENOSPC, errno.EDQUOT):
            raise crash[0]
        if crash:
            raise LivchatError("RUNNER_FAILED", f"ansible-runner: {crash[0]}") from crash[0]
        return runner.rc, log

    def _environment(self, work: Path, inherited: Mapping[str, str]) -> dict[str, str]:
        """Ansible's settings of a run follow from the home alone, not from an ansible.cfg that happens to be around."""
        environment = dict(inherited)
        others = [one for one in environment.get("ANSIBLE_COLLECTIONS_PATH", "").split(":") if one.startswith("/")]
        defaults = ["~/.ansible/collections", "/usr/share/ansible/collections"]
        folders = list(dict.fromkeys([str(collection.find()), *others, *defaults]))
        environment.pop("ANSIBLE_FORCE_COLOR", None)
        chosen = {name: environment[name] for name in CHOSEN if environment.get(name)}
        environment |= {one.variable: one.value for one in SETTINGS} | chosen
        environment |= {
            "ANSIBLE_CONFIG": str(_write(work / "ansible.cfg", "")),
            "ANSIBLE_COLLECTIONS_PATH": ":".join(folders),
            # What is looked for in the log must not hide behind colours.
            "ANSIBLE_NOCOLOR": "True",
            "ANSIBLE_LOCAL_TEMP": str(work / "tmp"),
            "LIVCHAT_ERROR_FILE": str(work / _ERROR_FILE),
            "LIVCHAT_HOME": str(self._home),
            processes.VARIABLE: self._folder.id,
            # ansible-playbook stands beside the interpreter also when nobody activated its environment.
            "PATH": f"{Path(sys.executable).parent}:{environment.get('PATH', os.defpath)}",
        }
        # Every process of the run sees the environment; a file of this run's folder only its owner.
        if (password := environment.pop("LIVCHAT_VAULT_PASSWORD", None)) and (
            "LIVCHAT_VAULT_PASSWORD_FILE" not in environment
        ):
            environment["LIVCHAT_VAULT_PASSWORD_FILE"] = str(_write(work / "vault-password", password))
        return environment

    def _on_event(self, event: dict[str, Any]) -> bool:
        self._pid = event.get("pid") or self._pid
        self._failures.add(event)
        if event.get("event") == "playbook_on_stats":
            self._ended = True
            self._result = ((event.get("event_data") or {}).get("artifact_data") or {}).get("livchat_result")
        if step := progress(event):
            self._tell(event.get("created"), step)
        # False: ansible-runner shall not keep the event in a file.
        return False

    def _tell(self, at: Any, step: Progress) -> None:
        # Hosts stay: an application's variable may have the same value, and is no secret then.
        told = {"at": at, **asdict(step), "task": self._redact(step.task)}
        # A full disk is no reason to stop half way.
        with contextlib.suppress(OSError):
            self._events.write(json.dumps(told) + "\n")
        if self._listener:
            self._listener(step)

    def _on_status(self, work: Path) -> Any:
        def handler(data: dict[str, Any], runner_config: Any) -> None:
            if data.get("status") == "running":
                # It holds the whole environment, and with it whatever tokens the operator has there.
                (Path(runner_config.artifact_dir) / "command").unlink(missing_ok=True)

        return handler

    def _must_kill(self) -> bool:
        """What ansible-runner asks in each round: true once asking nicely has had its time."""
        return self._cancelled.is_set() and (self._pid is None or time.monotonic() > self._deadline)

    def _verdict(self, rc: int | None, log: str, extra_vars: Mapping[str, Any]) -> LivchatError | None:
        if self._cancelled.is_set():
            left = "what it had begun may be half done, run it again to finish"
            left = left if self._begun else "it had not begun yet"
            if self._timed_out:
                message = f"{self._operation} took too long and was ended; {left}"
                return LivchatError("JOB_TIMEOUT", message, {"job": self._folder.id})
            return LivchatError("INTERRUPTED", f"{self._operation} was interrupted; {left}", {"job": self._folder.id})
        unmatched = _UNMATCHED.findall(" ".join(log.split()))
        if unmatched and "target" in extra_vars:
            message = f"there is no server {', '.join(unmatched)}; `livchat-setup server list` shows them"
            return LivchatError("SERVER_UNKNOWN", message, {"target": extra_vars["target"]})
        if rc == 0 and self._ended:
            return None
        error = self._failures.error(log)
        details = {**error.details, "job": self._folder.id, "log": str(self._folder.path / "log")}
        return LivchatError(error.code, error.message, details, error.retry_after)

    # --- the job's folder
    def _check_room(self) -> None:
        if shutil.disk_usage(self._home).free < _ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    @contextlib.contextmanager
    def _workspace(self) -> Iterator[Path]:
        work = self._folder.path / "run"
        work.mkdir(mode=0o700)
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _write(path: Path, text: str) -> Path:
    """A new file that only its owner may read, at no moment otherwise."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        handle.write(text)
    return path


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _literal(value: Any) -> Any:
    """The same value, its texts marked as data: Ansible takes those of an extra-var for templates, and runs them."""
    if isinstance(value, str):
        return {"__ansible_unsafe": value}
    if isinstance(value, Mapping):
        return {key: _literal(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_literal(one) for one in value]
    return value
