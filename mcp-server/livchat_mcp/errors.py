"""From an error to what a model needs of it: code, cause, where it happened, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcp import types

from livchat_cli.errors import LivchatError
from livchat_mcp.clean import Cleaner, Foreign
from livchat_mcp.reply import error_result
from livchat_mcp.texts import Texts

# Where a plan or an error keeps the texts of others that its sentences name.
FOREIGN = "textos_alheios"
_NEXT = {
    "INPUT_INVALID": "next_input",
    "INVALID_PARAMETER": "next_input",
    "PLAN_INVALID": "next_plan",
    "PLAN_STALE": "next_plan",
    "ACCESS_FORBIDDEN": "next_access",
    "VAULT_LOCKED": "next_locked",
    "INTERRUPTED": "next_half",
    "JOB_KILLED": "next_half",
}
_ENDINGS = {
    "_TIMEOUT": "next_timeout",
    "_UNKNOWN": "next_known",
    "_NOT_FOUND": "next_known",
    "_UNREACHABLE": "next_unreachable",
}


class ToolError(LivchatError):
    """An error with its own word on what to do next, or one of a job, whose sentence servers may have had a part in."""

    def __init__(
        self, cause: LivchatError, advice: str = "", job: str = "", foreign: Mapping[str, Foreign] | None = None
    ) -> None:
        super().__init__(cause.code, cause.message, cause.details, cause.retry_after)
        self.advice = advice
        self.job = job
        # What others wrote, by what the sentence calls it.
        self.foreign = dict(foreign or {})


def failure(error: LivchatError, texts: Texts, clean: Cleaner, also: tuple[str, ...] = ()) -> types.CallToolResult:
    """The error as a tool's result."""
    job = error.job if isinstance(error, ToolError) else ""
    message = clean.text(sentence(error.code, error.message, error.details, texts), also)
    details = clean({key: str(error.details[key]) for key in ("task", "host", "scope") if error.details.get(key)}, also)
    if isinstance(error, ToolError) and error.foreign:
        details[FOREIGN] = clean(error.foreign, also)
    shown = {
        "code": error.code,
        # What a job says may hold what a server printed.
        "message": Foreign(message) if job else message,
        "details": {**details, **({"job": job} if job else {})},
        "retry_after": error.retry_after,
    }
    return error_result(shown, advice(error, texts, job), texts)


def sentence(code: str, message: str, details: Mapping[str, Any], texts: Texts) -> str:
    """What an error says; in a sentence of ours where its own quotes the argument that is wrong."""
    if code != "INVALID_PARAMETER":
        return message
    allowed = str(details.get("allowed") or "")
    return texts(
        "argument_wrong",
        field=details.get("field") or "?",
        allowed=texts("allowed", words=allowed) if allowed else "",
    )


def advice(error: LivchatError, texts: Texts, job: str) -> str:
    """What to do next, for a model."""
    if isinstance(error, ToolError) and error.advice:
        return error.advice
    key = _NEXT.get(error.code) or next((one for ending, one in _ENDINGS.items() if error.code.endswith(ending)), "")
    if key:
        return texts(key)
    if error.retry_after:
        return texts("next_wait", seconds=error.retry_after)
    return texts("next_log", job=job) if job else texts("next_person")
