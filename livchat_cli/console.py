"""What goes to stdout and stderr: results to the one, everything else to the other."""

from __future__ import annotations

import json
import sys
from typing import Any

from livchat_cli.errors import LivchatError


def result(value: Any, operation: str, as_json: bool) -> None:
    """Prints a result: the object itself, or what a person reads of it."""
    if as_json:
        print(json.dumps(value, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))
        return
    # Rich takes 150 ms to import.
    from livchat_cli import show  # noqa: PLC0415

    show.show(value, operation)


def error(problem: LivchatError, as_json: bool) -> None:
    """Prints an error: its object on stdout, or one line on stderr, and what a failed application printed."""
    if as_json:
        print(json.dumps(problem.to_dict(), ensure_ascii=False))
        return
    wait = f" Try again in {problem.retry_after} s." if problem.retry_after else ""
    log = f" (log: {problem.details['log']})" if "log" in problem.details else ""
    note(f"error {problem.code}: {' '.join(problem.message.split())}{wait}{log}")
    # An application's last words say more than any sentence about them.
    for line in problem.details.get("output", []):
        note(f"  | {line}")


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def interactive() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()
