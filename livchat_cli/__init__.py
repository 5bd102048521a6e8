"""The command line of livchat.setup: names operations and runs their playbooks; knows nothing of servers or apps."""

from __future__ import annotations

__version__ = "0.1.0"
