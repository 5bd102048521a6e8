"""Tells others how a job ended: the audit log, executables of the operator's, and signed webhooks."""

from __future__ import annotations

import contextlib
import fcntl
import fnmatch
import hashlib
import hmac
import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from livchat_cli import collection
from livchat_cli.errors import LivchatError
from livchat_cli.jobs import UNTOLD, JobFolder, Jobs, now
from livchat_cli.operations import Operation, get

collection.activate()

from ansible_collections.livchat.setup.plugins.plugin_utils._audit import Audit  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._settings import Settings  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._vault import Vault  # noqa: E402

FILE = "deliveries.json"
SECRET = "webhooks/secret"  # noqa: S105  # where in the vault it is
# Seconds before each further try of a webhook; after the last one it is given up.
WAITS = (1, 5, 25, 60, 120)
# Seconds that one try, or one executable, may take.
WEBHOOK_TIMEOUT = 10
# Seconds between two looks for something new while others are tried again.
LOOK_EVERY = 1.0
HOOK_TIMEOUT = 60


# What stands in the audit log in a job's place.
_NO_JOB: dict[str, Any] = {"effect": "read", "id": None, "principal": None, "request_id": None, "error": None}


class Deliveries:
    """What is to be told of the jobs of one home.

    What is to be told is written down before anybody is: a job whose process is killed while it tells is told of by the
    next one. So somebody may hear of the same event twice, with the same `id`.
    """

    def __init__(self, home: Path) -> None:
        self._path = home
        self._home = Home(str(home))
        self._jobs = Jobs(home)

    def prepare(self, folder: JobFolder, record: Mapping[str, Any], operation: Operation) -> None:
        """Writes down whom to tell of the job's end."""
        name = operation.event if record["status"] == "successful" else f"job.{record['status']}"
        if not name:
            return
        told = ("id", "operation", "effect", "servers", "principal", "request_id", "status", "error")
        event = {"id": f"{folder.id}.{name}", "event": name, "time": now(), "job": {key: record[key] for key in told}}
        with contextlib.suppress(OSError, LivchatError):
            self._audit(event, "success" if name == operation.event else "failed")
        if wanted := self._wanted(name):
            folder.replace(FILE, {"event": event, "wanted": wanted})

    def report(self, name: str, report: Mapping[str, Any]) -> int:
        """Writes down whom to tell of what no job did, and how many those are."""
        if wanted := self._wanted(name):
            # It waits beside the jobs, in a folder that has no record and is gone when all have been told.
            folder = JobFolder.make(self._jobs.folder)
            event = {"id": f"{folder.id}.{name}", "event": name, "time": now(), "report": report}
            folder.replace(FILE, {"event": event, "wanted": wanted})
        return len(wanted)

    def send(self) -> None:
        """Tells all that are still to be told, those of jobs that were killed included. One process at a time does."""
        # Who wrote something down after the last look, and saw that somebody still told others, has left it to them.
        while self._sent() and any(self._waiting()):
            pass

    def _sent(self) -> bool:
        """Whether nothing was left to be told; false: another process tells it."""
        descriptor = os.open(self._jobs.folder / ".deliveries", os.O_WRONLY | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            self._prepare_killed()
            while waiting := list(self._waiting()):
                # One that is tried again later keeps nothing waiting that came meanwhile.
                soonest = min(due for due, _folder, _content in waiting)
                time.sleep(min(LOOK_EVERY, max(0.0, soonest - time.time())))
                for due, folder, content in waiting:
                    if due <= time.time():
                        self._deliver(folder, content)
        return True

    def _prepare_killed(self) -> None:
        """Writes down whom to tell of jobs whose process could not do that itself."""
        for mark in sorted(self._jobs.folder.glob(f"*/{UNTOLD}")):
            folder = JobFolder(self._jobs.folder, mark.parent.name)
            with contextlib.suppress(OSError, LivchatError):
                record = folder.record()
                # One that was killed at its very end had written down what to tell.
                if not (folder.path / FILE).exists():
                    self.prepare(folder, record, get(record["operation"]))
                mark.unlink(missing_ok=True)

    def _waiting(self) -> Iterator[tuple[float, JobFolder, dict[str, Any]]]:
        for path in sorted(self._jobs.folder.glob(f"*/{FILE}")):
            folder = JobFolder(self._jobs.folder, path.parent.name)
            with contextlib.suppress(OSError, ValueError):
                content = json.loads(path.read_text(encoding="utf-8"))
                yield min(one.get("due", 0.0) for one in content["wanted"]), folder, content

    def _deliver(self, folder: JobFolder, content: dict[str, Any]) -> None:
        left = []
        for one in content["wanted"]:
            if one.get("due", 0.0) > time.time():
                left.append(one)
                continue
            problem = self._tell(one["to"], content["event"])
            again = one["tries"] < len(WAITS) and not Path(one["to"]).is_absolute()
            if problem and again:
                left.append({**one, "tries": one["tries"] + 1, "due": time.time() + WAITS[one["tries"]]})
            elif problem:
                with contextlib.suppress(OSError, LivchatError):
                    self._audit({**content["event"], "to": one["to"], "problem": problem}, "failed")
        if left:
            folder.replace(FILE, {**content, "wanted": left})
        else:
            (folder.path / FILE).unlink(missing_ok=True)
            if "report" in content["event"]:
                with contextlib.suppress(OSError):
                    folder.path.rmdir()

    def _tell(self, to: str, event: dict[str, Any]) -> str:
        """What went wrong, or nothing."""
        return self._run(Path(to), event) if Path(to).is_absolute() else self._post(to, event)

    @staticmethod
    def _run(hook: Path, event: dict[str, Any]) -> str:
        # Of the environment only what programs need to run: a hook has no business with tokens of the operator's.
        environment = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "LIVCHAT_HOME") if key in os.environ}
        try:
            done = subprocess.run(
                [str(hook)],
                input=json.dumps(event).encode(),
                env={**environment, "LIVCHAT_EVENT": event["event"]},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=HOOK_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"it took longer than {HOOK_TIMEOUT} s"
        except OSError as error:
            return error.strerror or "it could not be started"
        return f"it ended with {done.returncode}" if done.returncode else ""

    def _post(self, url: str, event: dict[str, Any]) -> str:
        # Imported here: most homes have no webhooks.
        import requests  # noqa: PLC0415

        body = json.dumps(event).encode()
        moment = str(int(time.time()))
        try:
            secret = Vault(self._home).get_or_create(SECRET, 48)
            answer = requests.post(
                url,
                data=body,
                headers={
                    "Content-Type": "application/json",
                    "X-Livchat-Event": event["event"],
                    "X-Livchat-Delivery": event["id"],
                    "X-Livchat-Timestamp": moment,
                    "X-Livchat-Signature": f"sha256={signature(secret, moment, body)}",
                },
                timeout=WEBHOOK_TIMEOUT,
                # A redirect may lead inside, where nobody meant to send anything.
                allow_redirects=False,
            )
        except LivchatError as error:
            return str(error)
        except requests.RequestException as error:
            return type(error).__name__
        return "" if answer.ok else f"it answered {answer.status_code}"

    def _wanted(self, event: str) -> list[dict[str, Any]]:
        return [{"to": one, "tries": 0} for one in (*map(str, self._hooks(event)), *self._webhooks(event))]

    def _hooks(self, event: str) -> list[Path]:
        """The executables in hooks/EVENT.d, by name. One that others may write is not ours to run."""
        folder = self._path / "hooks" / f"{event}.d"
        found = sorted(folder.iterdir()) if folder.is_dir() else []
        return [one.absolute() for one in found if os.access(one, os.X_OK) and not one.stat().st_mode & 0o022]

    def _webhooks(self, event: str) -> list[str]:
        settings = Settings(self._home)
        wanted = settings.get("webhooks.events")
        return list(settings.get("webhooks.urls")) if any(fnmatch.fnmatchcase(event, one) for one in wanted) else []

    def _audit(self, event: Mapping[str, Any], outcome: str) -> None:
        job = event.get("job") or _NO_JOB | {"servers": [event["report"]["server"]]}
        more = {key: event[key] for key in ("to", "problem") if key in event}
        if more or job["effect"] == "read":
            # It tells of no change.
            more["changed"] = []
        about = {"job": job["id"], "actor": job["principal"], "request_id": job["request_id"], **more}
        error = (job["error"] or {}).get("code")
        Audit(self._home).add(event["event"], ",".join(job["servers"]), {}, outcome, 0.0, error=error, **about)


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 over `TIMESTAMP.BODY`, in hex: what a receiver computes to know that it was us, and when."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
