"""The Portainer under contract: a given one, else the lab's stand-in on loopback over this machine's engine."""

from __future__ import annotations

import os
import secrets
import threading
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from tests.lab.portainer.server import Portainer, make_server

PASSWORD = "contract-tests-password"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--portainer-url", help="a Portainer to run against, https://HOST or http://HOST:9000")
    parser.addoption("--portainer-address", default="", help="address to connect to instead of what HOST resolves to")
    parser.addoption("--portainer-ca-file", default="", help="PEM file of the authority that signs its certificate")
    # Not the password itself: a command line is everybody's to read. LIVCHAT_PORTAINER_PASSWORD may hold it too.
    parser.addoption("--portainer-password-file", help="file with the password of its administrator, admin")


class ByAddress(HTTPAdapter):
    """Connects to an address, and checks the certificate of the host that is meant."""

    def __init__(self, host: str) -> None:
        self._host = host
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> Any:
        names = {"server_hostname": self._host, "assert_hostname": self._host}
        return super().init_poolmanager(*arguments, **options, **names)


@dataclass
class Client:
    """A Portainer's address, the administrator's password and a session with his token."""

    url: str
    password: str
    simulated: bool
    address: str = ""
    ca_file: str = ""
    jwt: str = ""
    _transport: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        # Neither a proxy nor an authority of this machine's environment.
        self._transport.trust_env = False
        self._transport.verify = self.ca_file or True
        self._base, self._host = self.url, {}
        if self.address:
            parts = urllib.parse.urlsplit(self.url)
            port = f":{parts.port}" if parts.port else ""
            self._base = f"{parts.scheme}://{self.address}{port}"
            self._host = {"Host": parts.netloc}
            if parts.scheme == "https":
                self._transport.mount("https://", ByAddress(str(parts.hostname)))

    def call(self, method: str, path: str, session: bool = True, **options: Any) -> requests.Response:
        headers = {**self._host, **options.pop("headers", {})}
        if session:
            headers["Authorization"] = f"Bearer {self.jwt}"
        return self._transport.request(
            method, self._base + path, headers=headers, timeout=60, allow_redirects=False, **options
        )

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
        file = request.config.getoption("--portainer-password-file", default=None)
        password = Path(file).read_text().strip() if file else os.environ.get("LIVCHAT_PORTAINER_PASSWORD", "")
        client = Client(
            url.rstrip("/"),
            password,
            simulated=False,
            address=request.config.getoption("--portainer-address", default=""),
            ca_file=request.config.getoption("--portainer-ca-file", default=""),
        )
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


@pytest.fixture
def late(tmp_path: Path) -> Iterator[Client]:
    """A stand-in whose time for an administrator is over."""
    local = Local(tmp_path / "data", None, admin_timeout=0)
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
        message = "the Docker engine behind Portainer is no Swarm manager: tests/e2e/test_portainer_backend.py has one"
        pytest.skip(f"{message}, or give another with --portainer-url")
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
