"""The lab's Hetzner API on loopback, each answer of it held against Hetzner's own description."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.hetzner import description as descriptions
from tests.contract.hetzner.description import Description
from tests.lab.hetzner.access import RateLimit
from tests.lab.hetzner.loopback import WAIT_SECONDS, Answer, FakeHost, HetznerLab

KEYS = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUEwjYFFdWPpHpWRnZbVk+d6GlGt4GvOaHBHBmVb",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO7Ic2JGhX6CQMhqQb0Yt3vKz7uwHfjvvTwSCMxbRQZN",
)
RULE = {"direction": "in", "protocol": "tcp", "port": "22", "source_ips": ["0.0.0.0/0", "::/0"]}


@pytest.fixture(scope="session")
def description() -> Description:
    path = descriptions.find()
    if path is None:
        pytest.skip(f"Hetzner's description of its API is not here; name its file in {descriptions.VARIABLE}")
    return Description(path)


class Cloud:
    """A client that accepts no answer but a described one."""

    def __init__(self, lab: HetznerLab, description: Description) -> None:
        self.lab = lab
        self._description = description

    @property
    def host(self) -> FakeHost:
        return self.lab.fake

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        answer = self.lab.ask(method, f"/v1{path}", body, **options)
        self._description.check(method, path, answer.status, answer.body)
        return answer

    def get(self, path: str) -> Any:
        return self._good("GET", path)

    def post(self, path: str, body: Any = None) -> Any:
        return self._good("POST", path, body)

    def put(self, path: str, body: Any) -> Any:
        return self._good("PUT", path, body)

    def delete(self, path: str) -> Any:
        return self._good("DELETE", path)

    def _good(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.ask(method, path, body)
        assert answer.status < 300, f"{method} {path}: {answer.status} {answer.body}"
        return answer.body

    def refused(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Status and code of an answer that is an error."""
        answer = self.ask(method, path, body)
        assert answer.status >= 400, f"{method} {path}: {answer.status} {answer.body}"
        return answer.status, answer.body["error"]["code"]

    def wait(self, action: dict[str, Any]) -> dict[str, Any]:
        """The action when it has ended, whichever way."""
        end = time.monotonic() + WAIT_SECONDS
        while action["status"] == "running":
            assert time.monotonic() < end, f"{action} does not end"
            time.sleep(0.01)
            action = self.get(f"/actions/{action['id']}")["action"]
        return action

    def do(self, path: str, body: Any = None) -> dict[str, Any]:
        """Asks for an action and returns it when it has succeeded."""
        answer = self.post(path, body)
        asked = answer["actions"] if "actions" in answer else [answer["action"]]
        ended = [self.wait(action) for action in asked]
        assert all(action["status"] == "success" for action in ended), ended
        return ended[0]

    def ids(self, path: str) -> list[int]:
        return [one["id"] for one in self.get(path)[path.strip("/").partition("?")[0].split("/")[-1]]]

    def server(self, number: int) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/servers/{number}")["server"]
        return found

    # --- what most tests start from
    def make_server(self, name: str = "one", **more: Any) -> int:
        """A server, made and running unless `more` says otherwise; its id."""
        made = self.post("/servers", {"name": name, "server_type": "cx23", "image": "debian-13", **more})
        for action in (made["action"], *made["next_actions"]):
            assert self.wait(action)["status"] == "success"
        return int(made["server"]["id"])

    def make_stopped(self, name: str = "one", **more: Any) -> int:
        return self.make_server(name, start_after_create=False, **more)

    def make_key(self, name: str = "key", public_key: str = KEYS[0]) -> int:
        return int(self.post("/ssh_keys", {"name": name, "public_key": public_key})["ssh_key"]["id"])

    def make_firewall(self, name: str = "wall", **more: Any) -> int:
        return int(self.post("/firewalls", {"name": name, "rules": [RULE], **more})["firewall"]["id"])

    def make_network(self, name: str = "net") -> int:
        subnet = {"type": "cloud", "network_zone": "eu-central", "ip_range": "10.0.1.0/24"}
        body = {"name": name, "ip_range": "10.0.0.0/16", "subnets": [subnet]}
        return int(self.post("/networks", body)["network"]["id"])

    def make_address(self, name: str = "ip", kind: str = "ipv4", location: str = "fsn1") -> int:
        body = {"name": name, "type": kind, "assignee_type": "server", "location": location}
        return int(self.post("/primary_ips", body)["primary_ip"]["id"])

    def make_group(self, name: str = "group") -> int:
        return int(self.post("/placement_groups", {"name": name, "type": "spread"})["placement_group"]["id"])


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., HetznerLab]]:
    """Starts the API, with a host or a rate limit of the test's own."""
    started: list[HetznerLab] = []

    def start(**options: Any) -> HetznerLab:
        started.append(HetznerLab(tmp_path / "state.json", **options).start())
        return started[-1]

    yield start
    for lab in started:
        # Nobody asks it again, and the end of each takes longer than most tests.
        lab.stop(wait=False)


@pytest.fixture
def lab(serve: Callable[..., HetznerLab]) -> HetznerLab:
    # Clients poll more often than Hetzner allows; what the limit does has tests of its own.
    return serve(limit=RateLimit(requests=100_000))


@pytest.fixture
def cloud(lab: HetznerLab, description: Description) -> Cloud:
    return Cloud(lab, description)
