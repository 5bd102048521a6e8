"""`python -m livchat_mcp` is the command `livchat-mcp`."""

from __future__ import annotations

from livchat_mcp.main import main

raise SystemExit(main())
