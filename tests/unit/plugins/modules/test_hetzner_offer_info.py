"""What the lab's Hetzner API offers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.livchat.setup.plugins.modules import hetzner_offer_info

from tests.lab.hetzner.loopback import TOKEN, HetznerLab

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[HetznerLab]:
    running = HetznerLab(tmp_path / "hetzner.json").start()
    yield running
    running.stop(wait=False)


@pytest.fixture
def run(lab: HetznerLab, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(**params: Any) -> dict[str, Any]:
        wanted = {"server_type": "cx23", "location": "nbg1", "api_token": TOKEN, "api_endpoint": lab.url, "patience": 0}
        with patch_module_args({**wanted, **params}), pytest.raises(SystemExit):
            hetzner_offer_info.main()
        answer: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert TOKEN not in json.dumps({key: value for key, value in answer.items() if key != "invocation"})
        return answer

    return call


def test_a_server_type_its_places_and_its_price_with_an_address(run: Run, lab: HetznerLab) -> None:
    said = run()
    assert said["changed"] is False
    pricing = lab.ask("GET", "/v1/pricing").body["pricing"]
    (sold,) = (one for one in pricing["server_types"] if one["name"] == "cx23")
    (address,) = (one for one in pricing["primary_ips"] if one["type"] == "ipv4")
    whole = sum(
        float(price["price_monthly"]["gross"])
        for one in (sold, address)
        for price in one["prices"]
        if price["location"] == "nbg1"
    )
    assert said["offer"] == {
        "server_type": "cx23",
        "location": "nbg1",
        "available": True,
        "locations": ["fsn1", "hel1", "nbg1"],
        "resources": {"cpu_cores": 2, "memory_mb": 4096, "disk_gb": 40},
        "monthly": f"{whole:.2f}",
        "currency": "EUR",
    }


def test_one_that_is_not_sold_there(run: Run) -> None:
    offer = run(location="ash")["offer"]
    assert (offer["available"], offer["locations"], offer["monthly"]) == (False, ["fsn1", "hel1", "nbg1"], "")


@pytest.mark.parametrize(
    ("params", "code", "says"),
    [
        ({"server_type": "cx99"}, "INPUT_INVALID", "cx23"),
        ({"location": "mars"}, "INPUT_INVALID", "nbg1"),
        ({"api_token": "wrong" * 10}, "PROVIDER_TOKEN_INVALID", "token"),
        ({"api_endpoint": "http://127.0.0.1:9"}, "PROVIDER_UNREACHABLE", "127.0.0.1:9"),
    ],
)
def test_what_is_wrong_is_said(run: Run, params: dict[str, Any], code: str, says: str) -> None:
    failed = run(**params)
    assert failed["error"]["code"] == code and says in failed["error"]["message"]
