"""From the events of a failed run to the one error that says why."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from livchat_cli.errors import LivchatError

# How much of a foreign program's output an error may carry.
_LONGEST = 1000
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
# How roles say an error of ours in `fail` and `assert`, which know only sentences.
_CODED = re.compile(r"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+): (.+)", re.DOTALL)
_SAYING = ("ansible.builtin.fail", "ansible.builtin.assert", "fail", "assert")


@dataclass(frozen=True)
class _Failure:
    host: str
    task: str
    error: LivchatError
    typed: bool
    # The task's `msg`, which a rescue may tell again, and all it said.
    msg: str = ""
    said: str = ""


class Failures:
    """Collects failed tasks. Which of them were rescued only the end of the run tells, so all are kept until then."""

    def __init__(self) -> None:
        self._all: list[_Failure] = []
        self._stated: LivchatError | None = None

    def add(self, event: dict[str, Any]) -> None:
        data = event.get("event_data") or {}
        result = data.get("res")
        if not isinstance(result, dict) or data.get("ignore_errors") or data.get("ignore_unreachable"):
            return
        host, task = str(data.get("host", "")), str(data.get("task") or "")
        said, msg = _said(result), " ".join(str(result.get("msg") or "").split())
        if event["event"] == "runner_on_unreachable":
            message = (
                f"the server {host} does not answer over SSH: {said}; "
                "see whether it runs and whether this network lets SSH out, then run it again"
            )
            error = LivchatError("SERVER_UNREACHABLE", message, {"host": host})
            self._all.append(_Failure(host, task, error, typed=True, msg=msg, said=said))
        elif event["event"] == "runner_on_failed":
            found = _typed(result)
            if found is None and str(data.get("task_action")) in _SAYING:
                self._all.append(self._told(host, task, said))
                return
            message = f"task {task!r} on host {host}: {said}"
            error = found or LivchatError("TASK_FAILED", message, {"host": host, "task": task})
            self._all.append(_Failure(host, task, error, typed=found is not None, msg=msg, said=said))

    def stated(self, error: Any) -> None:
        """Takes in an error's object that came otherwise than as the result of a task."""
        self._stated = _typed({"error": error})

    def _told(self, host: str, task: str, said: str) -> _Failure:
        """The failure of a task that does nothing but fail: an error of ours in words, or what a rescue tells again."""
        cause = next((one for one in reversed(self._all) if one.host == host and one.msg and one.msg in said), None)
        if cause:
            task, said = cause.task, said.replace(cause.msg, cause.said, 1)
        coded = _CODED.fullmatch(said)
        if coded:
            code, message = coded.groups()
        elif cause and cause.typed:
            code, message = cause.error.code, said
        else:
            code, message = "TASK_FAILED", f"task {task!r} on host {host}: {said}"
        error = LivchatError(
            code,
            message,
            cause.error.details if cause else {"host": host, "task": task},
            cause.error.retry_after if cause else None,
        )
        return _Failure(host, task, error, typed=code != "TASK_FAILED", msg=said, said=said)

    def error(self, log: str) -> LivchatError:
        """The error of a run that ended badly; `log` is what Ansible printed, for when no task ever ran."""
        if not self._all:
            return self._stated or LivchatError("PLAYBOOK_FAILED", _from_log(log))
        # A rescue puts things back and then fails with a sentence of its own; the cause is what carries a code.
        by_host: dict[str, _Failure] = {}
        for one in self._all:
            if one.typed or one.host not in by_host or not by_host[one.host].typed:
                by_host[one.host] = one
        first = next(iter(by_host.values()))
        details = {"host": first.host, "task": first.task, **first.error.details}
        if len(by_host) > 1:
            details["failures"] = [
                {"host": one.host, "task": one.task, **one.error.to_dict()} for one in by_host.values()
            ]
        prefix = f"on {len(by_host)} servers; first {first.host}: " if len(by_host) > 1 else ""
        return LivchatError(first.error.code, prefix + first.error.message, details, first.error.retry_after)


def _typed(result: dict[str, Any]) -> LivchatError | None:
    """The error's object in a task's result, or in that of one of its items."""
    items = result.get("results")
    for one in (result, *(items if isinstance(items, list) else [])):
        error = one.get("error") if isinstance(one, dict) else None
        if isinstance(error, dict) and error.get("code") and error.get("message"):
            details = error.get("details")
            try:
                return LivchatError(
                    str(error["code"]),
                    str(error["message"]),
                    details if isinstance(details, dict) else {},
                    error.get("retry_after"),
                )
            except ValueError:
                continue
    return None


def _said(result: dict[str, Any]) -> str:
    if "censored" in result:
        return "its output is hidden, as it may hold secrets"
    items = result.get("results")
    for one in items if isinstance(items, list) else []:
        if isinstance(one, dict) and one.get("failed"):
            return _said(one)
    # Ansible puts tracebacks of modules into other fields; these hold sentences.
    text = str(result.get("msg") or result.get("stderr") or "it gave no reason")
    if (error := result.get("stderr")) and str(error) not in text:
        text = f"{text}: {error}"
    if "Traceback (most recent call last)" in text:
        # Its last line is the exception.
        text = text.strip().splitlines()[-1]
    return " ".join(text.split())[:_LONGEST]


def _from_log(log: str) -> str:
    lines = [_ANSI.sub("", line).strip() for line in log.splitlines()]
    starts = [number for number, line in enumerate(lines) if line.startswith(("[ERROR]:", "ERROR!"))]
    if not starts:
        return "Ansible ended without saying why"
    first = starts[0]
    following = [line for line in lines[first:] if line][:4]
    return " ".join(following).removeprefix("[ERROR]:").removeprefix("ERROR!").strip()[:_LONGEST]
