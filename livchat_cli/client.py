"""The interface for programs: every operation, and the jobs that carry them out.

from livchat_cli import Client

client = Client()
client.run("app.install", apps=["n8n"], target=["prod"])

job = client.submit("server.setup", target=["prod"])
for event in client.jobs.follow(job["id"]):
    print(event["host"], event["task"], event["kind"])
print(client.wait(job["id"]))
"""

from __future__ import annotations

import contextlib
import importlib
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livchat_cli import collection, home, jobs, spawn
from livchat_cli.access import Principal, local
from livchat_cli.errors import LivchatError
from livchat_cli.events import Kind, Listener, Progress
from livchat_cli.jobs import JobFolder, Status, now, redacted
from livchat_cli.operations import Effect, Operation, get

if TYPE_CHECKING:
    from livchat_cli.parameters import Parameters

collection.activate()

from ansible_collections.livchat.setup.plugins.plugin_utils._audit import Audit  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home, writing  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._turns import Place, Turns  # noqa: E402


class Client:
    """Operations of one operator's home, carried out for one principal.

    Args:
        home_path: the operator's home; LIVCHAT_HOME or ~/.livchat when not given.
        principal: who asks; whoever runs this process when not given.

    Raises:
        LivchatError: from every method, with a code: INPUT_INVALID, OPERATION_UNKNOWN, CONFIRMATION_REQUIRED,
            ACCESS_FORBIDDEN, JOB_UNKNOWN, or what the operation itself failed with.
    """

    def __init__(self, home_path: Path | None = None, principal: Principal | None = None) -> None:
        self.home = home_path or home.path()
        self.jobs = jobs.of(self.home)
        self._principal = principal or local()

    def run(self, operation: str, /, *, listener: Listener | None = None, **parameters: Any) -> Any:
        """Carries an operation out, and gives its result; the listener is told of each step."""
        return self.perform(get(operation), parameters, listener)

    def submit(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Starts the job of an operation, and gives its record at once. The job goes on when this process ends."""
        return self.start(get(operation), parameters)

    def perform(self, operation: Operation, values: Mapping[str, Any], listener: Listener | None = None) -> Any:
        """As `run`, with the operation itself. Interrupted by Ctrl-C, it ends the job."""
        if operation.function:
            return self.call(operation, values)
        job = self.start(operation, values)
        try:
            return self.wait(job["id"], listener)
        except KeyboardInterrupt:
            # It may have ended at this very moment.
            with contextlib.suppress(LivchatError):
                self.jobs.cancel(job["id"])
            return self.wait(job["id"], listener)

    def look(self, operation: Operation, values: Mapping[str, Any]) -> Any:
        """What the index says at once, of an operation that otherwise asks the servers; see `Operation.index`."""
        return _function(operation.index)(self.home, self._checked(operation, values))

    def call(self, operation: Operation, values: Mapping[str, Any], request_id: str = "") -> Any:
        """The result of an operation that needs no job; `request_id` goes into the audit log."""
        parameters = self._checked(operation, values)
        function = _function(operation.function)
        asker = (self._principal,) if operation.by_asker else ()
        if operation.effect is Effect.READ:
            return function(self.home, parameters, *asker)
        began = time.monotonic()
        outcome = "failed"
        try:
            result = function(self.home, parameters, *asker)
            outcome = "success"
        finally:
            shown = redacted(operation.extra_vars(parameters))
            duration = time.monotonic() - began
            audit = Audit(Home(str(self.home)))
            more: dict[str, Any] = {"actor": self._principal.name}
            more |= {"request_id": request_id} if request_id else {}
            # What happened elsewhere changes nothing here.
            more |= {"changed": []} if operation.target == "report" else {}
            audit.add(operation.name, "localhost", shown, outcome, duration, **more)
        return result

    def start(
        self,
        operation: Operation,
        values: Mapping[str, Any],
        request_id: str = "",
        idempotency: str = "",
        timeout: int | None = None,
    ) -> dict[str, Any]:
        """As `submit`, with the operation itself; `request_id` goes into the job's record and the audit log.

        `idempotency` goes into the record too: whoever is not told that the job began finds it by that. `timeout`
        shortens the operation's own (seconds).
        """
        parameters = self._checked(operation, values)
        given = parameters.model_dump(mode="json", exclude_none=True)
        with writing(str(self.home)):
            notes = self.jobs.bury_dead()
            request = {
                "operation": operation.name,
                "parameters": given,
                "timeout": timeout,
                "notes": [asdict(note) for note in notes],
            }
            folder = JobFolder.make(self.jobs.folder)
            try:
                with folder.lock() as lock:
                    with self._servers(operation, parameters) as creates, self._processes():
                        folder.update(
                            operation=operation.name,
                            effect=operation.effect,
                            servers=list(_touched(operation, parameters)),
                            parameters=redacted(given),
                            principal=self._principal.name,
                            token=self._principal.token,
                            family=self._principal.family,
                            request_id=request_id,
                            creates=creates,
                            **({"idempotency": idempotency} if idempotency else {}),
                            status=Status.WAITING,
                            created_at=now(),
                            started_at=None,
                            finished_at=None,
                            error=None,
                        )
                    # Not within: the queue needs the same lock of the home.
                    with self._place(folder, operation, parameters) as place:
                        return spawn.start(self.home, folder, lock, request, self._principal.name, place=place)
            except (OSError, LivchatError):
                # It has not begun.
                shutil.rmtree(folder.path, ignore_errors=True)
                raise

    def check(self, operation: Operation, values: Mapping[str, Any]) -> None:
        """Raises what `start` would: wrong parameters, no access, no confirmation."""
        self._checked(operation, values)

    def wait(self, job_id: str, listener: Listener | None = None) -> Any:
        """The job's result, when it has ended; the listener is told of each step until then.

        Raises:
            LivchatError: the job's error; JOB_KILLED when its process was.
        """
        for event in self.jobs.follow(job_id):
            if listener:
                listener(Progress(Kind(event["kind"]), event["host"], event["role"], event["task"], event["duration"]))
        return result_of(self.jobs.show(job_id))

    def _processes(self) -> contextlib.AbstractContextManager[None]:
        """Room for the job's own process, where that has a limit. Raises LivchatError RATE_LIMITED."""
        if not self._principal.token:
            return contextlib.nullcontext()
        from livchat_cli import at_once  # noqa: PLC0415

        return at_once.room(self.home, self._principal.token)

    def _servers(self, operation: Operation, parameters: Parameters) -> contextlib.AbstractContextManager[int]:
        """How many new servers the job makes, where that has a limit. Raises LivchatError RATE_LIMITED."""
        if not operation.creates or not self._principal.token:
            return contextlib.nullcontext(0)
        # The operator's own command has no such limit, and need not read the index.
        from livchat_cli.creations import Creations  # noqa: PLC0415

        return Creations(self.home, self._principal.family).room(operation, parameters)

    @contextlib.contextmanager
    def _place(self, folder: JobFolder, operation: Operation, parameters: Parameters) -> Iterator[Place | None]:
        """The job's place among those that change the same servers, for the process that is started in the context."""
        servers = operation.servers(parameters)
        if not servers:
            yield None
            return
        place = Turns(Home(str(self.home))).draw(folder.id, operation.name, servers)
        try:
            yield place
        except BaseException:
            place.give_up()
            raise
        place.leave()

    def _checked(self, operation: Operation, values: Mapping[str, Any]) -> Parameters:
        parameters = operation.parse(values)
        if job_id := getattr(parameters, "job", None):
            self._principal.check_job(operation, self.jobs.record(job_id))
        else:
            self._principal.check(operation, operation.named_servers(parameters))
        operation.check_confirmed(parameters)
        return parameters


def _touched(operation: Operation, parameters: Parameters) -> tuple[str, ...]:
    """The servers that a job is about; of what reads none, since it changes none."""
    if operation.effect is Effect.READ:
        return ()
    # A command takes no turn, and is about servers all the same.
    return operation.servers(parameters) or operation.named_servers(parameters)


def _function(place: str) -> Callable[..., Any]:
    """The function at `module:function`."""
    module, _, name = place.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


def result_of(job: Mapping[str, Any]) -> Any:
    """The result of a job that has ended, given its record with the result.

    Raises:
        LivchatError: the job's error; JOB_KILLED when its process was.
    """
    if error := job["error"]:
        raise LivchatError(error["code"], error["message"], error["details"], error["retry_after"])
    if job["status"] != Status.SUCCESSFUL:
        message = (
            f"the process of job {job['id']} was killed; what it had begun may be half done, run it again to finish"
        )
        raise LivchatError("JOB_KILLED", message, {"job": job["id"]})
    return job["result"]
