"""What a client meets on a bad day: used-up rates, and each fault that can be switched on."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.hetzner.conftest import Cloud
from tests.contract.hetzner.description import Description
from tests.lab.hetzner.access import RateLimit
from tests.lab.hetzner.loopback import HetznerLab

SERVER = {"name": "one", "server_type": "cx23", "image": "debian-13", "location": "fsn1"}


def faults(lab: HetznerLab) -> dict[str, Any]:
    """Those that are on."""
    return {name: found for name, found in lab.ask("GET", "/_lab/faults").body.items() if found}


def test_the_rate_limit(serve: Callable[..., HetznerLab], description: Description) -> None:
    cloud = Cloud(serve(limit=RateLimit(requests=3, per_second=0.5)), description)
    levels = []
    for _ in range(3):
        answer = cloud.ask("GET", "/locations")
        assert answer.status == 200
        assert answer.headers["RateLimit-Limit"] == "3"
        assert abs(int(answer.headers["RateLimit-Reset"]) - time.time()) < 10
        levels.append(int(answer.headers["RateLimit-Remaining"]))
    assert levels == [2, 1, 0]
    refused = cloud.ask("POST", "/servers", SERVER)
    assert (refused.status, refused.body["error"]["code"]) == (429, "rate_limit_exceeded")
    assert refused.headers["RateLimit-Remaining"] == "0"
    # Requests come back as time passes.
    time.sleep(2.1)
    assert cloud.ids("/servers") == []


def test_levels_are_told_with_errors_too(cloud: Cloud) -> None:
    for answer in (cloud.ask("GET", "/servers/1"), cloud.ask("PATCH", "/servers"), cloud.ask("GET", "/none")):
        assert answer.status >= 404
        assert int(answer.headers["RateLimit-Remaining"]) < int(answer.headers["RateLimit-Limit"])


def test_hetzners_own_limit(serve: Callable[..., HetznerLab]) -> None:
    assert serve().ask("GET", "/v1/locations").headers["RateLimit-Limit"] == "3600"


def test_action_fails(cloud: Cloud) -> None:
    cloud.lab.faults(action_fails=[{"command": "create_*", "times": 1}])
    made = cloud.post("/servers", SERVER)
    first, second = (cloud.wait(action) for action in (made["action"], *made["next_actions"]))
    assert (first["status"], first["error"]["code"], first["progress"]) == ("error", "action_failed", 100)
    assert (second["status"], second["command"]) == ("error", "start_server")
    path = f"/servers/{made['server']['id']}"
    assert (cloud.get(path)["server"]["status"], cloud.get(path)["server"]["locked"]) == ("off", False)
    assert not cloud.host.machines
    cloud.wait(cloud.delete(path)["action"])
    assert cloud.ids("/servers") == []
    cloud.make_server()


@pytest.mark.parametrize(
    ("command", "method", "path", "body"),
    [
        ("delete_server", "DELETE", "", None),
        ("stop_server", "POST", "/actions/poweroff", None),
        ("rebuild_server", "POST", "/actions/rebuild", {"image": "debian-13"}),
        ("enable_rescue", "POST", "/actions/enable_rescue", None),
        ("change_protection", "POST", "/actions/change_protection", {"delete": True, "rebuild": True}),
    ],
)
def test_an_action_that_failed_changed_nothing(cloud: Cloud, command: str, method: str, path: str, body: Any) -> None:
    number = cloud.make_server()
    before = cloud.server(number)
    cloud.lab.faults(action_fails=command)
    answer = cloud.ask(method, f"/servers/{number}{path}", body).body
    assert cloud.wait(answer["action"])["status"] == "error"
    assert cloud.server(number) == before
    assert cloud.host.runs(next(iter(cloud.host.machines)))
    cloud.lab.ask("DELETE", "/_lab/faults")
    assert cloud.wait(cloud.ask(method, f"/servers/{number}{path}", body).body["action"])["status"] == "success"


def available(cloud: Cloud, server_type: str) -> list[str]:
    (found,) = cloud.get(f"/server_types?name={server_type}")["server_types"]
    return [place["name"] for place in found["locations"] if place["available"]]


def test_sold_out(cloud: Cloud) -> None:
    everywhere = available(cloud, "cx33")
    cloud.lab.faults(sold_out=[{"server_type": "cx23", "location": "fsn1"}])
    assert cloud.refused("POST", "/servers", SERVER) == (412, "resource_unavailable")
    assert (cloud.ids("/servers"), cloud.ids("/primary_ips")) == ([], [])
    assert "fsn1" not in available(cloud, "cx23")
    assert available(cloud, "cx33") == everywhere
    cloud.make_server(location="nbg1")


def test_sold_out_without_a_word(cloud: Cloud) -> None:
    cloud.lab.faults(sold_out=[{"announced": False, "times": 1}])
    assert "fsn1" in available(cloud, "cx23")
    assert cloud.refused("POST", "/servers", SERVER) == (412, "resource_unavailable")
    cloud.make_server()


def test_rate_limited(cloud: Cloud) -> None:
    cloud.lab.faults(rate_limited=2)
    for _ in range(2):
        answer = cloud.ask("GET", "/servers")
        assert (answer.status, answer.body["error"]["code"]) == (429, "rate_limit_exceeded")
        assert answer.headers["RateLimit-Remaining"] == "0"
        assert int(answer.headers["RateLimit-Reset"]) >= int(time.time())
    assert cloud.ask("GET", "/servers").status == 200


@pytest.mark.parametrize(
    ("status", "code"), [(500, "server_error"), (502, "bad_gateway"), (503, "unavailable"), (504, "timeout")]
)
def test_server_error(cloud: Cloud, status: int, code: str) -> None:
    cloud.lab.faults(server_error=[{"method": "POST", "path": "/v1/ssh_*", "status": status, "times": 1}])
    assert cloud.get("/ssh_keys")["ssh_keys"] == []
    assert cloud.refused("POST", "/ssh_keys", {"name": "key", "public_key": "x"}) == (status, code)
    assert cloud.get("/ssh_keys")["ssh_keys"] == []
    cloud.make_key()


def test_slow(cloud: Cloud) -> None:
    cloud.lab.faults(slow=[{"seconds": 0.5, "times": 1, "path": "/v1/servers"}])

    def seconds(path: str) -> float:
        before = time.monotonic()
        cloud.get(path)
        return time.monotonic() - before

    assert seconds("/locations") < 0.4
    assert seconds("/servers") >= 0.5
    assert seconds("/servers") < 0.4


def test_cut_after_the_work_is_done(cloud: Cloud) -> None:
    cloud.lab.faults(cut_after=1)
    assert cloud.ids("/ssh_keys") == []
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        cloud.make_key()
    # The client has no answer, and the key is there.
    assert len(cloud.ids("/ssh_keys")) == 1
    cloud.delete(f"/ssh_keys/{cloud.ids('/ssh_keys')[0]}")


def test_several_faults_and_their_end(cloud: Cloud) -> None:
    lab = cloud.lab
    lab.faults(server_error=1, rate_limited=[{"path": "/v1/none", "times": 1}])
    assert set(faults(lab)) == {"server_error", "rate_limited"}
    lab.faults(server_error=0)
    assert set(faults(lab)) == {"rate_limited"}
    assert cloud.ids("/servers") == []
    assert lab.ask("DELETE", "/_lab/faults").status == 200
    assert faults(lab) == {}


@pytest.mark.parametrize(
    "wrong",
    [
        {"none": 1},
        {"slow": [{"seconds": -1}]},
        {"slow": [{}]},
        {"server_error": [{"status": 200}]},
        {"rate_limited": "often"},
        {"action_fails": [{"commands": "x"}]},
        [],
        "text",
    ],
    ids=str,
)
def test_no_fault(lab: HetznerLab, wrong: Any) -> None:
    before = lab.ask("GET", "/_lab/faults").body
    answer = lab.ask("PUT", "/_lab/faults", wrong)
    assert (answer.status, answer.body["error"]["code"]) == (422, "invalid_input")
    assert lab.ask("GET", "/_lab/faults").body == before
    assert lab.ask("PUT", "/_lab/faults", b"{").status == 400
    assert lab.ask("GET", "/_lab/faults", token="wrong").status == 401


def test_faults_do_not_use_up_the_rate(serve: Callable[..., HetznerLab]) -> None:
    lab = serve(limit=RateLimit(requests=1, per_second=0.001))
    for _ in range(3):
        lab.faults(slow=0)
    assert lab.ask("GET", "/v1/locations").status == 200
    assert lab.ask("GET", "/v1/locations").status == 429
    lab.faults(slow=0)
