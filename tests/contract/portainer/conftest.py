"""The Portainer under contract: a given one, else the lab's stand-in on loopback over this machine's engine."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.lab.portainer.server import Portainer, make_server

PASSWORD = "contract-tests-password"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--portainer-url", help="a Portainer to run against, http://host:9000")
    parser.addoption("--portainer-password", help="the password of its administrator, admin")


@dataclass
class Client:
    """A Portainer's address, the administrator's password and a session with his token."""

    url: str
    password: str
    simulated: bool
    jwt: str = ""

    def call(self, method: str, path: str, session: bool = True, **options: Any) -> requests.Response:
        headers = dict(options.pop("headers", {}))
        if session:
            headers["Authorization"] = f"Bearer {self.jwt}"
        return requests.request(method, self.url + path, headers=headers, timeout=60, allow_redirects=False, **options)

    def login(self, password: str | None = None) -> requests.Response:
        body = {"Username": "admin", "Password": password or self.password}
        return self.call("POST", "/api/auth", session=False, json=body)


class Local:
    """The stand-in in this process."""

    def __init__(self, folder: Path, socket_path: str | None, admin_timeout: float = 300) -> None:
        self.portainer = Portainer(folder, socket_path, admin_timeout)
        self._server = make_server(self.portainer, "127.0.0.1", 0)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def client(self) -> Client:
        return Client(f"http://127.0.0.1:{self._server.server_address[1]}", PASSWORD, simulated=True)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def engine_socket() -> str | None:
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    path = host.removeprefix("unix://")
    return path if host.startswith("unix://") and Path(path).is_socket() else None


@pytest.fixture(scope="session")
def portainer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    url = request.config.getoption("--portainer-url", default=None) or os.environ.get("LIVCHAT_PORTAINER_URL")
    if url:
        password = request.config.getoption("--portainer-password", default=None)
        client = Client(url.rstrip("/"), password or os.environ.get("LIVCHAT_PORTAINER_PASSWORD", ""), simulated=False)
        client.jwt = _jwt(client)
        yield client
        return
    local = Local(tmp_path_factory.mktemp("portainer"), engine_socket())
    local.portainer.users.create_admin("admin", PASSWORD)
    client = local.client()
    client.jwt = _jwt(client)
    yield client
    local.stop()


def _jwt(client: Client) -> str:
    answer = client.login()
    assert answer.status_code == 200, answer.text
    return str(answer.json()["jwt"])


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Client]:
    """A stand-in at its first start, for what nobody does to a Portainer in use."""
    local = Local(tmp_path / "data", None)
    yield local.client()
    local.stop()


@pytest.fixture(scope="session")
def endpoint(portainer: Client) -> str:
    found = portainer.call("GET", "/api/endpoints?excludeSnapshots=true").json()
    up = [entry for entry in found if entry["Status"] == 1]
    if not up:
        pytest.skip("no Docker engine is at hand behind Portainer")
    return f"/api/endpoints/{up[0]['Id']}"


@pytest.fixture(scope="session")
def swarm_id(portainer: Client, endpoint: str) -> str:
    answer = portainer.call("GET", f"{endpoint}/docker/swarm")
    if answer.status_code != 200:
        pytest.skip("the Docker engine behind Portainer is no Swarm manager; give one with --portainer-url")
    return str(answer.json()["ID"])


@pytest.fixture
def stack_name(portainer: Client, endpoint: str, swarm_id: str) -> Iterator[str]:
    """A name that is free, and free again afterwards."""
    name = f"contract{secrets.token_hex(4)}"
    yield name
    for stack in portainer.call("GET", "/api/stacks").json():
        if stack["Name"].startswith(name):
            portainer.call("DELETE", f"/api/stacks/{stack['Id']}?endpointId={endpoint.rpartition('/')[2]}")
    time.sleep(0.2)
