"""Jobs on disk: each has a folder under `jobs/` that tells all about it, to whoever looks, whoever started it."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import functools
import json
import os
import secrets
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from livchat_cli import collection
from livchat_cli.errors import LivchatError
from livchat_cli.events import Kind, Progress

if TYPE_CHECKING:
    from livchat_cli.access import Principal
    from livchat_cli.parameters import JobLog, JobsList, OneJob

collection.activate()

from ansible_collections.livchat.setup.plugins.plugin_utils import _processes as processes  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._home import writing  # noqa: E402

# How many jobs that have ended are kept, and for how many days: of those that changed something, and of those that only
# read, which may come by the minute.
CHANGES_KEPT = 200
READS_KEPT = 100
JOBS_KEPT = CHANGES_KEPT + READS_KEPT
DAYS_KEPT = 90
# For so long a job that makes servers is kept whatever comes after it: what it made counts for its token's family.
CREATIONS_KEPT = datetime.timedelta(hours=1)
# For so long one that was asked for with an idempotency key is: who asks again is given it.
KEYS_KEPT = datetime.timedelta(days=1)
# A file that says of a job whose process was killed that nobody was told yet.
UNTOLD = "untold"
# How often a job that is followed is looked at, in seconds.
_INTERVAL = 0.1
# Seconds. A cancelled job asks Ansible to end, and kills what is left after two; what then lives is killed here.
_CANCEL_PATIENCE = 4.0


class Status(StrEnum):
    # It waits for its turn on a server.
    WAITING = "waiting"
    RUNNING = "running"
    SUCCESSFUL = "successful"
    FAILED = "failed"
    CANCELLED = "cancelled"
    # Its process ended without saying how: it was killed, or the machine was.
    KILLED = "killed"

    @property
    def alive(self) -> bool:
        return self in ALIVE


# A job that has not ended.
ALIVE = (Status.WAITING, Status.RUNNING)

# What a record says that a crash, or an earlier version, left without some of it.
_RECORD: dict[str, Any] = {
    "operation": "unknown",
    "effect": "write",
    "servers": [],
    "parameters": {},
    "principal": "",
    "token": "",
    "family": "",
    "request_id": "",
    "creates": 0,
    "status": Status.RUNNING,
    **dict.fromkeys(("started_at", "finished_at", "error")),
}


class JobFolder:
    """One job's folder (0700): `job.json`, `events.jsonl`, `result.json`, `log`, and the `lock` of its process."""

    def __init__(self, jobs: Path, job_id: str) -> None:
        self.id = job_id
        self.path = jobs / job_id

    @classmethod
    def make(cls, jobs: Path) -> JobFolder:
        """A new one. Names sort by the time they were made at."""
        jobs.mkdir(mode=0o700, parents=True, exist_ok=True)
        moment = datetime.datetime.now(datetime.UTC)
        made = cls(jobs, f"{moment:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}")
        made.path.mkdir(mode=0o700)
        return made

    def lock(self) -> TextIO:
        """The lock that tells that the job lives. The system lets go of it when the last process that has it dies."""
        handle = self.open("lock.tmp")
        fcntl.flock(handle, fcntl.LOCK_EX)
        # It has its name only now: one that nobody holds is that of a dead job.
        (self.path / "lock.tmp").replace(self.path / "lock")
        return handle

    def lives(self) -> bool:
        with contextlib.suppress(OSError), (self.path / "lock").open("r+") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    @contextlib.contextmanager
    def dead(self) -> Iterator[bool]:
        """Whether its process has died; if so, nobody else sees to that meanwhile."""
        with contextlib.ExitStack() as held:
            try:
                handle = held.enter_context((self.path / "lock").open("r+"))
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
                return
            yield True

    def record(self) -> dict[str, Any]:
        """What is known of the job; nothing where there is no record that can be read."""
        found = self._json("job.json")
        if not isinstance(found, dict) or found.get("status") not in set(Status):
            return {}
        return {**_RECORD, "id": self.id, "created_at": _made(self.id), **found}

    def update(self, **fields: Any) -> dict[str, Any]:
        """Changes the record, whole or not at all."""
        record = {"id": self.id, **(self.record() or {**_RECORD, "created_at": _made(self.id)}), **fields}
        self.replace("job.json", record)
        return record

    def result(self) -> Any:
        return self._json("result.json")

    def keep_result(self, result: Any) -> None:
        self.replace("result.json", result)

    def events(self, after: int = 0) -> list[dict[str, Any]]:
        """Whole lines of the events file from the byte `after` on, each with the offset that follows it (`next`)."""
        found: list[dict[str, Any]] = []
        with contextlib.suppress(FileNotFoundError), (self.path / "events.jsonl").open("rb") as handle:
            handle.seek(after)
            for line in handle:
                if not line.endswith(b"\n"):
                    break
                after += len(line)
                with contextlib.suppress(ValueError):
                    found.append({**json.loads(line), "next": after})
        return found

    def log(self) -> str:
        """What Ansible printed; there once the job has ended."""
        try:
            return (self.path / "log").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def open(self, name: str) -> TextIO:
        """A new file, written line by line, that only its owner may read, at no moment otherwise."""
        descriptor = os.open(self.path / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        return os.fdopen(descriptor, "w", encoding="utf-8", buffering=1)

    def write(self, name: str, text: str) -> Path:
        with self.open(name) as handle:
            handle.write(text)
        return self.path / name

    def replace(self, name: str, content: Any) -> None:
        try:
            self.write(f"{name}.tmp", json.dumps(content) + "\n").replace(self.path / name)
        except OSError:
            (self.path / f"{name}.tmp").unlink(missing_ok=True)
            raise

    def _json(self, name: str) -> Any:
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None


class Jobs:
    """The jobs of one home."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "jobs"
        # Records of jobs that have ended do not change any more.
        self._over: dict[str, dict[str, Any]] = {}

    def all(
        self,
        *,
        status: Sequence[str] = (),
        operation: str = "",
        server: str = "",
        limit: int | None = 50,
        before: str = "",
        seen: Callable[[dict[str, Any]], bool] | None = None,
    ) -> list[dict[str, Any]]:
        """Records of jobs, the newest first; `before` is the id of a job that the list goes on after.

        Who must miss none takes no limit: those that keys and new servers keep may be any number.
        """
        found: list[dict[str, Any]] = []
        for name in sorted(self._names(), reverse=True):
            if before and name >= before:
                continue
            record = self._seen(name)
            if not record or (status and record["status"] not in status):
                continue
            if (operation and record["operation"] != operation) or (server and server not in record.get("servers", [])):
                continue
            if seen and not seen(record):
                continue
            found.append(record)
            if len(found) == limit:
                break
        return found

    def get(self, job_id: str) -> JobFolder:
        """The job's folder.

        Raises:
            LivchatError: JOB_UNKNOWN
        """
        self.record(job_id)
        return JobFolder(self.folder, job_id)

    def record(self, job_id: str) -> dict[str, Any]:
        """The job's record, without its result.

        Raises:
            LivchatError: JOB_UNKNOWN
        """
        record = self._seen(job_id) if job_id in self._names() else {}
        if not record:
            message = f"there is no job {job_id!r}; `livchat-setup jobs list` shows them"
            raise LivchatError("JOB_UNKNOWN", message, {"job": job_id})
        return record

    def show(self, job_id: str) -> dict[str, Any]:
        """The job's record, with its result once it has one."""
        return {**self.record(job_id), "result": JobFolder(self.folder, job_id).result()}

    def follow(self, job_id: str, after: int = 0) -> Iterator[dict[str, Any]]:
        """Its events, those to come included; the iterator ends when the job has ended."""
        folder = self.get(job_id)
        while True:
            # In this order: what is written before the end is read after it.
            ended = not Status(self.record(job_id)["status"]).alive
            for event in folder.events(after):
                after = event["next"]
                yield event
            if ended:
                return
            time.sleep(_INTERVAL)

    def cancel(self, job_id: str) -> dict[str, Any]:
        """Ends the job and all its processes; its record afterwards.

        Raises:
            LivchatError: JOB_ENDED, when there is nothing to end; JOB_UNKNOWN.
        """
        folder, record = self.get(job_id), self.record(job_id)
        if not Status(record["status"]).alive:
            message = f"job {job_id} ended already: it is {record['status']}"
            raise LivchatError("JOB_ENDED", message, {"job": job_id, "status": record["status"]})
        asked, deadline = False, time.monotonic() + _CANCEL_PATIENCE
        # Once it has ended for others its process may live on for minutes: it tells those who wanted to know.
        while Status((record := self.record(job_id))["status"]).alive and time.monotonic() < deadline:
            # For a moment it has no process yet. The number may be another's by now; only one that lives with the job's
            # name is the job's.
            if not asked and (pid := record.get("pid")) in processes.of_job(job_id):
                processes.send(pid, signal.SIGTERM)
                asked = True
            time.sleep(_INTERVAL)
        if Status(record["status"]).alive:
            processes.end(job_id)
        record = self.record(job_id)
        if record["status"] == Status.KILLED:
            # It had not begun to listen yet, or did not.
            message = f"{record['operation']} was cancelled; what it had begun may be half done, run it again to finish"
            error = LivchatError("INTERRUPTED", message, {"job": job_id})
            record = folder.update(status=Status.CANCELLED, error=error.to_dict())
            self._over.pop(job_id, None)
        return record

    def bury_dead(self) -> list[Progress]:
        """Sees to jobs whose process was killed: ends what they left running, and removes what must not stay.

        What comes back is to be told: which of them had left something running.
        """
        return [note for name in self._names() if name not in self._over and (note := self._bury(self._of(name)))]

    def forget_old(self) -> None:
        """Removes jobs that have ended, beyond the newest of their kind and those younger than DAYS_KEPT."""
        moment = datetime.datetime.now(datetime.UTC)
        oldest = f"{moment - datetime.timedelta(days=DAYS_KEPT):%Y%m%dT%H%M%S}"
        needed = {
            field: f"{moment - kept:%Y%m%dT%H%M%S}"
            for field, kept in (("creates", CREATIONS_KEPT), ("idempotency", KEYS_KEPT))
        }
        left = {True: READS_KEPT, False: CHANGES_KEPT}
        for name in sorted(self._names(), reverse=True):
            record = self._of(name).record()
            if not record or not Status(record["status"]).alive:
                reads = record.get("effect") == "read"
                left[reads] -= 1
                stays = any(record.get(field) and name >= since for field, since in needed.items())
                if (left[reads] < 0 or name < oldest) and not stays:
                    shutil.rmtree(self.folder / name, ignore_errors=True)

    def _seen(self, name: str) -> dict[str, Any]:
        """The job's record, with what must be seen to before it is true."""
        if known := self._over.get(name):
            return known
        folder, problem = self._of(name), None
        try:
            with writing(str(self.folder)):
                self._bury(folder)
        except LivchatError as error:
            problem = error
        record = folder.record()
        if not record or Status(record["status"]).alive:
            # Where its end could not be written down, as on a full disk, it has ended all the same.
            return {**record, "status": Status.FAILED, "error": problem.to_dict()} if record and problem else record
        self._over[name] = record
        return record

    def _of(self, name: str) -> JobFolder:
        return JobFolder(self.folder, name)

    def _names(self) -> set[str]:
        try:
            names = {entry.name for entry in os.scandir(self.folder) if entry.is_dir()}
        except FileNotFoundError:
            names = set()
        # What was forgotten on disk is not remembered here.
        for name in self._over.keys() - names:
            self._over.pop(name, None)
        return names

    @staticmethod
    def _bury(folder: JobFolder) -> Progress | None:
        """Sees to one job, if its process is dead. Raises OSError where its end cannot be written down."""
        record = folder.record()
        if record and not Status(record["status"]).alive and not (folder.path / "run").exists():
            return None
        with folder.dead() as dead:
            if not dead:
                return None
            left = processes.end(folder.id)
            shutil.rmtree(folder.path / "run", ignore_errors=True)
            # Read again: it may have ended well since.
            record = folder.record()
            if not record or Status(record["status"]).alive:
                record = folder.update(status=Status.KILLED, finished_at=now())
                (folder.path / UNTOLD).touch()
        if not left:
            return None
        where = ", ".join(record["servers"]) or "localhost"
        text = f"{record['operation']} (job {folder.id}) was killed; ended {left} processes it had left"
        return Progress(Kind.NOTE, where, "", text)


@functools.cache
def of(home: Path) -> Jobs:
    """The jobs of that home, for processes that live long: it remembers those that have ended."""
    return Jobs(home)


def list_jobs(home: Path, parameters: JobsList, principal: Principal) -> list[dict[str, Any]]:
    """The operation jobs.list, without what is not for who asks."""
    return of(home).all(
        status=parameters.status,
        operation=parameters.operation or "",
        server=parameters.server or "",
        limit=parameters.limit,
        before=parameters.before or "",
        seen=principal.sees,
    )


def show_job(home: Path, parameters: OneJob) -> dict[str, Any]:
    """The operation jobs.show."""
    return of(home).show(parameters.job)


def log_of_job(home: Path, parameters: JobLog) -> dict[str, Any]:
    """The operation jobs.log."""
    lines = of(home).get(parameters.job).log().splitlines()
    end = max(0, len(lines) - parameters.skip)
    return {"job": parameters.job, "total": len(lines), "lines": lines[max(0, end - parameters.lines) : end]}


def cancel_job(home: Path, parameters: OneJob) -> dict[str, Any]:
    """The operation jobs.cancel."""
    return of(home).cancel(parameters.job)


def _made(job_id: str) -> str:
    """When a job was made, by its name."""
    try:
        moment = datetime.datetime.strptime(job_id[:15], "%Y%m%dT%H%M%S").replace(tzinfo=datetime.UTC)
    except ValueError:
        moment = datetime.datetime.fromtimestamp(0, datetime.UTC)
    return moment.isoformat(timespec="seconds")


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def redacted(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as a record may show them: values for applications may be passwords."""
    shown = dict(parameters)
    if shown.get("variables"):
        shown["variables"] = {name: dict.fromkeys(values, "(redacted)") for name, values in shown["variables"].items()}
    return shown
