"""What belongs to an application, from whatever still tells of it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.livchat.setup.plugins.module_utils._errors import LivchatError
from ansible_collections.livchat.setup.plugins.plugin_utils._catalog import Catalog
from ansible_collections.livchat.setup.plugins.plugin_utils._plan import Planner, Request
from ansible_collections.livchat.setup.plugins.plugin_utils._removal import RemovalPlanner, RemovalRequest

from .test_plan import Server


class Home:
    """A server with applications, and what the operator's home remembers of them."""

    def __init__(self, *apps: str) -> None:
        self.server = Server()
        self.remembered: dict[str, dict[str, Any]] = {}
        if apps:
            _plan, entries = self.server.carry_out(list(apps))
            for name, entry in entries.items():
                self.remembered[name] = {
                    "name": entry["app"],
                    "status": "running",
                    "version": entry["version"],
                    "domain": entry["urls"][0]["host"] if entry["urls"] else None,
                    "volumes": [one["name"] for one in entry["compose"].get("volumes", {}).values()],
                    "databases": entry["databases"],
                    "dependencies": entry["dependencies"],
                }
        volumes = [volume for one in self.remembered.values() for volume in one["volumes"]]
        self.server.facts["volumes"] = [*volumes, "portainer_data"]

    def removal(self, instance: str, drop: bool = False) -> dict[str, Any]:
        request = RemovalRequest("prod", "prod.example.com", instance, drop)
        path = f"servers/prod/apps/{instance}/"
        secrets = sorted(one.removeprefix(path) for one in self.server.secrets if one.startswith(path))
        return RemovalPlanner(request, self.server.facts, self.server.catalog, self.remembered, secrets).plan()

    def uninstall(self, instance: str, drop: bool = False) -> dict[str, Any]:
        removal = self.removal(instance, drop)
        self.stop(instance)
        if drop:
            self.remembered.pop(instance, None)
            self.server.facts["volumes"] = [
                one for one in self.server.facts["volumes"] if one not in removal["volumes"]
            ]
        else:
            self.remembered[instance] = {**self.remembered.get(instance, {}), **removal["record"]}
        return removal

    def stop(self, instance: str) -> None:
        self.server.facts["services"] = [one for one in self.server.facts["services"] if one["stack"] != instance]

    def plan(self, *apps: str) -> dict[str, Any]:
        request = Request("prod", "prod.example.com", "203.0.113.7", list(apps), {}, "d2")
        server = self.server
        plan = Planner(request, server.facts, server.catalog, server.secrets.get, self.remembered).plan()
        return {entry["instance"]: entry for level in plan["levels"] for entry in level}


def numbers(removal: dict[str, Any]) -> list[str]:
    return [one["database"] for one in removal["databases"] if one["engine"] == "redis"]


def test_what_goes_and_what_stays() -> None:
    home = Home("n8n")
    kept = home.removal("n8n")
    assert kept["items"]["remove"] == [
        "stack n8n, its services and their secrets",
        "DNS record n8n-webhook.prod.example.com, if it was made here",
        "DNS record n8n.prod.example.com, if it was made here",
    ]
    assert kept["items"]["keep"] == [
        "database n8n of n8n in postgres",
        "database 0 of n8n in redis",
        "secret encryption_key in the vault",
        "secret owner_password in the vault",
        "secret postgres_password in the vault",
        "secret redis_password in the vault",
    ]
    assert (kept["databases"], kept["secrets"]) == ([], "")
    dropped = home.removal("n8n", drop=True)
    assert dropped["items"] == {"remove": kept["items"]["remove"] + kept["items"]["keep"], "keep": []}
    assert [one["engine"] for one in dropped["databases"]] == ["postgres", "redis"]
    assert dropped["secrets"] == "servers/prod/apps/n8n"
    assert dropped["changed"]


def test_volumes_of_an_instance() -> None:
    removal = Home("redis:spare").removal("redis-spare", drop=True)
    assert (removal["app"], removal["volumes"]) == ("redis", ["redis-spare_data"])
    assert "volume redis-spare_data" in removal["items"]["remove"]


def test_what_an_interrupted_run_left_is_known_from_the_state() -> None:
    home = Home("n8n", "n8n:cliente1")
    home.stop("n8n-cliente1")
    removal = home.removal("n8n-cliente1", drop=True)
    assert removal["app"] == "n8n"
    assert removal["hosts"] == ["n8n-cliente1-webhook.prod.example.com", "n8n-cliente1.prod.example.com"]
    assert [(one["engine"], one["database"]) for one in removal["databases"]] == [
        ("postgres", "n8n_cliente1"),
        ("redis", "1"),
    ]
    # Where the definition is gone too, what was made is remembered.
    home.server.catalog = Catalog()
    home.server.catalog._files.pop("n8n")
    again = home.removal("n8n-cliente1", drop=True)
    assert [one["database"] for one in again["databases"]] == ["n8n_cliente1", "1"]


def test_no_logical_database_is_emptied_whose_number_is_a_guess() -> None:
    home = Home("n8n")
    home.stop("n8n")
    home.remembered.pop("n8n")
    removal = home.removal("n8n", drop=True)
    assert [one["engine"] for one in removal["databases"]] == ["postgres"]


def test_the_number_stays_with_what_was_uninstalled_and_kept_its_data() -> None:
    home = Home("n8n", "n8n:cliente1")
    home.uninstall("n8n")
    assert home.remembered["n8n"]["status"] == "uninstalled"
    # Another one must not get the keys that wait there.
    entries = home.plan("n8n:other")
    assert [one["database"] for one in entries["n8n-other"]["databases"]] == ["n8n_other", "2"]
    assert [one["database"] for one in home.plan("n8n")["n8n"]["databases"]] == ["n8n", "0"]
    assert numbers(home.removal("n8n", drop=True)) == ["0"]
    home.uninstall("n8n", drop=True)
    assert [one["database"] for one in home.plan("n8n:other")["n8n-other"]["databases"]] == ["n8n_other", "0"]


def test_an_entry_carries_what_was_kept_so_that_a_failed_deploy_can_remember_it_again() -> None:
    home = Home("n8n")
    assert home.plan("n8n")["n8n"]["kept"] == {}
    home.uninstall("n8n")
    assert home.plan("n8n")["n8n"]["kept"]["status"] == "uninstalled"


def test_a_second_time_there_is_nothing_left() -> None:
    home = Home("redis:spare")
    assert home.uninstall("redis-spare")["changed"]
    assert not home.removal("redis-spare")["changed"]
    assert home.removal("redis-spare", drop=True)["changed"]


def test_what_nobody_knows_is_nothing() -> None:
    home = Home("n8n")
    removal = home.removal("wordpress", drop=True)
    assert (removal["found"], removal["changed"], removal["hosts"], removal["databases"]) == (False, False, [], [])
    assert removal["items"] == {"remove": [], "keep": []}


def test_a_host_name_that_another_has_by_now_is_left_alone() -> None:
    home = Home("n8n")
    home.uninstall("n8n")
    label = {"traefik.http.routers.x.rule": "Host(`n8n.prod.example.com`)", "livchat.instance": "other"}
    home.server.facts["services"].append({"name": "other_x", "stack": "other", "running": 1, "labels": label})
    assert home.removal("n8n")["hosts"] == ["n8n-webhook.prod.example.com"]


@pytest.mark.parametrize(
    ("instance", "drop", "code", "said"),
    [
        ("postgres", False, "APP_IN_USE", "postgres is needed by n8n"),
        ("traefik", False, "APP_REQUIRED", "part of every server"),
        ("portainer", True, "APP_REQUIRED", "part of every server"),
        ("No Name", False, "REQUEST_INVALID", "is no name"),
        ("theirs", True, "INSTANCE_CONFLICT", "did not deploy"),
    ],
)
def test_refusals(instance: str, drop: bool, code: str, said: str) -> None:
    home = Home("n8n")
    home.server.facts["services"].append({"name": "theirs_a", "stack": "theirs", "running": 1, "labels": {}})
    with pytest.raises(LivchatError, match=said) as caught:
        home.removal(instance, drop)
    assert caught.value.code == code


def test_a_database_service_is_not_dropped_while_it_holds_data_that_was_kept() -> None:
    home = Home("n8n")
    home.uninstall("n8n")
    home.removal("postgres")
    with pytest.raises(LivchatError, match="holds data of n8n") as caught:
        home.removal("postgres", drop=True)
    assert caught.value.code == "APP_IN_USE"


def test_a_database_in_a_service_that_does_not_run_is_dropped_later_or_gone_with_it() -> None:
    home = Home("n8n")
    home.uninstall("n8n")
    home.uninstall("postgres")
    with pytest.raises(LivchatError, match="install it first") as caught:
        home.removal("n8n", drop=True)
    assert caught.value.code == "DATABASE_UNREACHABLE"
    home.server.facts["volumes"].remove("postgres_data")
    assert [one["engine"] for one in home.removal("n8n", drop=True)["databases"]] == ["redis"]
