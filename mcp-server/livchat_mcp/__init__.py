"""The MCP gateway of livchat.setup: the operations of `livchat_cli.operations` as tools for a model.

It holds no knowledge of servers or apps. What it adds is what a model needs, and what keeps a model from harm: plans
and approvals, bounds on size, time and rate, and a strict line between what people say and what servers print.
"""

from __future__ import annotations

__version__ = "0.1.0"
