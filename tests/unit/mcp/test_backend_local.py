"""What the gateway carries out on its own machine."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from livchat_cli.access import Tokens
from livchat_cli.errors import LivchatError
from livchat_cli.jobs import Jobs
from livchat_cli.operations import get
from livchat_mcp.backend_local import LocalBackend
from tests.unit.api.running import Running


def test_a_token_makes_no_more_servers_by_two_doors_than_by_one(
    another: Callable[..., Running],
) -> None:
    api = another({"server_creations_per_hour": 3})
    api.start()
    backend = LocalBackend(api.home, Tokens(api.home).principal(api.key()))
    create = get("server.create")

    def values(name: str) -> dict[str, str]:
        return {"name": name, "domain": f"{name}.example.com"}

    with api.client() as client, api.client(name="other") as other:
        assert client.post("/v1/servers", json=values("a")).status_code == 202
        for name in ("b", "c"):
            backend.start(create, values(name), "", None)
        # An API that runs already counts what was made by the other door meanwhile, and the other way round.
        answer = client.post("/v1/servers", json=values("d"))
        assert (answer.status_code, answer.json()["code"]) == (429, "RATE_LIMITED")
        with pytest.raises(LivchatError) as refused:
            backend.start(create, values("d"), "", None)
        assert refused.value.code == "RATE_LIMITED" and 3500 < (refused.value.retry_after or 0) <= 3600
        assert other.post("/v1/servers", json=values("d")).status_code == 202
    made = Jobs(api.home).all(operation="server.create")
    assert sorted(one["parameters"]["name"] for one in made) == ["a", "b", "c", "d"]
