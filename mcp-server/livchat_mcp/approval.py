"""Asks a person to type a name, where the client can ask one; both protocol eras know how, each in its own way."""

from __future__ import annotations

import contextlib
import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import Any

import anyio
from mcp import types
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from livchat_cli.errors import LivchatError
from livchat_mcp.texts import Texts

_KEY = "confirmar"
_FIELD = "nome"
# Seconds between two words to a client that waits for a person; without one it would give up.
_HEARTBEAT = 20.0


class Confirmation(StrEnum):
    """Who let a call through, for the audit log."""

    # It needs none.
    NONE = "none"
    # Nothing was done yet: a plan was asked for.
    PLANNED = "planned"
    # A person typed the name, in the client or in a terminal.
    PERSON = "person"
    TERMINAL = "terminal"
    # The model came back with the plan's id.
    MODEL = "model"
    REFUSED = "refused"


class Asked(Exception):  # noqa: N818  # no error: the client is to come again
    """The client is to ask a person, and to send the same call again with the answer (protocol 2026-07-28)."""

    def __init__(self, result: types.InputRequiredResult) -> None:
        super().__init__("a person is asked")
        self.result = result


def command(home: Path, plan: str) -> str:
    """What a person types into a shell of this machine to approve a plan.

    It names this gateway's interpreter and home: a bundle, or what uvx started, has no command on PATH.
    """
    place, python = shlex.quote(str(home.absolute())), shlex.quote(sys.executable)
    return f"LIVCHAT_HOME={place} {python} -m livchat_mcp approve {plan}"


class Person:
    """The person behind a client, for the length of one call."""

    def __init__(
        self, context: ServerRequestContext[Any, Any], params: types.CallToolRequestParams, texts: Texts
    ) -> None:
        self._context = context
        self._params = params
        self._texts = texts

    @property
    def reachable(self) -> bool:
        """Whether the client says that it can ask. `elicitation: {}` is the older way to say that it shows forms."""
        capabilities = self._context.session.client_capabilities
        found = capabilities.elicitation if capabilities else None
        if found is None or (found.form is None and found.url is not None):
            return False
        return self._modern or self._context.session.can_send_request

    async def confirm(self, name: str, lines: list[str]) -> None:
        """Returns once a person has typed the name.

        Raises:
            LivchatError: APPROVAL_DECLINED, CONFIRMATION_MISMATCH
            Asked: the answer comes with the next call.
        """
        message = self._texts("ask", lines="\n".join(lines), name=name)
        schema = {
            "type": "object",
            "properties": {_FIELD: {"type": "string", "title": self._texts("ask_field", name=name)}},
            "required": [_FIELD],
        }
        answer = self._answered(message, schema) if self._modern else await self._ask(message, schema)
        if answer is None or answer.action != "accept":
            raise LivchatError("APPROVAL_DECLINED", self._texts("declined"))
        if str((answer.content or {}).get(_FIELD, "")).strip() != name:
            raise LivchatError("CONFIRMATION_MISMATCH", self._texts("mistyped"))

    @property
    def _modern(self) -> bool:
        return self._context.protocol_version in MODERN_PROTOCOL_VERSIONS

    def _answered(self, message: str, schema: dict[str, Any]) -> types.ElicitResult | None:
        answers = self._params.input_responses
        if not answers:
            form = types.ElicitRequestFormParams(message=message, requested_schema=schema)
            request = types.ElicitRequest(params=form)
            raise Asked(types.InputRequiredResult(input_requests={_KEY: request}))
        answer = answers.get(_KEY)
        return answer if isinstance(answer, types.ElicitResult) else None

    async def _ask(self, message: str, schema: dict[str, Any]) -> types.ElicitResult | None:
        session = self._context.session
        answers: list[types.ElicitResult] = []
        async with anyio.create_task_group() as group:
            group.start_soon(self._keep_waiting)
            # A client that cannot do what it said, or answers nonsense, has not confirmed.
            with contextlib.suppress(MCPError, ValidationError):
                answers.append(await session.elicit_form(message, schema, self._context.request_id))
            group.cancel_scope.cancel()
        return answers[0] if answers else None

    async def _keep_waiting(self) -> None:
        number = 0
        while True:
            await anyio.sleep(_HEARTBEAT)
            number += 1
            await self._context.session.report_progress(float(number), message=self._texts("asking"))
