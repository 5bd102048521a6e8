"""How stacks are started and put back, on an engine that exists in memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.livchat.setup.plugins.module_utils._errors import LivchatError
from ansible_collections.livchat.setup.plugins.modules import stack as module_under_test
from ansible_collections.livchat.setup.plugins.modules.stack import Stacks


class Swarm:
    """Keeps services as the engine describes them. A service is healthy once it was looked at, or fails for ever."""

    def __init__(self, api: str = "1.45", failing: Sequence[str] = (), end: str = "failed") -> None:
        self.api = api
        self.failing = failing
        # The state in which tasks of those that fail end.
        self.end = end
        self.services: dict[str, dict[str, Any]] = {}
        self.deployed: list[list[str]] = []
        self.files: list[dict[str, Any]] = []
        self.looked_at: list[set[str]] = []
        self.removed: list[str] = []
        self.secrets: dict[str, str] = {}

    # --- the engine's API
    def get(self, path: str, filters: dict[str, list[str]] | None = None, **_query: Any) -> Any:
        if path == "/version":
            return {"ApiVersion": self.api}
        if path == "/services":
            self.looked_at.append(set(self.services))
            return list(self.services.values())
        if path.startswith("/containers/"):
            # Only one that is not healthy has a streak.
            log = [{"Output": "cannot connect\n"}]
            return {"State": {"Health": {"FailingStreak": int(self.end == "complete"), "Log": log}}}
        if path == "/tasks":
            stack = (filters or {})["label"][0].partition("=")[2]
            return [self._task(name) for name in self.services if name.startswith(f"{stack}_")]
        return [{"ID": name, "Spec": {"Name": name}} for name in self.secrets]

    def call(self, method: str, path: str, query: Any = None, body: Any = None) -> Any:
        if path == "/secrets/create":
            self.secrets[body["Name"]] = body["Data"]
            return {"ID": body["Name"]}
        kind, _, what = path.strip("/").partition("/")
        if method == "DELETE":
            self.removed.append(what)
            (self.services if kind == "services" else self.secrets).pop(what, None)
        return None

    # --- the docker command
    def run_command(self, command: list[str], data: str | None = None) -> tuple[int, str, str]:
        if command[:3] != ["docker", "stack", "deploy"]:
            return 0, "", ""
        compose = json.loads(data or "")
        self.files.append(compose)
        self.deployed.append(sorted(compose["services"]))
        for name, service in compose["services"].items():
            self.services[f"{command[-1]}_{name}"] = self._service(command[-1], name, service)
        return 0, "", ""

    def _service(self, stack: str, name: str, service: dict[str, Any]) -> dict[str, Any]:
        whole = f"{stack}_{name}"
        labels = {"com.docker.stack.namespace": stack, **service["deploy"]["labels"]}
        task = {"ContainerSpec": {"Image": service["image"]}}
        return {
            "ID": whole,
            "Spec": {"Name": whole, "Labels": labels, "TaskTemplate": task, "Mode": {"Replicated": {"Replicas": 1}}},
            "ServiceStatus": {"RunningTasks": 1, "DesiredTasks": 1},
            "CreatedAt": "2026-01-01",
            "UpdatedAt": "2026-01-01",
        }

    def _task(self, name: str) -> dict[str, Any]:
        failing = name in self.failing
        return {
            "ID": name,
            "ServiceID": name,
            "CreatedAt": "2026-01-02",
            "DesiredState": "shutdown" if failing else "running",
            "Status": {
                "State": self.end if failing else "running",
                "Err": "exit 1" if self.end == "failed" else "",
                "ContainerStatus": {"ContainerID": name},
            },
            "Spec": self.services[name]["Spec"]["TaskTemplate"],
        }


def wanted(name: str, services: Sequence[str], phases: list[list[str]] | None = None) -> dict[str, Any]:
    one = {
        "image": "example:1",
        "healthcheck": {"test": ["CMD", "true"], "start_period": "10s"},
        "deploy": {"labels": {"livchat.definition": "new"}},
    }
    return {
        "name": name,
        "compose": {"version": "3.8", "services": dict.fromkeys(services, one)},
        "secrets": {f"{name}_key_1": "secret"},
        "configs": {},
        "phases": phases or [sorted(services)],
        "definition_hash": "new",
    }


def worker(swarm: Swarm, **parameters: Any) -> Stacks:
    params = {"timeout": 5, "wait": True, "wait_for": [], **parameters}
    return Stacks(SimpleNamespace(params=params, check_mode=False, run_command=swarm.run_command), swarm)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module_under_test, "PATIENCE", 1)
    monkeypatch.setattr(module_under_test.time, "sleep", lambda _seconds: None)


def test_a_later_phase_starts_when_the_one_before_is_healthy() -> None:
    swarm = Swarm()
    app = wanted("n8n", ["editor", "webhook", "worker"], [["editor"], ["webhook", "worker"]])
    other = wanted("other", ["web"])
    assert worker(swarm).present([app, other])["stacks"] == ["n8n", "other"]
    assert swarm.deployed == [["editor"], ["web"], ["editor", "webhook", "worker"]]
    # Between the two deploys of n8n, its first phase was waited for.
    assert {"n8n_editor", "other_web"} in swarm.looked_at


def test_a_phase_that_fails_keeps_the_next_from_starting_and_all_is_put_back() -> None:
    swarm = Swarm(failing=["n8n_editor"])
    app = wanted("n8n", ["editor", "worker"], [["editor"], ["worker"]])
    with pytest.raises(LivchatError, match=r"n8n_editor: its task fails: exit 1.*put back"):
        worker(swarm).present([app])
    assert swarm.deployed == [["editor"]]
    assert swarm.services == {}
    assert swarm.secrets == {}


def test_a_container_that_is_never_healthy_is_no_success_when_it_ends_in_good_order() -> None:
    swarm = Swarm(failing=["web_site"], end="complete")
    with pytest.raises(LivchatError, match=r"web_site: its task fails: .*healthcheck fails: cannot connect.*put back"):
        worker(swarm).present([wanted("web", ["site"])])
    assert swarm.services == {}


def test_a_service_that_does_not_come_up_in_time_says_what_it_does_instead() -> None:
    swarm = Swarm(failing=["web_site"], end="preparing")
    with pytest.raises(LivchatError, match=r"web_site: not healthy after 0 s: it is preparing.*put back") as failure:
        worker(swarm, timeout=0).present([wanted("web", ["site"])])
    assert failure.value.details["service"] == "web_site"


def test_what_was_started_without_waiting_is_waited_for_later() -> None:
    swarm = Swarm(failing=["traefik_traefik"])
    assert worker(swarm, wait=False).present([wanted("traefik", ["traefik"])])["changed"]
    with pytest.raises(LivchatError, match="traefik_traefik: its task fails"):
        worker(swarm, wait_for=["traefik"]).present([wanted("portainer", ["portainer"])])
    assert set(swarm.services) == {"traefik_traefik"}


def test_what_was_started_without_waiting_is_waited_for_where_nothing_else_changes() -> None:
    swarm = Swarm()
    worker(swarm).present([wanted("portainer", ["portainer"])])
    swarm.failing = ["traefik_traefik"]
    worker(swarm, wait=False).present([wanted("traefik", ["traefik"])])
    with pytest.raises(LivchatError, match="traefik_traefik: its task fails"):
        worker(swarm, wait_for=["traefik"]).present([wanted("portainer", ["portainer"])])


@pytest.mark.parametrize(("api", "interval"), [("1.43", None), ("1.44", "2s"), ("1.51", "2s")])
def test_the_interval_while_starting_is_given_to_engines_that_know_it(api: str, interval: str | None) -> None:
    swarm = Swarm(api)
    worker(swarm).present([wanted("app", ["web"])])
    (file,) = swarm.files
    assert file["services"]["web"]["healthcheck"].get("start_interval") == interval
    assert file["version"] == ("3.12" if interval else "3.8")


def test_what_is_as_wanted_is_left_alone() -> None:
    swarm = Swarm()
    worker(swarm).present([wanted("app", ["web"])])
    again = worker(swarm).present([wanted("app", ["web"])])
    assert not again["changed"]
    assert len(swarm.deployed) == 1
