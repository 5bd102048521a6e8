"""From nothing to n8n over HTTPS: what is asserted on the server, and from outside."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.livchat.setup.plugins.plugin_utils._https import Outside

from tests.e2e.conftest import SERVER, container
from tests.e2e.https import ask, get
from tests.e2e.story import Story


def sql(target: Any, database: str, query: str) -> str:
    program = f"psql --username=postgres --dbname={database} --tuples-only --no-align --command"
    return str(target.check_output(f"docker exec {container(target, 'postgres_postgres')} {program} %s", query))


def test_n8n_answers_over_https_with_the_wildcard_certificate_of_the_acme_server(
    story: Story, installed: dict[str, Any]
) -> None:
    domain = f"{SERVER}.{story.lab.zone}"
    answer = get(f"n8n.{domain}", installed["address"], story.lab.acme_root_file)
    assert answer.status == 200
    assert b"n8n" in answer.body
    assert set(answer.subject.split(", ")) == {domain, f"*.{domain}"}
    assert "Pebble" in answer.issuer


def test_nobody_else_could_become_the_owner(story: Story, installed: dict[str, Any]) -> None:
    # Turned away by Traefik until the account was made, and by n8n from then on.
    told = installed["stranger"]
    assert len(told) > 20 and set(told) <= {0, 404, 400}, told
    assert told[-1] == 400, told
    login = next(one["login"] for one in installed["result"]["applications"] if one["instance"] == "n8n")
    for password, status in ((story.secret(login["secret"]), 200), ("Stranger-2026", 401)):
        answer = Outside(installed["address"], str(story.lab.acme_root_file)).request(
            f"n8n.{SERVER}.{story.lab.zone}",
            "/rest/login",
            "POST",
            {"emailOrLdapLoginId": login["user"], "password": password},
        )
        assert answer.status == status, answer.body


def test_the_gate_is_gone_with_the_deploy(target: Any) -> None:
    labels = target.check_output("docker service inspect --format '{{json .Spec.Labels}}' n8n_editor n8n_webhook")
    assert labels.count("Host(") == 2 and "X-Livchat-Setup" not in labels
    # Opening it started nothing anew.
    assert len(target.check_output("docker service ps --quiet n8n_editor").split()) == 1


def test_units_run_and_docker_is_held(target: Any) -> None:
    for unit in ("docker", "livchat-firewall", "ssh"):
        assert target.service(unit).is_running, unit
        assert target.service(unit).is_enabled, unit
    assert {"docker.io", "docker-cli"} <= set(target.check_output("apt-mark showhold").split())
    # What keeps the clock right; in a container, which has none of its own, systemd does not start it.
    assert target.service("systemd-timesyncd").is_enabled


def test_a_swarm_of_its_own_with_its_own_addresses(target: Any) -> None:
    swarm = json.loads(target.check_output("docker info --format '{{json .Swarm}}'"))
    assert (swarm["LocalNodeState"], swarm["ControlAvailable"], swarm["Nodes"]) == ("active", True, 1)
    assert swarm["Cluster"]["DefaultAddrPool"] == ["10.200.0.0/16"]


def test_the_firewall_admits_only_what_is_published(target: Any) -> None:
    rules = target.check_output("nft list table inet livchat")
    assert "policy drop" in rules
    assert "tcp dport { 22, 80, 443 } accept" in rules
    assert "meta l4proto { tcp, udp, sctp } ct original proto-dst != { 80, 443 } drop" in rules


def test_ssh_takes_keys_only(target: Any) -> None:
    settings = target.check_output("/usr/sbin/sshd -T").splitlines()
    assert "passwordauthentication no" in settings
    assert "permitrootlogin without-password" in settings


def test_n8n_has_a_database_and_a_role_of_its_own(target: Any) -> None:
    assert sql(target, "postgres", "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'n8n'") == "n8n"
    assert sql(target, "postgres", "SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = 'n8n'") == "f"
    assert int(sql(target, "n8n", "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'")) > 20
    users = sql(target, "postgres", "SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = 'n8n'")
    assert users.split() == ["n8n"]


def test_a_worker_waits_for_jobs_in_redis(target: Any) -> None:
    redis = container(target, "redis_redis")
    script = (
        '{ printf "AUTH default "; cat /run/secrets/redis_password; echo; echo "CLIENT LIST"; } | redis-cli | '
        "grep user=n8n"
    )
    clients = target.check_output(f"docker exec {redis} sh -c %s", script)
    assert "cmd=bzpopmin" in clients or "cmd=brpoplpush" in clients or "cmd=blmove" in clients, clients


WORKFLOW: dict[str, Any] = {
    "name": "sum",
    "nodes": [
        {
            "id": "1",
            "name": "Webhook",
            "type": "n8n-nodes-base.webhook",
            "typeVersion": 2,
            "position": [0, 0],
            "webhookId": "3f2c8a52-1c0e-4d0a-9d7c-6a3a5a0f5a11",
            "parameters": {"path": "sum", "httpMethod": "GET", "responseMode": "lastNode", "options": {}},
        },
        {
            "id": "2",
            "name": "Sum",
            "type": "n8n-nodes-base.set",
            "typeVersion": 3.4,
            "position": [200, 0],
            "parameters": {
                "assignments": {
                    "assignments": [{"id": "a", "name": "sum", "value": "={{ 20 + 22 }}", "type": "number"}]
                },
                "options": {},
            },
        },
    ],
    "connections": {"Webhook": {"main": [[{"node": "Sum", "type": "main", "index": 0}]]}},
    "settings": {},
    "active": False,
}


def test_a_workflow_is_carried_out_by_the_worker(story: Story, installed: dict[str, Any], target: Any) -> None:
    domain, root = f"{SERVER}.{story.lab.zone}", story.lab.acme_root_file

    def call(path: str, body: Any, cookies: dict[str, str], method: str = "") -> Any:
        answer = ask(f"n8n.{domain}", installed["address"], root, path, body=body, cookies=cookies, method=method)
        assert answer.status == 200, answer.body
        return answer

    login = next(one["login"] for one in installed["result"]["applications"] if one["instance"] == "n8n")
    said = {"emailOrLdapLoginId": login["user"], "password": story.secret(login["secret"])}
    cookies = call("/rest/login", said, {}).cookies
    made = json.loads(call("/rest/workflows", WORKFLOW, cookies).body)["data"]
    change = {"active": True, "versionId": made["versionId"]}
    call(f"/rest/workflows/{made['id']}", change, cookies, "PATCH")
    answer = get(f"n8n-webhook.{domain}", installed["address"], root, "/webhook/sum")
    assert (answer.status, json.loads(answer.body)) == (200, {"sum": 42})
    (number,) = sql(target, "n8n", "SELECT id FROM execution_entity WHERE status = 'success'").split()
    printed = target.check_output("docker service logs --raw n8n_worker 2>&1")
    assert f"Worker started execution {number} " in printed, printed[-2000:]


def test_a_service_gets_its_secrets_from_swarm(target: Any) -> None:
    services = target.check_output("docker service inspect $(docker service ls --quiet)")
    names = {secret["SecretName"] for one in json.loads(services) for secret in _secrets(one)}
    assert any(name.startswith("n8n_encryption_key_") for name in names)


def _secrets(service: dict[str, Any]) -> list[dict[str, Any]]:
    return service["Spec"]["TaskTemplate"]["ContainerSpec"].get("Secrets") or []


def test_a_second_run_changes_nothing(story: Story, installed: dict[str, Any]) -> None:
    assert story.create(SERVER)["changed"] is False
    (again,) = story.install(SERVER, "n8n")
    assert again["changed"] is False
