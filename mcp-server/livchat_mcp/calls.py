"""Carries tool calls out: approval first, then the operation, followed for a while, and its result made fit to read."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from mcp import types
from mcp.server.context import ServerRequestContext

from livchat_cli import collection
from livchat_cli.access import Principal
from livchat_cli.client import result_of
from livchat_cli.errors import LivchatError
from livchat_cli.jobs import Status, redacted
from livchat_cli.keys import Keys
from livchat_cli.operations import Operation, Scope, get
from livchat_mcp import joblog, present
from livchat_mcp.approval import Asked, Confirmation, Person, command
from livchat_mcp.backend import Backend
from livchat_mcp.blast import LISTS, Planner
from livchat_mcp.clean import Cleaner
from livchat_mcp.errors import FOREIGN, ToolError, advice, failure
from livchat_mcp.options import Options
from livchat_mcp.plans import LIFETIME, Plans
from livchat_mcp.progress import Steps
from livchat_mcp.reply import LARGEST_ERROR, Reply, shorter
from livchat_mcp.texts import Texts
from livchat_mcp.tools import Call, Toolbox, plans
from livchat_mcp.watch import WATCHED, Watch

collection.activate()

from ansible_collections.livchat.setup.plugins.plugin_utils._audit import Audit  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._settings import Settings  # noqa: E402

# Seconds after which a call comes back with the job's id: some clients give up after 60.
PATIENCE = 45.0
# How long a job is looked at in any case: the approval before it takes a person as long as it takes.
LEAST_PATIENCE = 5.0
# Seconds for what a plan has to read from servers.
READING = 30.0


@dataclass
class Account:
    """What the audit log will say of a call."""

    principal: str
    tool: str
    request_id: str = field(default_factory=lambda: f"mcp-{secrets.token_hex(6)}")
    began: float = field(default_factory=time.monotonic)
    call: Call | None = None
    job: str = ""
    confirmation: Confirmation = Confirmation.NONE
    outcome: str = "success"
    error: str = ""


class Calls:
    """Calls of one principal."""

    def __init__(
        self,
        home: Path,
        *,
        principal: Principal,
        backend: Backend,
        toolbox: Toolbox,
        options: Options,
        texts: Texts,
        clean: Cleaner,
    ) -> None:
        self._home = home
        self._principal = principal
        self._backend = backend
        self._toolbox = toolbox
        self._options = options
        self._texts = texts
        self._clean = clean
        self._plans = Plans(home, texts)
        self._watched = anyio.CapacityLimiter(WATCHED)
        # Names of tokens may come twice.
        self._caller = principal.token or principal.name

    async def answer(
        self, context: ServerRequestContext[Any, Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult | types.InputRequiredResult:
        """The result of a call, or its error as a result; the audit log gets a line in any case."""
        account = Account(self._principal.name, params.name)
        also: tuple[str, ...] = ()
        try:
            account.call = call = self._read(params, account)
            also = _sensitive(call)
            reply = await self._carry_out(context, params, call, account)
            narrowing = [] if reply.cursor else call.narrowing()
            start = int(call.cursor) if call.cursor.isdigit() else 0
            return self._cleaned(reply, also).fit(self._texts, narrowing, start).to_result(self._texts)
        except Asked as asked:
            account.outcome = "asked"
            return asked.result
        except LivchatError as error:
            account.outcome, account.error = "failed", error.code
            return failure(error, self._texts, self._clean, also)
        except anyio.get_cancelled_exc_class():
            # Whoever asked is gone. The job, if there is one, goes on.
            account.outcome = "disconnected"
            raise
        except Exception as defect:
            # Its text stays out: nobody knows what it quotes.
            internal = LivchatError("INTERNAL_ERROR", self._texts("internal", kind=type(defect).__name__))
            account.outcome, account.error = "failed", internal.code
            return failure(internal, self._texts, self._clean)
        finally:
            self._audit(account)

    async def read(self, operation: str, values: Mapping[str, Any]) -> Any:
        """The result of an operation that reads, for a plan or a resource; what it says is not cleaned yet.

        Raises:
            LivchatError: what it failed with, of a job as a ToolError; READ_TIMEOUT when it takes too long.
        """
        found = get(operation)
        found.parse(values, strict=True)
        request_id = f"mcp-{secrets.token_hex(6)}"
        if found.function:
            return await self._thread(self._backend.call, found, values, request_id)
        record = await self._thread(self._backend.start, found, values, request_id, None)
        if not await Watch(self._backend, record["id"], self._watched).ended(READING):
            raise LivchatError("READ_TIMEOUT", f"{operation}: {READING:.0f} s", {"job": record["id"]})
        ended = await self._thread(self._backend.show, record["id"])
        try:
            return result_of(ended)
        except LivchatError as error:
            raise ToolError(error, job=record["id"]) from None

    # --- what is asked for
    def _read(self, params: types.CallToolRequestParams, account: Account) -> Call:
        tool = self._toolbox.tools(self._principal.scopes).get(params.name)
        if tool is None:
            account.tool = "?"
            raise LivchatError("TOOL_UNKNOWN", self._texts("tool_unknown"))
        return tool.read(params.arguments or {})

    async def _carry_out(
        self,
        context: ServerRequestContext[Any, Any],
        params: types.CallToolRequestParams,
        call: Call,
        account: Account,
    ) -> Reply:
        operation = call.operation
        if operation.index and not call.live:
            return await self._indexed(call)
        if self._options.no_destructive and operation.deletes_data(call.parameters):
            raise LivchatError("ACCESS_FORBIDDEN", self._texts("no_destructive"))
        await self._thread(self._backend.check, operation, call.confirmed())
        values = dict(call.values)
        # What others made is as good as destroyed when it is replaced.
        if plans(operation) or getattr(call.parameters, "adopt", False):
            if not call.plan:
                account.confirmation = Confirmation.PLANNED
                return await self._planned(context, params, call)
            account.confirmation = Confirmation.REFUSED
            account.confirmation = await self._approved(Person(context, params, self._texts), call)
            values = call.confirmed()
        if operation.name == "logs":
            values["lines"] = present.lines_wanted(call)
        if operation.name == "jobs.log":
            lines = await joblog.lines_of(self.read, self._clean, values["job"])
            return present.job_log(lines, call, self._texts)
        steps = Steps(context.session, self._texts, lambda text: self._clean.text(text, _sensitive(call)))
        if operation.function:
            return await self._call(call, values, steps, account)
        timeout = self._options.command_timeout if operation.scope is Scope.EXEC else None
        record = await self._thread(self._backend.start, operation, values, account.request_id, timeout)
        account.job = record["id"]
        return await self._follow(operation, record["id"], steps, call, account)

    async def _call(self, call: Call, values: dict[str, Any], steps: Steps, account: Account) -> Reply:
        operation = call.operation
        result = await self._thread(self._backend.call, operation, values, account.request_id)
        if operation.reveals:
            kept = await self._thread(Keys(self._home).keep, operation, result)
            hints = [self._texts("key_kept", file=kept)]
            return Reply.of({key: one for key, one in result.items() if key not in operation.reveals}, hints=hints)
        if operation.name == "jobs.show":
            return await self._job(result, steps, call)
        if operation.name == "jobs.cancel":
            return Reply.of(present.job(result))
        return present.present(operation.name, result, call, self._texts)

    async def _indexed(self, call: Call) -> Reply:
        operation, mine = call.operation, self._principal.servers
        hints = [self._texts("indexed")]
        if operation.name == "server.list" and mine:
            # Whoever is limited to some servers may know which.
            index = await self._thread(lambda: self._backend.index(applications=False))
            return Reply.of([present.server(one) for _name, one in sorted(index.servers.items())], hints=hints)
        result = await self._thread(self._backend.look, operation, call.values)
        reply = present.present(operation.name, result, call, self._texts)
        reply.hints += hints
        return reply

    # --- following a job
    async def _follow(self, operation: Operation, job: str, steps: Steps, call: Call, account: Account) -> Reply:
        # What went before, such as looking at the servers once more, took of the same time.
        patience = max(LEAST_PATIENCE, PATIENCE - (time.monotonic() - account.began))
        try:
            ended = await Watch(self._backend, job, self._watched).ended(patience, steps)
            record = await self._thread(self._backend.show, job) if ended else {}
        except Exception:
            # Whatever became of the way to it, the job is there: to begin it again would do its work twice.
            record = {}
        if not record:
            account.outcome = "running"
            return Reply("andando", job=job, hints=[self._texts("running", job=job)])
        try:
            result = result_of(record)
        except LivchatError as error:
            raise ToolError(error, job=job) from None
        reply = present.present(operation.name, self._clean(result, _sensitive(call)), call, self._texts)
        reply.job = job
        return reply

    async def _job(self, record: Mapping[str, Any], steps: Steps, call: Call) -> Reply:
        """A job as it is, or once it has ended."""
        job = str(record["id"])
        if call.wait:
            # Whatever becomes of the way to it, it is there, and was as it was told before.
            with contextlib.suppress(LivchatError):
                await Watch(self._backend, job, self._watched).ended(PATIENCE, steps)
                record = await self._thread(self._backend.show, job)
        shown = present.job(record)
        if Status(record["status"]).alive:
            shown |= {"passos": steps.last(8)} if call.wait else {}
            return Reply("andando", result=shown, job=job, hints=[self._texts("running", job=job)])
        try:
            result_of(record)
        except LivchatError as error:
            if call.wait:
                # Who waited for it is told as if the call that began it had come back with it.
                raise ToolError(error, job=job) from None
            # The call did what it was asked to: it is the job that failed.
            shown["error"] = shorter(present.failed(self._clean(error.to_dict()), self._texts), LARGEST_ERROR)
            return Reply(result=present.marked(self._clean(shown)), job=job, hints=[advice(error, self._texts, job)])
        found = present.result_of_job({**record, "result": self._clean(record.get("result"))}, self._texts)
        if isinstance(found, list):
            return Reply(items=found, result=present.marked(shown), job=job)
        return Reply(result={**present.marked(self._clean(shown)), "result": found}, job=job)

    # --- plans and their approval
    async def _planned(
        self, context: ServerRequestContext[Any, Any], params: types.CallToolRequestParams, call: Call
    ) -> Reply:
        texts, deletes = self._texts, call.operation.deletes_data(call.parameters)
        blast = await Planner(self._backend, self.read, texts).describe(call)
        lines = [self._clean.text(line, _sensitive(call)) for line in blast.lines(texts)]
        plan = self._plans.make(
            self._caller,
            call.operation.name,
            call.values,
            fingerprint=blast.fingerprint,
            name=blast.name,
            lines=lines,
            deletes_data=deletes,
        )
        hint = texts("plan_next", plan=plan)
        if Person(context, params, texts).reachable:
            hint += texts("plan_person", name=blast.name)
        elif deletes and not self._model_may_destroy():
            hint += texts("plan_terminal", command=command(self._home, plan))
        parts = {name: lines if name in LISTS else "; ".join(lines) for name, lines in blast.parts.items()}
        others = {FOREIGN: blast.foreign.texts} if blast.foreign.texts else {}
        return Reply("plano", plan={"id": plan, "expira_em_segundos": LIFETIME, **parts, **others}, hints=[hint])

    async def _approved(self, person: Person, call: Call) -> Confirmation:
        """Uses the plan up, once it is approved and still true; who approved it."""
        name = call.operation.name
        plan = await self._thread(self._plans.get, call.plan, self._caller, name, call.values)
        if self._plans.approved(call.plan):
            confirmation = Confirmation.TERMINAL
        elif person.reachable:
            try:
                await person.confirm(plan.name, list(plan.lines))
            except LivchatError as refusal:
                if refusal.code == "APPROVAL_DECLINED":
                    self._plans.drop(call.plan)
                raise
            confirmation = Confirmation.PERSON
        elif plan.deletes_data and not self._model_may_destroy():
            error = LivchatError("APPROVAL_REQUIRED", self._texts("approval"))
            raise ToolError(error, self._texts("next_approval", command=command(self._home, call.plan)))
        else:
            confirmation = Confirmation.MODEL
        if not await Planner(self._backend, self.read, self._texts).check(call, plan.fingerprint):
            self._plans.drop(call.plan)
            raise LivchatError("PLAN_STALE", self._texts("plan_stale"))
        # A person takes time: it may have expired, or been used by another process meanwhile.
        await self._thread(self._plans.get, call.plan, self._caller, name, call.values)
        await self._thread(self._plans.take, call.plan)
        return confirmation

    def _model_may_destroy(self) -> bool:
        return bool(Settings(Home(str(self._home))).get("mcp.model_may_destroy"))

    # --- the rest
    def _cleaned(self, reply: Reply, also: tuple[str, ...]) -> Reply:
        reply.items = self._clean(reply.items, also)
        reply.result = self._clean(reply.result, also)
        plan_id = (reply.plan or {}).get("id")
        reply.plan = {**self._clean(reply.plan, also), "id": plan_id} if reply.plan else None
        return reply

    @staticmethod
    async def _thread(work: Any, *arguments: Any) -> Any:
        return await anyio.to_thread.run_sync(lambda: work(*arguments))

    def _audit(self, account: Account) -> None:
        call = account.call
        # Arguments that were not understood may be anything.
        shown = redacted(call.operation.extra_vars(call.parameters)) if call else {}
        servers = ",".join(call.operation.named_servers(call.parameters)) if call else ""
        try:
            Audit(Home(str(self._home))).add(
                call.operation.name if call else account.tool,
                servers or "localhost",
                self._clean(shown),
                account.outcome,
                time.monotonic() - account.began,
                actor=account.principal,
                door="mcp",
                tool=account.tool,
                job=account.job or None,
                confirmation=str(account.confirmation),
                request_id=account.request_id,
                error=account.error or None,
            )
        except LivchatError:
            # A full disk: the call's own result says so where it matters.
            return


def _sensitive(call: Call | None) -> tuple[str, ...]:
    """Values for applications may be passwords."""
    variables = (call.values.get("variables") if call else None) or {}
    return tuple(str(value) for values in variables.values() for value in values.values())
