"""Plans and the stack files in them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.livchat.setup.plugins.module_utils._errors import LivchatError
from ansible_collections.livchat.setup.plugins.plugin_utils import _render
from ansible_collections.livchat.setup.plugins.plugin_utils._catalog import Catalog
from ansible_collections.livchat.setup.plugins.plugin_utils._plan import Planner, Request

from .test_catalog import MINIMAL


class Server:
    """A server's facts, which change as plans are carried out, and the secrets in its operator's vault."""

    def __init__(self, catalog: Catalog | None = None) -> None:
        self.catalog = catalog or Catalog()
        self.secrets: dict[str, str] = {}
        self.unfinished: set[str] = set()
        self.facts: dict[str, Any] = {
            "docker": {"swarm": {"active": True}},
            "server": {"memory_free_mb": 16000, "swap_mb": 0, "disk_free_gb": 100},
            "services": [],
            "secrets": [],
        }

    def plan(
        self,
        apps: Any,
        deployment: str = "d1",
        domain: str = "prod.example.com",
        backend: str = "docker",
        **variables: Any,
    ) -> Any:
        request = Request("prod", domain, "203.0.113.7", apps, variables, deployment, backend)
        plan = Planner(request, self.facts, self.catalog, self.secrets.get, {}, unfinished=self.unfinished).plan()
        return plan, {entry["instance"]: entry for level in plan["levels"] for entry in level}

    def carry_out(self, apps: Any, **more: Any) -> Any:
        """As a deploy does: the secrets are made first, so that their names are known."""
        _, entries = self.plan(apps, **more)
        for entry in entries.values():
            for secret in entry["secrets"]:
                self.secrets.setdefault(secret["vault_path"], f"value of {secret['vault_path']}")
        plan, entries = self.plan(apps, **more)
        for name, entry in entries.items():
            if entry["action"] == "none":
                continue
            self.facts["services"] = [one for one in self.facts["services"] if one["stack"] != name]
            self.facts["secrets"] += [secret["secret"] for secret in entry["secrets"] if secret["mounted"]]
            for service, body in entry["compose"]["services"].items():
                labels = body["deploy"]["labels"]
                one = {"name": f"{name}_{service}", "stack": name, "replicas": 1, "running": 1, "labels": labels}
                self.facts["services"].append(one)
        return plan, entries


@pytest.fixture
def server() -> Server:
    return Server()


def with_app(tmp_path: Path, **changes: Any) -> Server:
    definition = {**copy.deepcopy(MINIMAL), **changes}
    (tmp_path / "mine.yml").write_text(yaml.safe_dump(definition))
    return Server(Catalog([str(tmp_path)]))


def test_a_first_install(server: Server) -> None:
    plan, entries = server.plan("n8n")
    assert plan["changed"]
    assert plan["summary"] == [
        "install postgres 17.6",
        "install redis 8.0.4",
        "install n8n 1.123.81 (needs postgres, redis)",
    ]
    assert [entry["level"] for entry in entries.values()] == [0, 0, 1]
    assert plan["images"] == ["n8nio/n8n:1.123.81", "pgvector/pgvector:0.8.1-pg17", "redis:8.0.4"]
    assert plan["dns_records"] == [
        {"name": "n8n.prod.example.com", "type": "A", "value": "203.0.113.7"},
        {"name": "n8n-webhook.prod.example.com", "type": "A", "value": "203.0.113.7"},
    ]
    assert all(secret["secret"] is None for secret in entries["n8n"]["secrets"])


def test_nothing_to_do_the_second_time(server: Server) -> None:
    server.carry_out(["n8n", "wordpress"])
    plan, _ = server.plan(["n8n", "wordpress"], deployment="d2")
    assert not plan["changed"]
    assert plan["dns_records"] == [] and plan["images"] == []


def test_no_secret_is_in_a_plan(server: Server) -> None:
    plan, _ = server.carry_out(["n8n", "wordpress"])
    text = json.dumps(plan)
    assert len(server.secrets) == 10
    assert not [value for value in server.secrets.values() if value in text]


def test_each_instance_has_its_own_database_user_secrets_and_names(server: Server) -> None:
    _, entries = server.carry_out(["n8n", "n8n:cliente1"])
    databases = {one["engine"]: one for one in entries["n8n-cliente1"]["databases"]}
    assert databases["postgres"] == {
        "engine": "postgres",
        "provider_instance": "postgres",
        "service": "postgres_postgres",
        "database": "n8n_cliente1",
        "user": "n8n_cliente1",
        "password_path": "servers/prod/apps/n8n-cliente1/postgres_password",
        "admin_password_path": "servers/prod/apps/postgres/postgres_password",
        "extensions": [],
    }
    assert databases["redis"]["database"] == "1"
    assert entries["n8n"]["databases"][1]["database"] == "0"
    environment = entries["n8n-cliente1"]["compose"]["services"]["worker"]["environment"]
    assert environment["QUEUE_BULL_REDIS_DB"] == "1"
    assert environment["DB_POSTGRESDB_HOST"] == "postgres_postgres"
    assert entries["n8n-cliente1"]["urls"][0]["host"] == "n8n-cliente1.prod.example.com"


def test_an_instance_keeps_its_redis_database_when_another_goes(server: Server) -> None:
    server.carry_out(["n8n", "n8n:b"])
    server.facts["services"] = [one for one in server.facts["services"] if one["stack"] != "n8n"]
    plan, entries = server.plan(["n8n:b"])
    assert not plan["changed"]
    _, entries = server.plan(["n8n:c", "n8n:b"])
    assert {name: entry["databases"][1]["database"] for name, entry in entries.items() if entry["databases"]} == {
        "n8n-c": "0",
        "n8n-b": "1",
    }


def test_a_variable_changes_the_stack_and_only_that(server: Server) -> None:
    server.carry_out("n8n")
    _, entries = server.plan("n8n", n8n={"timezone": "America/Sao_Paulo"})
    assert {name: entry["action"] for name, entry in entries.items()} == {
        "postgres": "none",
        "redis": "none",
        "n8n": "update",
    }


def test_a_new_secret_value_is_a_new_secret_and_an_update(server: Server) -> None:
    _, before = server.carry_out("n8n")
    server.secrets["servers/prod/apps/n8n/redis_password"] = "rotated"
    _, after = server.plan("n8n")
    assert after["n8n"]["action"] == "update"
    names = [one["n8n"]["compose"]["secrets"]["redis_password"]["name"] for one in (before, after)]
    assert names[0] != names[1]
    assert names[1] == f"n8n_redis_password_{_render.digest('rotated')[:12]}"


def test_a_stack_that_does_not_run_is_repaired(server: Server) -> None:
    server.carry_out("n8n")
    server.facts["services"][-1]["running"] = 0
    _, entries = server.plan("n8n")
    assert entries["n8n"]["action"] == "update"


def test_what_was_interrupted_is_finished_also_where_it_looks_whole(server: Server) -> None:
    server.carry_out("n8n")
    server.unfinished = {"postgres", "n8n"}
    plan, entries = server.plan("n8n")
    assert plan["summary"] == [
        "finish postgres 17.6",
        "leave redis 8.0.4",
        "finish n8n 1.123.81 (needs postgres, redis)",
    ]
    assert {name: entry["action"] for name, entry in entries.items()} == {
        "postgres": "update",
        "redis": "none",
        "n8n": "update",
    }


def test_a_shared_service_that_lacks_a_part_is_repaired_by_the_way(tmp_path: Path) -> None:
    """As after a kill between the first phase of a stack and the next, when the home that knows of it is lost."""
    shared = {**copy.deepcopy(MINIMAL), "name": "shared"}
    (service,) = shared["services"].values()
    shared["services"] = {"first": service, "second": {**service, "after": ["first"]}}
    (tmp_path / "shared.yml").write_text(yaml.safe_dump(shared))
    server = with_app(tmp_path, dependencies=[{"app": "shared"}])
    server.carry_out("mine")
    assert server.plan("mine")[1]["shared"]["action"] == "none"
    server.facts["services"] = [one for one in server.facts["services"] if one["name"] != "shared_second"]
    assert server.plan("mine")[1]["shared"]["action"] == "update"


def test_a_shared_service_is_not_changed_by_the_way(server: Server) -> None:
    server.carry_out("n8n")
    for service in server.facts["services"]:
        if service["stack"] == "postgres":
            service["labels"] = {**service["labels"], "livchat.version": "16.9", "livchat.definition": "older"}
    plan, entries = server.plan(["n8n:b"])
    assert entries["postgres"]["action"] == "none"
    assert "leave postgres 16.9; the catalogue has 17.6, update it by its own name" in plan["summary"]
    plan, entries = server.plan(["postgres"])
    assert plan["summary"] == ["update postgres 16.9 to 17.6"]


def test_a_shared_service_too_old_for_an_app_is_an_error_that_says_what_to_do(server: Server) -> None:
    server.carry_out("postgres")
    labels = server.facts["services"][0]["labels"]
    labels.update({"livchat.version": "12.1", "livchat.definition": "older"})
    with pytest.raises(LivchatError, match=r"n8n needs postgres >=13; prod runs 12\.1") as caught:
        server.plan("n8n")
    assert caught.value.code == "DEPENDENCY_VERSION"


def test_a_lost_vault_never_leads_to_new_secrets_for_old_data(server: Server) -> None:
    server.carry_out("n8n")
    server.secrets.clear()
    with pytest.raises(LivchatError, match="Restore the vault") as caught:
        server.plan("n8n")
    assert caught.value.code == "SECRET_LOST"


def test_a_stack_of_somebody_else_is_left_alone(server: Server) -> None:
    server.facts["services"] = [
        {"name": "n8n_web", "stack": "n8n", "replicas": 1, "running": 1, "labels": {"made.by": "hand"}}
    ]
    with pytest.raises(LivchatError, match="not of this catalogue") as caught:
        server.plan("n8n")
    assert caught.value.code == "INSTANCE_CONFLICT"


def test_two_instances_cannot_have_one_host_name(server: Server) -> None:
    # n8n's second name is what an instance called webhook would get as its first.
    for asked in (["n8n", "n8n:webhook"], ["n8n:webhook"]):
        with pytest.raises(LivchatError, match=r"n8n-webhook\.prod\.example\.com belongs to n8n already") as caught:
            server.plan(asked)
        assert caught.value.code == "DOMAIN_TAKEN"
        server.carry_out("n8n")


@pytest.mark.parametrize(("key", "unit"), [("memory_free_mb", "MB of memory"), ("disk_free_gb", "GB of disk")])
def test_a_server_too_small_is_told_before_anything_happens(server: Server, key: str, unit: str) -> None:
    server.facts["server"][key] = 1
    with pytest.raises(LivchatError, match=f"postgres, redis, n8n need .* {unit}, 1 are free") as caught:
        server.plan("n8n")
    assert caught.value.code == "SERVER_TOO_SMALL"


def test_what_is_installed_already_needs_no_room(server: Server) -> None:
    server.carry_out("n8n")
    server.facts["server"]["memory_free_mb"] = 10
    assert not server.plan("n8n")[0]["changed"]


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"n8n": {"owner_mail": "a@example.com"}}, "no variable owner_mail; there are: owner_email, timezone"),
        ({"n8n": {"owner_email": "nobody"}}, "owner_email is 'nobody'; it must match"),
        ({"n8n": {"timezone": "UTC; rm"}}, "must match"),
        ({"n8n": {"timezone": ["UTC"]}}, "must be a text"),
        ({"n8m": {}}, "'n8m' is no instance of this plan; there are: postgres, redis, n8n"),
        ({"n8n": "UTC"}, "must hold names and values"),
    ],
)
def test_variables_are_checked(server: Server, variables: dict[str, Any], said: str) -> None:
    with pytest.raises(LivchatError) as caught:
        server.plan("n8n", **variables)
    assert caught.value.code == "VARIABLE_INVALID"
    assert said in caught.value.message


@pytest.mark.parametrize(
    "domain", ["", "prod", "prod example.com", "https://prod.example.com", "Prod.example.com", "a." * 140]
)
def test_a_domain_that_is_none_is_refused(server: Server, domain: str) -> None:
    with pytest.raises(LivchatError, match="DOMAIN_INVALID"):
        server.plan("n8n", domain=domain)


def test_a_server_without_a_swarm_is_told_to_be_set_up(server: Server) -> None:
    server.facts["docker"] = {"installed": False, "swarm": {"active": False}}
    with pytest.raises(LivchatError, match="SERVER_NOT_READY"):
        server.plan("n8n")


def test_names_that_swarm_would_not_take_are_refused_before(server: Server) -> None:
    with pytest.raises(LivchatError, match="too long a name for n8n"):
        server.plan("n8n:" + "a" * 37)


def test_a_mysql_user_fits_and_stays_unique(server: Server) -> None:
    users = []
    for end in "ab":
        _, entries = server.plan(f"wordpress:{'x' * 24}{end}")
        users.append(entries[f"wordpress-{'x' * 24}{end}"]["databases"][0]["user"])
    assert all(len(user) <= 32 for user in users)
    assert users[0] != users[1]


# --- the stack file


def test_every_service_keeps_the_rules_of_the_swarm(server: Server) -> None:
    _, entries = server.plan(["n8n", "wordpress"])
    for entry in entries.values():
        for name, service in entry["compose"]["services"].items():
            deploy = service["deploy"]
            order = "stop-first" if "volumes" in service or name == "editor" else "start-first"
            assert deploy["endpoint_mode"] == "dnsrr"
            assert deploy["update_config"]["order"] == deploy["rollback_config"]["order"] == order
            assert deploy["update_config"]["failure_action"] == "rollback"
            assert deploy["resources"]["limits"]["memory"].endswith("M")
            assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}
            assert "livchat_internal" in service["networks"]
            assert "ports" not in service
            assert deploy["labels"]["livchat.definition"] == entry["definition_hash"]


def test_only_what_is_routed_to_is_on_the_public_network(server: Server) -> None:
    _, entries = server.plan("n8n")
    services = entries["n8n"]["compose"]["services"]
    assert "livchat_public" in services["editor"]["networks"]
    assert services["worker"]["networks"] == ["livchat_internal"]
    labels = services["webhook"]["deploy"]["labels"]
    assert labels["traefik.http.routers.n8n_webhook.rule"] == "Host(`n8n-webhook.prod.example.com`)"
    assert labels["traefik.http.services.n8n_webhook.loadbalancer.server.port"] == "5678"
    assert "traefik.enable" not in services["worker"]["deploy"]["labels"]


def test_a_volume_forces_stop_first_whatever_the_definition_says(tmp_path: Path) -> None:
    web = {**MINIMAL["services"]["web"], "volumes": {"data": "/data"}, "update_order": "start-first"}
    _, entries = with_app(tmp_path, services={"web": web}).plan("mine")
    compose = entries["mine"]["compose"]
    assert compose["services"]["web"]["deploy"]["update_config"]["order"] == "stop-first"
    assert compose["volumes"] == {"data": {"name": "mine_data"}}


def test_dollars_reach_the_container_as_they_were_meant(tmp_path: Path) -> None:
    """docker stack deploy turns $$ into $ and would replace $NAME; a value of the operator is no template either."""
    web = {
        **MINIMAL["services"]["web"],
        "command": ["sh", "-c", "echo $$HOME"],
        "environment": {"GREETING": "${variables.greeting}", "ON": True, "N": 3},
    }
    variables = {"greeting": {"description": "Hello", "default": "x"}}
    server = with_app(tmp_path, services={"web": web}, variables=variables)
    _, entries = server.plan("mine", mine={"greeting": "5 $HOME ${instance} $$"})
    service = entries["mine"]["compose"]["services"]["web"]
    assert service["command"] == ["sh", "-c", "echo $$HOME"]
    assert service["environment"] == {"GREETING": "5 $$HOME $${instance} $$$$", "ON": "true", "N": "3"}


def test_the_hash_is_of_the_content_alone(server: Server) -> None:
    _, one = server.plan("n8n", deployment="d1")
    _, two = server.plan("n8n", deployment="d2")
    assert one["n8n"]["definition_hash"] == two["n8n"]["definition_hash"]
    relabelled = _render.label(copy.deepcopy(two["n8n"]["compose"]), "d3")
    assert _render.definition_hash(relabelled) == one["n8n"]["definition_hash"]


def test_post_install_leaves_secrets_to_the_moment_of_use(server: Server) -> None:
    _, entries = server.carry_out("n8n", n8n={"owner_email": "ana@example.com"})
    (request,) = entries["n8n"]["post_install"]
    assert request["host"] == "n8n.prod.example.com"
    assert request["body"]["email"] == "ana@example.com"
    assert request["body"]["password"] == "${secrets.owner_password}"
    assert entries["n8n"]["login"] == {"user": "ana@example.com", "secret": "servers/prod/apps/n8n/owner_password"}


def test_another_backend_moves_what_is_asked_for_and_nothing_else(server: Server) -> None:
    server.carry_out("n8n")
    assert not server.plan("n8n", deployment="d2")[0]["changed"]
    plan, entries = server.plan("n8n", deployment="d2", backend="portainer")
    assert plan["summary"][-1] == ("update n8n 1.123.81, deployed by portainer instead of docker (it stops meanwhile)")
    assert [entry["action"] for entry in entries.values()] == ["none", "none", "update"]
    assert (entries["n8n"]["backend"], entries["n8n"]["installed_backend"]) == ("portainer", "docker")
    labels = entries["n8n"]["compose"]["services"]["worker"]["deploy"]["labels"]
    assert labels["livchat.backend"] == "portainer"
    server.carry_out("n8n", deployment="d2", backend="portainer")
    assert not server.plan("n8n", deployment="d3", backend="portainer")[0]["changed"]
    assert server.plan("n8n", deployment="d3")[1]["n8n"]["action"] == "update"


def test_a_shared_service_that_broke_is_repaired_where_it_is(server: Server) -> None:
    server.carry_out("n8n")
    for service in server.facts["services"]:
        service["running"] = 0 if service["stack"] == "postgres" else 1
    _, entries = server.plan("n8n", deployment="d2", backend="portainer")
    assert (entries["postgres"]["action"], entries["postgres"]["backend"]) == ("update", "docker")
    assert "livchat.backend" not in json.dumps(entries["postgres"]["compose"])


def test_new_shared_services_go_where_new_ones_go(server: Server) -> None:
    _, entries = server.plan("n8n", backend="portainer")
    assert {entry["backend"] for entry in entries.values()} == {"portainer"}
