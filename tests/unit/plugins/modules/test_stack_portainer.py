"""Stacks that Portainer deploys, or has deployed: records and services change together, and are put back together."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from ansible_collections.livchat.setup.plugins.module_utils import _stack_portainer
from ansible_collections.livchat.setup.plugins.module_utils._errors import LivchatError
from ansible_collections.livchat.setup.plugins.module_utils._patience import ConnectionCutError
from ansible_collections.livchat.setup.plugins.module_utils._portainer import INACTIVE

from .swarm import FakePortainer, Swarm
from .test_stack import gone, wanted, worker

CUT = ConnectionCutError("PORTAINER_UNREACHABLE", "the connection was cut")


@pytest.fixture
def swarm() -> Swarm:
    return Swarm()


@pytest.fixture
def portainer(swarm: Swarm) -> FakePortainer:
    return FakePortainer(swarm)


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_stack_portainer, "LOST_PATIENCE", 0)


def by_portainer(name: str = "app", *services: str, **more: Any) -> dict[str, Any]:
    return wanted(name, services or ("web",), backend="portainer", **more)


def record(portainer: FakePortainer, name: str = "app") -> dict[str, Any]:
    (found,) = (one for one in portainer.records.values() if one["Name"] == name)
    return found


def specs(swarm: Swarm) -> dict[str, Any]:
    return {name: one["Spec"] for name, one in swarm.services.items()}


def test_a_new_stack_is_portainers_with_a_file_that_people_can_edit(swarm: Swarm, portainer: FakePortainer) -> None:
    stack = by_portainer()
    assert worker(swarm, portainer).present([stack])["changed"]
    file = record(portainer)["file"]
    assert file.startswith("# Deployed by livchat.setup.")
    assert yaml.safe_load(file)["services"]["web"]["image"] == stack["compose"]["services"]["web"]["image"]
    assert "\n  web:\n    image: " in file
    assert set(swarm.secrets) == {"app_key_1"}
    assert not worker(swarm, portainer).present([by_portainer()])["changed"]
    assert portainer.calls.count("create") == 1 and "update" not in portainer.calls


def test_phases_are_deployed_with_a_file_that_grows(swarm: Swarm, portainer: FakePortainer) -> None:
    n8n = by_portainer("n8n", "editor", "webhook", "worker", phases=[["editor"], ["webhook", "worker"]])
    worker(swarm, portainer).present([n8n])
    assert swarm.deployed == [["editor"], ["editor", "webhook", "worker"]]
    assert (portainer.calls.count("create"), portainer.prunes) == (1, [True])
    newer = by_portainer("n8n", "editor", "worker", phases=[["editor"], ["worker"]], image="example:2")
    worker(swarm, portainer).present([newer])
    # Only the whole file takes away what it does not name.
    assert portainer.prunes == [True, False, True]
    assert set(swarm.services) == {"n8n_editor", "n8n_worker"}


def test_a_new_stack_that_fails_leaves_nothing(swarm: Swarm, portainer: FakePortainer) -> None:
    swarm.failing = ["app_web"]
    with pytest.raises(LivchatError, match=r"its task fails: exit 1. Everything was put back") as caught:
        worker(swarm, portainer).present([by_portainer()])
    assert caught.value.code == "STACK_ROLLED_BACK"
    assert (portainer.records, swarm.services, swarm.secrets) == ({}, {}, {})


def test_an_update_that_fails_puts_the_file_the_variables_and_the_services_back(
    swarm: Swarm, portainer: FakePortainer
) -> None:
    worker(swarm, portainer).present([by_portainer("app", "web", "old")])
    kept = record(portainer)
    kept["Env"] = [{"name": "SET_BY", "value": "a person"}]
    before = (dict(kept), specs(swarm))
    swarm.failing = ["app_new"]
    with pytest.raises(LivchatError, match="put back"):
        worker(swarm, portainer).present([by_portainer("app", "web", "new", image="example:2")])
    assert (record(portainer), specs(swarm)) == before


def test_variables_that_a_person_set_in_portainer_stay(swarm: Swarm, portainer: FakePortainer) -> None:
    worker(swarm, portainer).present([by_portainer()])
    record(portainer)["Env"] = [{"name": "SET_BY", "value": "a person"}]
    worker(swarm, portainer).present([by_portainer(image="example:2")])
    assert record(portainer)["Env"] == [{"name": "SET_BY", "value": "a person"}]


def test_a_stack_that_a_person_stopped_is_started_by_a_deploy_and_stopped_again_when_that_fails(
    swarm: Swarm, portainer: FakePortainer
) -> None:
    worker(swarm, portainer).present([by_portainer()])
    portainer.stop(1, record(portainer)["Id"])
    swarm.failing = ["app_web"]
    with pytest.raises(LivchatError, match="put back"):
        worker(swarm, portainer).present([by_portainer(image="example:2")])
    assert record(portainer)["Status"] == INACTIVE and "example:1" in record(portainer)["file"]
    assert not swarm.services
    swarm.failing = []
    assert worker(swarm, portainer).present([by_portainer()])["changed"]
    assert set(swarm.services) == {"app_web"}


# --- from one to the other
def test_what_docker_deployed_is_taken_over(swarm: Swarm, portainer: FakePortainer) -> None:
    worker(swarm).present([wanted("app", ["web"], network=True)])
    shown = worker(swarm, portainer, check=True).present([by_portainer(network=True)])["diff"][0]
    assert (json.loads(shown["before"])["backend"], json.loads(shown["after"])["backend"]) == ("docker", "portainer")
    assert portainer.records == {}
    assert worker(swarm, portainer).present([by_portainer(network=True)])["changed"]
    assert record(portainer)["Name"] == "app"
    assert set(swarm.services) == {"app_web"} and set(swarm.volumes) == {"app_data"}
    assert not worker(swarm, portainer).present([by_portainer(network=True)])["changed"]


def test_what_portainer_deployed_goes_back_to_docker(swarm: Swarm, portainer: FakePortainer) -> None:
    worker(swarm, portainer).present([by_portainer()])
    assert worker(swarm, portainer).present([wanted("app", ["web"])])["changed"]
    assert portainer.records == {}
    assert set(swarm.services) == {"app_web"} and set(swarm.volumes) == {"app_data"}
    # It is Docker's alone now: Portainer need not be asked.
    portainer.calls.clear()
    assert not worker(swarm, portainer).present([wanted("app", ["web"])])["changed"]
    assert portainer.calls == []


def test_docker_leaves_portainers_stack_alone_where_portainer_cannot_be_told(
    swarm: Swarm, portainer: FakePortainer
) -> None:
    worker(swarm, portainer).present([by_portainer()])
    before = specs(swarm)
    with pytest.raises(LivchatError) as caught:
        worker(swarm).present([wanted("app", ["web"])])
    assert caught.value.code == "PORTAINER_TOKEN_MISSING"
    portainer.unreachable = True
    with pytest.raises(LivchatError) as caught:
        worker(swarm, portainer).present([wanted("app", ["web"])])
    assert caught.value.code == "PORTAINER_UNREACHABLE"
    assert specs(swarm) == before


def test_docker_takes_what_portainer_has_no_record_of_any_more_without_removing_it(
    swarm: Swarm, portainer: FakePortainer
) -> None:
    worker(swarm, portainer).present([by_portainer()])
    portainer.records.clear()
    number = swarm.services["app_web"]["ID"]
    assert worker(swarm, portainer).present([wanted("app", ["web"])])["changed"]
    assert swarm.services["app_web"]["ID"] == number


def test_a_record_that_portainer_lost_is_made_again(swarm: Swarm, portainer: FakePortainer) -> None:
    worker(swarm, portainer).present([by_portainer()])
    portainer.records.clear()
    assert worker(swarm, portainer).present([by_portainer()])["changed"]
    assert record(portainer)["Name"] == "app"


def test_a_move_to_portainer_that_fails_is_undone(swarm: Swarm, portainer: FakePortainer) -> None:
    worker(swarm).present([wanted("app", ["web"], network=True)])
    before = specs(swarm)
    (network,) = swarm.networks
    swarm.failing = ["app_web"]
    with pytest.raises(LivchatError, match="Everything was put back"):
        worker(swarm, portainer).present([by_portainer(network=True, image="example:2")])
    assert portainer.records == {}
    # Its own network went with it and is another now; beyond that it is the same service.
    (again,) = swarm.networks
    assert again != network
    before["app_web"]["TaskTemplate"]["Networks"] = [{"Target": again}]
    assert specs(swarm) == before


def test_a_move_to_docker_that_fails_is_undone(swarm: Swarm, portainer: FakePortainer) -> None:
    worker(swarm, portainer).present([by_portainer()])
    before = (record(portainer)["file"], specs(swarm))
    swarm.failing = ["app_web"]
    with pytest.raises(LivchatError, match="Everything was put back"):
        worker(swarm, portainer).present([wanted("app", ["web"], image="example:2")])
    assert (record(portainer)["file"], specs(swarm)) == before


def test_a_move_that_fails_before_anything_was_removed_leaves_everything(
    swarm: Swarm, portainer: FakePortainer
) -> None:
    worker(swarm, portainer).present([by_portainer()])
    before = (record(portainer), specs(swarm))
    portainer.faults["delete"] = CUT
    with pytest.raises(LivchatError, match="Everything was put back"):
        worker(swarm, portainer).present([wanted("app", ["web"])])
    assert (record(portainer), specs(swarm)) == before


# --- what is not ours
def test_a_stack_that_a_person_made_in_portainer_is_refused(swarm: Swarm, portainer: FakePortainer) -> None:
    theirs = {"services": {"web": {"image": "theirs:1", "deploy": {"labels": {}}}}}
    portainer.create(1, "swarm1", "app", yaml.safe_dump(theirs), [])
    before = (record(portainer), specs(swarm))
    stack = by_portainer()
    for work in (worker(swarm, portainer).present, worker(swarm, portainer).absent):
        with pytest.raises(LivchatError, match="did not deploy"):
            work([stack])
    # Stopped, it has no service that would tell whose it is.
    portainer.stop(1, record(portainer)["Id"])
    for work in (worker(swarm, portainer).present, worker(swarm, portainer).absent):
        with pytest.raises(LivchatError, match="did not deploy"):
            work([stack])
    assert record(portainer)["file"] == before[0]["file"] and swarm.secrets == {}


def test_a_stack_of_an_earlier_swarm_is_told_of(swarm: Swarm, portainer: FakePortainer) -> None:
    worker(swarm, portainer).present([by_portainer()])
    record(portainer)["SwarmId"] = "an earlier one"
    with pytest.raises(LivchatError, match="none of this Swarm") as caught:
        worker(swarm, portainer).present([by_portainer(image="example:2")])
    assert caught.value.code == "INSTANCE_CONFLICT"


# --- what Portainer answers
def test_a_creation_without_an_answer_is_taken_up(swarm: Swarm, portainer: FakePortainer) -> None:
    portainer.faults["create"] = CUT
    assert worker(swarm, portainer).present([by_portainer()])["changed"]
    assert record(portainer)["Name"] == "app" and portainer.calls.count("create") == 1


def test_a_creation_that_got_lost_is_an_error_that_leaves_nothing(swarm: Swarm, portainer: FakePortainer) -> None:
    portainer.faults["create"], portainer.carried_out = CUT, False
    with pytest.raises(LivchatError, match=r"the connection was cut. Everything was put back") as caught:
        worker(swarm, portainer).present([by_portainer()])
    assert caught.value.details["cause"] == "PORTAINER_UNREACHABLE"
    assert (portainer.records, swarm.services, swarm.secrets) == ({}, {}, {})


def test_a_creation_that_comes_late_is_removed_again(
    swarm: Swarm, portainer: FakePortainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, stacks = portainer.create, portainer.stacks

    def lost(*arguments: Any) -> Any:
        # Nobody sees it before it is looked for a second time.
        looks = iter((lambda: stacks(1), lambda: (create(*arguments), stacks(1))[1]))
        monkeypatch.setattr(portainer, "stacks", lambda _environment: next(looks, lambda: stacks(1))())
        raise CUT

    monkeypatch.setattr(portainer, "create", lost)
    with pytest.raises(LivchatError, match="Everything was put back"):
        worker(swarm, portainer).present([by_portainer()])
    assert portainer.calls.count("create") == 1
    assert (portainer.records, swarm.services) == ({}, {})


def test_what_the_parser_says_is_told(swarm: Swarm, portainer: FakePortainer) -> None:
    said = {"status": 500, "said": "services.a Additional property imagee is not allowed"}
    portainer.faults["create"] = LivchatError("PORTAINER_ERROR", "refused", said)
    with pytest.raises(LivchatError, match=r"refuses the file of app: services\.a Additional property imagee"):
        worker(swarm, portainer).present([by_portainer()])


def test_a_name_that_is_taken_is_told(swarm: Swarm, portainer: FakePortainer) -> None:
    said = {"status": 409, "said": "A stack with the normalized name 'app' already exists"}
    portainer.faults["create"] = LivchatError("PORTAINER_ERROR", "refused", said)
    with pytest.raises(LivchatError, match="deployed outside of it") as caught:
        worker(swarm, portainer).present([by_portainer()])
    assert caught.value.details["cause"] == "INSTANCE_CONFLICT"


def test_a_name_that_portainer_changes_is_an_error_that_leaves_nothing(
    swarm: Swarm, portainer: FakePortainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = portainer.create
    monkeypatch.setattr(portainer, "create", lambda _e, _s, name, *rest: create(_e, _s, f"{name}x", *rest))
    with pytest.raises(LivchatError, match="Portainer calls the stack app appx"):
        worker(swarm, portainer).present([by_portainer()])
    assert (portainer.records, swarm.services) == ({}, {})


def test_a_rollback_that_fails_says_so_and_why_it_was_needed(swarm: Swarm, portainer: FakePortainer) -> None:
    worker(swarm, portainer).present([by_portainer()])
    before = specs(swarm)
    swarm.failing = ["app_web"]
    work = worker(swarm, portainer)
    looked = swarm.get

    def cut_off(path: str, **more: Any) -> Any:
        # Gone from the moment the new service is looked at.
        portainer.unreachable = portainer.unreachable or (path == "/tasks" and bool(portainer.prunes))
        return looked(path, **more)

    swarm.get = cut_off  # type: ignore[method-assign]
    with pytest.raises(
        LivchatError, match=r"its task fails: exit 1. Not everything could be put back: no answer"
    ) as caught:
        work.present([by_portainer(image="example:2")])
    assert caught.value.code == "STACK_ROLLBACK_FAILED"
    # The services at least are what they were.
    assert specs(swarm) == before


# --- removal
def test_removal_goes_through_portainer(swarm: Swarm, portainer: FakePortainer) -> None:
    worker(swarm, portainer).present([by_portainer(), wanted("other", ["web"])])
    removed = worker(swarm, portainer).absent([gone("app"), gone("other")])
    assert removed["stacks"] == ["app", "other"]
    assert (portainer.records, swarm.services, swarm.secrets) == ({}, {}, {})
    with pytest.raises(LivchatError):
        worker(swarm, portainer).present([by_portainer("app", "web")])
        portainer.unreachable = True
        worker(swarm, portainer).absent([gone("app")])
    assert set(swarm.services) == {"app_web"}


def test_a_record_without_services_is_removed_as_well(swarm: Swarm, portainer: FakePortainer) -> None:
    worker(swarm, portainer).present([by_portainer()])
    portainer.stop(1, record(portainer)["Id"])
    assert worker(swarm, portainer).absent([gone("app")])["changed"]
    assert portainer.records == {}


def test_an_unreachable_portainer_does_not_stop_the_removal_of_what_has_no_service(
    swarm: Swarm, portainer: FakePortainer
) -> None:
    worker(swarm).present([wanted("app", ["web"])])
    swarm.remove("app")
    portainer.unreachable = True
    assert worker(swarm, portainer, drop_volumes=True).absent([gone("app")])["volumes"] == ["app_data"]
    assert any("whether Portainer has a record of app is not known" in one for one in swarm.removed)
