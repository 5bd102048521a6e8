"""Environments, and the engine's own API behind them."""

from __future__ import annotations

import secrets

from tests.contract.portainer.conftest import Client


def test_environments(portainer: Client, endpoint: str) -> None:
    short = portainer.call("GET", "/api/endpoints?excludeSnapshots=true").json()
    assert [entry for entry in short if entry["Id"] == 1 and entry["Name"] == "primary" and entry["Type"] in (1, 2)]
    assert set(short[0]) >= {"Id", "Name", "Type", "URL", "Status"}
    whole = portainer.call("GET", "/api/endpoints").json()
    assert len(str(whole)) > len(str(short))
    assert portainer.call("GET", endpoint).json()["Id"] == 1


def test_an_unknown_environment(portainer: Client) -> None:
    for path in ("/api/endpoints/99", "/api/endpoints/99/docker/info"):
        assert portainer.call("GET", path).status_code == 404


def test_the_engine_needs_a_token(portainer: Client, endpoint: str) -> None:
    assert portainer.call("GET", f"{endpoint}/docker/info", session=False).status_code == 401


def test_the_engine_answers(portainer: Client, endpoint: str) -> None:
    assert portainer.call("GET", f"{endpoint}/docker/info").json()["ServerVersion"]
    version = portainer.call("GET", f"{endpoint}/docker/version").json()["ApiVersion"]
    assert portainer.call("GET", f"{endpoint}/docker/v{version}/info").status_code == 200
    missing = portainer.call("GET", f"{endpoint}/docker/containers/{'0' * 64}/json")
    assert missing.status_code == 404
    assert "No such container" in missing.json()["message"]


def test_objects_and_conflicts(portainer: Client, endpoint: str) -> None:
    name = f"contract-{secrets.token_hex(4)}"
    body = {"Name": name, "Labels": {"livchat.contract": "1"}}
    made = portainer.call("POST", f"{endpoint}/docker/volumes/create", json=body)
    assert made.status_code == 201
    try:
        assert made.json()["Name"] == name
        assert made.json()["Portainer"]["ResourceControl"]
        network = portainer.call(
            "POST", f"{endpoint}/docker/networks/create", json={"Name": name, "CheckDuplicate": True}
        )
        assert network.status_code == 201
        again = portainer.call(
            "POST", f"{endpoint}/docker/networks/create", json={"Name": name, "CheckDuplicate": True}
        )
        assert again.status_code == 409
        assert name in again.json()["message"]
    finally:
        assert portainer.call("DELETE", f"{endpoint}/docker/networks/{name}").status_code == 204
        assert portainer.call("DELETE", f"{endpoint}/docker/volumes/{name}").status_code == 204


def test_filters_and_streams_pass(portainer: Client, endpoint: str) -> None:
    filters = '{"label":["livchat.contract=none"]}'
    listed = portainer.call("GET", f"{endpoint}/docker/containers/json", params={"filters": filters, "all": "1"})
    assert listed.json() == []
    events = portainer.call("GET", f"{endpoint}/docker/events", params={"since": "1", "until": "2"})
    assert (events.status_code, events.text) == (200, "")


def test_a_secret_that_exists(portainer: Client, endpoint: str, swarm_id: str) -> None:
    name = f"contract-{secrets.token_hex(4)}"
    made = portainer.call("POST", f"{endpoint}/docker/secrets/create", json={"Name": name, "Data": "eA=="})
    assert made.status_code == 201
    try:
        assert made.json()["Portainer"]["ResourceControl"]
        again = portainer.call("POST", f"{endpoint}/docker/secrets/create", json={"Name": name, "Data": "eA=="})
        assert again.status_code == 409
        assert again.json()["message"].endswith(f"secret {name} already exists")
    finally:
        assert portainer.call("DELETE", f"{endpoint}/docker/secrets/{made.json()['ID']}").status_code == 204
