"""How stacks are started and put back, on an engine that exists in memory."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.livchat.setup.plugins.module_utils import _swarm_services
from ansible_collections.livchat.setup.plugins.module_utils._errors import LivchatError
from ansible_collections.livchat.setup.plugins.module_utils._stack_portainer import PortainerBackend
from ansible_collections.livchat.setup.plugins.modules.stack import Stacks

from .swarm import NAMESPACE, FakePortainer, Swarm


def wanted(
    name: str,
    services: Sequence[str],
    phases: list[list[str]] | None = None,
    *,
    backend: str = "docker",
    image: str = "example:1",
    network: bool = False,
) -> dict[str, Any]:
    """A stack as the controller hands it to the module; another image is another definition."""
    labels = {"livchat.definition": f"{image}-{backend}", "livchat.instance": name}
    one = {
        "image": image,
        "healthcheck": {"test": ["CMD", "true"], "start_period": "10s"},
        "deploy": {"labels": labels if backend == "docker" else {**labels, "livchat.backend": backend}},
    }
    compose: dict[str, Any] = {"version": "3.8", "services": dict.fromkeys(services, one)}
    compose["volumes"] = {"data": {"name": f"{name}_data"}}
    return {
        "name": name,
        "compose": {**compose, "networks": {"own": {}}} if network else compose,
        "secrets": {f"{name}_key_1": "secret"},
        "configs": {},
        "backend": backend,
        "volumes": [],
        "phases": phases or [sorted(services)],
        "definition_hash": labels["livchat.definition"],
    }


def worker(swarm: Swarm, portainer: FakePortainer | None = None, check: bool = False, **parameters: Any) -> Stacks:
    params = {"timeout": 5, "wait": True, "wait_for": [], "drop_volumes": False, **parameters}
    module = SimpleNamespace(params=params, check_mode=check, run_command=swarm.run_command, warn=swarm.removed.append)
    backend = PortainerBackend(portainer, "swarm1", sleep=lambda _seconds: None) if portainer else None
    return Stacks(module, swarm, backend)


def gone(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "compose": {}, "secrets": {}, "configs": {}, "volumes": [], "phases": [], **more}


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
    with pytest.raises(
        LivchatError, match=r"web_site: not healthy in the time there was: it is preparing.*put back"
    ) as failure:
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


def test_a_service_that_a_failed_update_dropped_comes_back() -> None:
    swarm = Swarm()
    worker(swarm).present([wanted("app", ["web", "old"])])
    before = {name: one["Spec"] for name, one in swarm.services.items()}
    swarm.failing = ["app_new"]
    with pytest.raises(LivchatError, match="put back"):
        worker(swarm).present([wanted("app", ["web", "new"], image="example:2")])
    assert {name: one["Spec"] for name, one in swarm.services.items()} == before


def test_an_update_that_swarm_rolled_back_is_a_failure_though_the_service_runs() -> None:
    swarm = Swarm()
    worker(swarm).present([wanted("app", ["web", "worker"])])
    before = {name: one["Spec"] for name, one in swarm.services.items()}
    swarm.reverting = ["app_web"]
    with pytest.raises(LivchatError, match=r"app_web: rolled back.*put back"):
        worker(swarm).present([wanted("app", ["web", "worker"], image="example:2")])
    assert {name: one["Spec"] for name, one in swarm.services.items()} == before
    # That an earlier update was rolled back says nothing of this one.
    swarm.reverting = []
    assert worker(swarm).present([wanted("app", ["web", "worker"], image="example:3")])["changed"]


def test_a_new_stack_that_fails_leaves_no_network_of_its_own() -> None:
    swarm = Swarm(failing=["app_web"])
    with pytest.raises(LivchatError, match="put back"):
        worker(swarm).present([wanted("app", ["web"], network=True)])
    assert not swarm.networks


def test_what_this_collection_did_not_deploy_is_neither_changed_nor_removed() -> None:
    swarm = Swarm()
    swarm.deploy("app", {"services": {"web": {"image": "theirs:1", "deploy": {"labels": {}}}}}, False)
    swarm.deployed.clear()
    for work in (worker(swarm).present, worker(swarm).absent):
        with pytest.raises(LivchatError, match="did not deploy") as caught:
            work([wanted("app", ["web"])])
        assert caught.value.code == "INSTANCE_CONFLICT"
    assert swarm.deployed == [] and swarm.removed == [] and swarm.secrets == {}
    assert set(swarm.services) == {"app_web"}


def test_removal_takes_services_and_secrets_and_leaves_volumes() -> None:
    swarm = Swarm()
    worker(swarm).present([wanted("app", ["web"]), wanted("other", ["web"])])
    shown = worker(swarm, check=True).absent([gone("app")])
    assert shown["changed"] and set(swarm.services) == {"app_web", "other_web"}
    assert "app_key_1" in shown["diff"][0]["before"] and shown["diff"][0]["after"] == ""
    assert worker(swarm).absent([gone("app")])["stacks"] == ["app"]
    assert set(swarm.services) == {"other_web"} and set(swarm.secrets) == {"other_key_1"}
    assert set(swarm.volumes) == {"app_data", "other_data"}
    assert not worker(swarm).absent([gone("app")])["changed"]


def test_removal_of_volumes_takes_those_of_the_stack_once_nothing_uses_them() -> None:
    swarm = Swarm()
    worker(swarm).present([wanted("app", ["web"]), wanted("other", ["web"])])
    # Restored by hand, so without Swarm's label; and one that only sounds like it.
    swarm.volumes["app_files"] = {"Name": "app_files", "Labels": None}
    swarm.volumes["app_files_2"] = {"Name": "app_files_2", "Labels": None}
    swarm.users["app_data"] = [{"Names": ["/app_web.1"], "Labels": {NAMESPACE: "app"}, "ends": True}]
    removed = worker(swarm, drop_volumes=True).absent([gone("app", volumes=["app_files", "other_data"])])
    assert removed["volumes"] == ["app_data", "app_files"]
    assert set(swarm.volumes) == {"app_files_2", "other_data"}


def test_removal_that_was_interrupted_is_finished_by_the_next_run() -> None:
    swarm = Swarm()
    worker(swarm).present([wanted("app", ["web"])])
    swarm.remove("app")
    assert worker(swarm, drop_volumes=True).absent([gone("app")])["volumes"] == ["app_data"]
    assert not swarm.secrets and not swarm.volumes


def test_a_volume_that_somebody_else_uses_is_named_at_once_with_who_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    swarm = Swarm()
    worker(swarm).present([wanted("app", ["web"])])
    swarm.remove("app")
    swarm.get("/tasks", {"label": [f"{NAMESPACE}=app"]})
    swarm.users["app_data"] = [{"Names": ["/backup"], "Labels": {}}]
    monkeypatch.setattr(_swarm_services.time, "sleep", lambda _seconds: pytest.fail("it waits"))
    with pytest.raises(LivchatError, match="app_data of app is used by backup") as caught:
        worker(swarm, drop_volumes=True).absent([gone("app")])
    assert caught.value.code == "VOLUME_IN_USE"
    assert "app_data" in swarm.volumes
