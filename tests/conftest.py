"""What holds for all tests."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator

import pytest

# A shell that starts them in the background has them ignore Ctrl-C, and with them the commands whose Ctrl-C they test.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """What was skipped is said last and in red: a test that did not run reads like one that passed."""
    yield
    skipped = Counter(one.longrepr[2].removeprefix("Skipped: ") for one in terminalreporter.stats.get("skipped", ()))
    if skipped:
        terminalreporter.section("NOT TESTED", red=True, bold=True)
    for reason, count in skipped.most_common():
        terminalreporter.line(f"{reason} (skipped: {count})", red=True)
