"""Servers on the lab's Hetzner API when it has a bad day, with machines that exist in memory only."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.livchat.setup.plugins.module_utils import _hetzner
from ansible_collections.livchat.setup.plugins.modules import hetzner_server
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from tests.lab.hetzner.loopback import TOKEN, HetznerLab

Run = Callable[..., dict[str, Any]]
NAME = "prod"
# Seconds. Each pause doubles, so that this is three tries.
PATIENCE = 3
POST_SERVER = {"method": "POST", "path": "/v1/servers"}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[HetznerLab]:
    running = HetznerLab(tmp_path / "hetzner.json").start()
    yield running
    running.stop(wait=False)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses are counted, and cut to a hundredth."""
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(seconds / 100))
    monkeypatch.setattr(_hetzner, "connect", _hurried(_hetzner.connect))


def _hurried(connect: Callable[..., Any]) -> Callable[..., Any]:
    def hurried(*arguments: Any) -> Any:
        client = connect(*arguments)
        adapter = client._client._session.get_adapter("http://")
        adapter._patience._sleep = time.sleep
        return client

    return hurried


@pytest.fixture(scope="session")
def public_key() -> str:
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    return key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()


@pytest.fixture
def run(lab: HetznerLab, public_key: str, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(state: str = "present", **params: Any) -> dict[str, Any]:
        arguments = {
            "name": NAME,
            "state": state,
            "server_type": "cx23",
            "location": "nbg1",
            "image": "debian-13",
            "public_key": public_key,
            "api_token": TOKEN,
            "api_endpoint": lab.url,
            "patience": PATIENCE,
            **params,
        }
        with patch_module_args(arguments), pytest.raises(SystemExit):
            hetzner_server.main()
        answer: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert TOKEN not in json.dumps({key: value for key, value in answer.items() if key != "invocation"})
        return answer

    return call


def there(lab: HetznerLab) -> dict[str, list[str]]:
    """What the project holds, and which machines run."""
    held = {
        kind: [one["name"] for one in lab.ask("GET", f"/v1/{kind}").body[kind]]
        for kind in ("servers", "ssh_keys", "firewalls")
    }
    return {**held, "machines": sorted(lab.fake.machines)}


NOTHING: dict[str, list[str]] = {"servers": [], "ssh_keys": [], "firewalls": [], "machines": []}


def all_of_it(lab: HetznerLab) -> dict[str, list[str]]:
    machine = f"{lab.config.network}_{NAME}"
    return {
        "servers": [NAME],
        "ssh_keys": [f"livchat-{NAME}"],
        "firewalls": ["livchat-setup"],
        "machines": [machine],
    }


LASTING = [
    ({"action_fails": "create_server"}, "SERVER_CREATION_FAILED"),
    ({"sold_out": "cx23"}, "SERVER_TYPE_UNAVAILABLE"),
    ({"sold_out": [{"server_type": "cx23", "announced": False}]}, "SERVER_TYPE_UNAVAILABLE"),
    ({"rate_limited": [{}]}, "PROVIDER_RATE_LIMITED"),
    ({"rate_limited": [POST_SERVER]}, "PROVIDER_RATE_LIMITED"),
    *(({"server_error": [{"status": status}]}, "PROVIDER_UNAVAILABLE") for status in (500, 502, 503, 504)),
    *(
        ({"server_error": [{"status": status, **POST_SERVER}]}, "PROVIDER_UNAVAILABLE")
        for status in (500, 502, 503, 504)
    ),
    ({"server_error": [{"method": "POST", "path": "/v1/firewalls"}]}, "PROVIDER_UNAVAILABLE"),
    ({"slow": 30}, "PROVIDER_UNREACHABLE"),
]


@pytest.mark.parametrize(("fault", "code"), LASTING)
def test_a_creation_that_fails_leaves_nothing_and_the_next_succeeds(
    lab: HetznerLab, run: Run, fault: dict[str, Any], code: str
) -> None:
    lab.faults(**fault)
    failed = run(patience=1 if "slow" in fault else PATIENCE)
    error = failed["error"]
    assert error["code"] == code
    assert NAME in error["message"] and "try again" in error["message"]
    assert (error["retry_after"] or 0) >= (code == "PROVIDER_RATE_LIMITED")
    lab.ask("DELETE", "/_lab/faults")
    assert there(lab) == NOTHING
    assert run()["created"] is True
    assert there(lab) == all_of_it(lab)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"action_fails": "delete_server"}, "SERVER_DELETION_FAILED"),
        ({"rate_limited": [{"method": "DELETE"}]}, "PROVIDER_RATE_LIMITED"),
        ({"server_error": [{"method": "DELETE"}]}, "PROVIDER_UNAVAILABLE"),
    ],
)
def test_a_removal_that_fails_removes_nothing_and_the_next_succeeds(
    lab: HetznerLab, run: Run, fault: dict[str, Any], code: str
) -> None:
    run()
    lab.faults(**fault)
    error = run("absent")["error"]
    assert error["code"] == code and NAME in error["message"]
    assert there(lab) == all_of_it(lab)
    lab.ask("DELETE", "/_lab/faults")
    assert run("absent")["changed"]
    assert there(lab) == NOTHING


PASSING: list[dict[str, Any]] = [
    {"rate_limited": 1},
    {"rate_limited": [{"times": 1, **POST_SERVER}]},
    *({"server_error": [{"times": 1, "status": status}]} for status in (500, 502, 503, 504)),
    {"slow": [{"seconds": 0.1}]},
    *({"cut_after": [{"times": 1, "path": path}]} for path in ("/v1/servers", "/v1/ssh_keys", "/v1/firewalls")),
    {"cut_after": [{"times": 1, "path": path} for path in ("/v1/servers", "/v1/ssh_keys", "/v1/firewalls")]},
    # Whatever is asked fails once, and once more.
    {"server_error": [{"times": 2}], "rate_limited": [{"times": 1, "method": "POST"}]},
]


@pytest.mark.parametrize("fault", PASSING)
def test_what_passes_is_lived_through_and_nothing_is_doubled(lab: HetznerLab, run: Run, fault: dict[str, Any]) -> None:
    lab.faults(**fault)
    made = run(patience=60)
    assert made["created"] is True, made
    assert there(lab) == all_of_it(lab)
    cuts = [*fault.get("cut_after", []), {"times": 1, "method": "DELETE", "path": "/v1/servers/*"}]
    lab.faults(**{**fault, "cut_after": cuts})
    assert run("absent", patience=60)["changed"]
    assert there(lab) == NOTHING


def test_an_order_whose_outcome_nobody_knows_is_taken_up_by_the_next_run(
    lab: HetznerLab, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = hetzner_server.Project._ordered

    def cut_off(*arguments: Any) -> Any:
        # The order is carried out, and from then on nothing is answered.
        lab.faults(cut_after=[POST_SERVER], server_error=[{"method": method} for method in ("GET", "DELETE")])
        return order(*arguments)

    monkeypatch.setattr(hetzner_server.Project, "_ordered", cut_off)
    error = run()["error"]
    assert error["code"] == "PROVIDER_UNREACHABLE"
    # The key among it, by which the next run knows the server for its own.
    assert [one.split()[0] for one in error["details"]["left"]] == ["server", "SSH", "firewall"]
    monkeypatch.undo()
    lab.ask("DELETE", "/_lab/faults")
    assert run()["created"] is False
    assert there(lab) == all_of_it(lab)


def test_a_firewall_that_another_run_removed_is_made_again(
    lab: HetznerLab, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = hetzner_server.Project._firewall
    taken: list[int] = []

    def made_and_taken(self: Any, servers: Any, made: Any) -> Any:
        wall = make(self, servers, made)
        if not taken:
            taken.append(wall.id)
            assert lab.ask("DELETE", f"/v1/firewalls/{wall.id}").status == 204
        return wall

    monkeypatch.setattr(hetzner_server.Project, "_firewall", made_and_taken)
    assert run()["created"] is True
    assert there(lab) == all_of_it(lab)


def test_a_firewall_that_others_use_outlives_a_creation_that_fails(lab: HetznerLab, run: Run) -> None:
    run(name="other")
    lab.faults(action_fails="create_server")
    assert run()["error"]["code"] == "SERVER_CREATION_FAILED"
    assert there(lab)["servers"] == ["other"] and there(lab)["firewalls"] == ["livchat-setup"]


@pytest.mark.parametrize("endpoint", ["ftp://127.0.0.1", "127.0.0.1:1", "http://"])
def test_an_endpoint_that_is_no_address(run: Run, endpoint: str) -> None:
    assert run(api_endpoint=endpoint)["error"]["code"] == "PROVIDER_ENDPOINT_INVALID"


def test_a_token_that_may_only_read(lab: HetznerLab, run: Run) -> None:
    assert run(api_token=TOKEN + "-readonly")["error"]["code"] == "PROVIDER_TOKEN_INVALID"
    assert there(lab) == NOTHING
