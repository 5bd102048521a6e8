"""The collection's own client: Portainer takes what it sends, and it understands what Portainer answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.livchat.setup.plugins.module_utils._errors import LivchatError
from ansible_collections.livchat.setup.plugins.module_utils._portainer import ACTIVE, INACTIVE, PortainerClient

from tests.contract.portainer.conftest import Client
from tests.contract.portainer.test_stacks import FILE, service, value

VARIABLES = [{"name": "VALUE", "value": "ours"}]


def made(portainer: Client, token: str) -> PortainerClient:
    authority = Path(portainer.ca_file).read_text() if portainer.ca_file else ""
    return PortainerClient(portainer.url, token, address=portainer.address, authority=authority)


@pytest.fixture
def client(portainer: Client) -> Iterator[PortainerClient]:
    """A client with a token of its own."""
    owner = portainer.call("GET", "/api/users/me").json()["Id"]
    body = {"password": portainer.password, "description": "contract, the client"}
    key = portainer.call("POST", f"/api/users/{owner}/tokens", json=body).json()
    yield made(portainer, key["rawAPIKey"])
    portainer.call("DELETE", f"/api/users/{owner}/tokens/{key['apiKey']['id']}")


@pytest.fixture
def environment(client: PortainerClient, swarm_id: str) -> int:
    return client.environment(swarm_id)


def test_the_environment_of_a_swarm(client: PortainerClient, environment: int, endpoint: str) -> None:
    assert endpoint.endswith(f"/{environment}")
    with pytest.raises(LivchatError) as caught:
        client.environment("another Swarm")
    assert caught.value.code == "PORTAINER_ENVIRONMENT_NOT_FOUND"


def test_a_token_that_is_refused(portainer: Client) -> None:
    with pytest.raises(LivchatError) as caught:
        made(portainer, "ptr_wrong").stacks(1)
    assert caught.value.code == "PORTAINER_TOKEN_INVALID"


def test_a_stacks_life(
    portainer: Client, client: PortainerClient, environment: int, swarm_id: str, stack_name: str
) -> None:
    stack = client.create(environment, swarm_id, stack_name, FILE, VARIABLES)
    client.settled(stack)
    assert stack["Name"] == stack_name
    assert "VALUE=ours" in value(portainer, stack_name)
    (listed,) = (one for one in client.stacks(environment) if one["Name"] == stack_name)
    assert (listed["Id"], listed["Type"], listed["SwarmId"], listed["Env"]) == (stack["Id"], 1, swarm_id, VARIABLES)
    assert client.file(stack["Id"]) == FILE
    changed = FILE.replace("  a:", "  b:")
    client.settled(client.update(environment, stack["Id"], changed, [], False))
    assert service(portainer, stack_name)  # what the file does not name stays, until it is pruned
    client.settled(client.update(environment, stack["Id"], changed, [], True))
    assert not service(portainer, stack_name)
    client.stop(environment, stack["Id"])
    # A stopped stack can be updated, which starts it.
    (stopped,) = (one for one in client.stacks(environment) if one["Name"] == stack_name)
    assert stopped["Status"] == INACTIVE
    client.settled(client.update(environment, stack["Id"], FILE, [], True))
    (started,) = (one for one in client.stacks(environment) if one["Name"] == stack_name)
    assert started["Status"] == ACTIVE
    client.delete(environment, stack["Id"])
    client.delete(environment, stack["Id"])
    assert stack_name not in [one["Name"] for one in client.stacks(environment)]
    assert not service(portainer, stack_name)


def test_a_name_that_is_taken_and_a_file_that_is_none(
    client: PortainerClient, environment: int, swarm_id: str, stack_name: str
) -> None:
    with pytest.raises(LivchatError) as caught:
        client.create(environment, swarm_id, stack_name, FILE.replace("image:", "imagee:"), [])
    assert caught.value.details["status"] == 500
    assert "Additional property imagee is not allowed" in caught.value.details["said"]
    client.create(environment, swarm_id, stack_name, FILE, [])
    with pytest.raises(LivchatError) as caught:
        client.create(environment, swarm_id, stack_name, FILE, [])
    assert caught.value.details["status"] == 409


def test_who_came_too_late_to_be_administrator_is_told_what_to_do(late: Client) -> None:
    with pytest.raises(LivchatError) as caught:
        made(late, "ptr_any").stacks(1)
    assert caught.value.code == "PORTAINER_LOCKED"
