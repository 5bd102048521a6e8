"""Stacks. These need a Swarm manager behind Portainer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.contract.portainer.conftest import Client

# No task ever runs: the answers are about the stack, not about an image.
FILE = """
services:
  a:
    image: contract.invalid/none:1
    environment: {VALUE: "${VALUE:-unset}"}
    volumes: [data:/data]
    deploy: {replicas: 0}
volumes:
  data: {}
"""

Create = Callable[..., requests.Response]


@pytest.fixture
def create(portainer: Client, swarm_id: str, stack_name: str) -> Create:
    def call(name: str = stack_name, content: str = FILE, **more: Any) -> requests.Response:
        body = {"name": name, "swarmID": swarm_id, "stackFileContent": content, **more}
        return portainer.call("POST", "/api/stacks/create/swarm/string?endpointId=1", json=body)

    return call


def service(portainer: Client, name: str) -> dict[str, Any]:
    answer = portainer.call("GET", f"/api/endpoints/1/docker/services/{name}_a")
    found: dict[str, Any] = answer.json()
    return found if answer.status_code == 200 else {}


def value(portainer: Client, name: str) -> str:
    return str(service(portainer, name)["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"])


def test_create_answers_at_once(portainer: Client, create: Create, swarm_id: str, stack_name: str) -> None:
    made = create(env=[{"name": "VALUE", "value": "first"}])
    assert made.status_code == 200, made.text  # not 201
    stack = made.json()
    assert stack["Name"] == stack_name
    assert (stack["Type"], stack["EndpointId"], stack["SwarmId"], stack["Status"]) == (1, 1, swarm_id, 1)
    assert stack["Env"] == [{"name": "VALUE", "value": "first"}]
    assert stack["ResourceControl"]
    assert set(stack) >= {"Id", "EntryPoint", "ProjectPath", "CreationDate", "CreatedBy", "UpdateDate"}
    assert "VALUE=first" in value(portainer, stack_name)
    assert portainer.call("GET", f"/api/stacks/{stack['Id']}").json()["Name"] == stack_name
    assert portainer.call("GET", f"/api/stacks/{stack['Id']}/file").json() == {"StackFileContent": FILE}
    for swarm, there in ((swarm_id, True), ("other", False)):
        listed = portainer.call("GET", "/api/stacks", params={"filters": json.dumps({"SwarmID": swarm})}).json()
        assert (stack_name in [entry["Name"] for entry in listed]) == there


def test_names_are_normalised_without_a_word(create: Create, stack_name: str) -> None:
    made = create(name=f"{stack_name.capitalize()} Bad!")
    assert (made.status_code, made.json()["Name"]) == (200, f"{stack_name}bad")


def test_a_name_that_is_taken(create: Create, stack_name: str) -> None:
    assert create().status_code == 200
    again = create()
    assert again.status_code == 409
    assert again.json()["message"] == f"A stack with the normalized name '{stack_name}' already exists"


def test_a_stack_from_outside(portainer: Client, create: Create, stack_name: str) -> None:
    labels = {"com.docker.stack.namespace": stack_name}
    body = {
        "Name": f"{stack_name}_a",
        "Labels": labels,
        "TaskTemplate": {"ContainerSpec": {"Image": "contract.invalid/none:1", "Labels": labels}},
        "Mode": {"Replicated": {"Replicas": 0}},
    }
    assert portainer.call("POST", "/api/endpoints/1/docker/services/create", json=body).status_code == 201
    assert create().status_code == 409
    assert stack_name not in [stack["Name"] for stack in portainer.call("GET", "/api/stacks").json()]
    removed = portainer.call("DELETE", f"/api/stacks/{stack_name}?external=true&endpointId=1")
    assert removed.status_code == 204
    assert not service(portainer, stack_name)


@pytest.mark.parametrize(
    ("change", "details"), [({"name": ""}, "Invalid stack name"), ({"swarmID": ""}, "Invalid Swarm ID")]
)
def test_what_is_missing(create: Create, change: dict[str, Any], details: str) -> None:
    answer = create(**change)
    assert answer.status_code == 400
    assert answer.json() == {"message": "Invalid request payload", "details": details}


def test_an_unknown_environment(portainer: Client, swarm_id: str, stack_name: str) -> None:
    body = {"name": stack_name, "swarmID": swarm_id, "stackFileContent": FILE}
    answer = portainer.call("POST", "/api/stacks/create/swarm/string?endpointId=99", json=body)
    assert answer.status_code == 404


@pytest.mark.parametrize("content", [FILE.replace("image:", "imagee:"), "services: ["])
def test_a_bad_file_leaves_nothing(portainer: Client, create: Create, stack_name: str, content: str) -> None:
    answer = create(content=content)
    assert answer.status_code == 500
    if "imagee" in content:
        assert "services.a Additional property imagee is not allowed" in answer.json()["message"]
    assert stack_name not in [stack["Name"] for stack in portainer.call("GET", "/api/stacks").json()]
    assert create().status_code == 200


def test_update(portainer: Client, create: Create, stack_name: str) -> None:
    stack = create(env=[{"name": "VALUE", "value": "first"}]).json()
    path = f"/api/stacks/{stack['Id']}"
    no_endpoint = portainer.call("PUT", path, json={"stackFileContent": FILE})
    assert (no_endpoint.status_code, no_endpoint.json()["message"]) == (400, "Invalid query parameter: endpointId")
    changed = FILE.replace("replicas: 0", "replicas: 0, labels: {round: two}")
    env = [{"name": "VALUE", "value": "second"}]
    body = {"stackFileContent": changed, "env": env, "prune": True, "pullImage": False}
    updated = portainer.call("PUT", f"{path}?endpointId=1", json=body)
    assert updated.status_code == 200, updated.text
    assert updated.json()["ResourceControl"] is None
    assert "VALUE=second" in value(portainer, stack_name)
    assert service(portainer, stack_name)["Spec"]["Labels"]["round"] == "two"
    # Variables that an update leaves out are gone.
    portainer.call("PUT", f"{path}?endpointId=1", json={"stackFileContent": changed})
    assert "VALUE=unset" in value(portainer, stack_name)
    bad = portainer.call("PUT", f"{path}?endpointId=1", json={"stackFileContent": "services: ["})
    assert bad.status_code == 500
    assert portainer.call("GET", f"{path}/file").json() == {"StackFileContent": changed}


def test_stop_start_delete(portainer: Client, create: Create, stack_name: str) -> None:
    path = f"/api/stacks/{create().json()['Id']}"
    stopped = portainer.call("POST", f"{path}/stop?endpointId=1")
    assert (stopped.status_code, stopped.json()["Status"]) == (200, 2)
    assert not service(portainer, stack_name)
    again = portainer.call("POST", f"{path}/stop?endpointId=1")
    assert (again.status_code, again.json()["message"]) == (400, "Stack is already inactive")
    time.sleep(1)  # the engine removes networks after it has answered
    started = portainer.call("POST", f"{path}/start?endpointId=1")
    assert (started.status_code, started.json()["Status"]) == (200, 1)
    assert service(portainer, stack_name)
    assert portainer.call("DELETE", f"{path}?endpointId=1").status_code == 204
    assert not service(portainer, stack_name)
    gone = portainer.call("GET", path)
    message = "Unable to find a stack with the specified identifier inside the database"
    assert (gone.status_code, gone.json()["message"]) == (404, message)
