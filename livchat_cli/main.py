"""The command `livchat-setup`: reads the command line, ends with an exit code, and lets no traceback out."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

import typer

from livchat_cli import commands, console
from livchat_cli.errors import LivchatError, exit_code

# The common base of Typer's usage errors; where it is defined differs between its versions.
_UsageError = typer.BadParameter.__mro__[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; the exit codes are those of `errors.EXIT_CODES`."""
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Who read our output has had enough of it; Python's own last flush must not fail on it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(arguments: Sequence[str] | None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    words = given[: given.index("--")] if "--" in given else given
    as_json = "--json" in words
    # A service manager's request to stop ends a run as Ctrl-C does.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        # Without arguments it may be a shell that asks for completions.
        app = commands.build(given or None)
        outcome = app(args=given, prog_name="livchat-setup", standalone_mode=False)
        return outcome if isinstance(outcome, int) else 0
    except LivchatError as error:
        return fail(error, as_json)
    except (KeyboardInterrupt, typer.Abort):
        return fail(LivchatError("INTERRUPTED", "interrupted"), as_json)
    except BrokenPipeError:
        raise
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            # Its message is the whole help: nothing was wrong, only nothing was asked for.
            print(getattr(error, "message", ""))
            return 0
        if isinstance(error, _UsageError):
            return fail(LivchatError("INPUT_INVALID", _usage(error)), as_json)
        place = error.__traceback__
        while place and place.tb_next:
            place = place.tb_next
        where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else "unknown"
        # Its text stays out: nobody knows what it quotes.
        return fail(
            LivchatError("INTERNAL_ERROR", f"a defect of livchat-setup ({type(error).__name__} at {where})"), as_json
        )


def fail(error: LivchatError, as_json: bool) -> int:
    console.error(error, as_json)
    return exit_code(error)


def _usage(error: Any) -> str:
    context = getattr(error, "ctx", None)
    hint = f" (see `{context.command_path} --help`)" if context else ""
    return f"{error.format_message()}{hint}"


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt
