"""`python -m livchat_cli`."""

from __future__ import annotations

from livchat_cli.main import main

raise SystemExit(main())
