"""What the gateway carries out on its own machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from livchat_cli.access import Principal
from livchat_cli.errors import LivchatError
from livchat_cli.jobs import JobFolder
from livchat_cli.operations import Scope, get
from livchat_mcp.backend_local import LocalBackend


def test_a_token_makes_no_more_servers_here_than_over_rest(home: Path) -> None:
    for number in range(5):
        made = JobFolder.make(home / "jobs")
        made.update(
            operation="server.create",
            parameters={"name": f"s{number}"},
            principal="token:ci",
            token="1a2b3c4d",
            status="successful",
        )
    values = {"name": "one-more", "domain": "one-more.example.com"}
    ci = LocalBackend(home, Principal("token:ci", frozenset(Scope), token="1a2b3c4d"))
    with pytest.raises(LivchatError) as refused:
        ci.start(get("server.create"), values, "", None)
    assert refused.value.code == "RATE_LIMITED" and 3500 < (refused.value.retry_after or 0) <= 3600
    assert len(list((home / "jobs").iterdir())) == 5
