"""What holds for all tests."""

from __future__ import annotations

import signal

# A shell that starts them in the background has them ignore Ctrl-C, and with them the commands whose Ctrl-C they test.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
