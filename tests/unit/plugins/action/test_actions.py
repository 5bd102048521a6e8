"""The controller's actions, lookups and audit log in real playbooks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.livchat.setup.plugins.plugin_utils._audit import Audit
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home
from ansible_collections.livchat.setup.plugins.plugin_utils._vault import Vault

from .conftest import FACTS, Play

PLAN = {
    "name": "plan",
    "livchat.setup.plan": {
        "server": "{{ inventory_hostname }}",
        "address": "203.0.113.7",
        "domain": "prod.example.com",
        "apps": "{{ apps }}",
        "facts": "{{ facts }}",
    },
    "register": "planned",
}
ENTRIES = "{{ planned.plan.levels | flatten(levels=1) }}"


def secret(name: str) -> dict[str, Any]:
    return {"name": name, "livchat.setup.secret": {"entries": ENTRIES}}


def state(name: str, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "livchat.setup.state": {"server": "prod", **arguments}}


def test_a_deploys_way_over_the_controller(play: Play, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("LIVCHAT_VAULT_PASSWORD", "a password")
    record = {"ip_address": "203.0.113.7"}
    deployment = {"id": "d1", "operation": "app.install", "apps": ["n8n"]}
    begun, done = {**deployment, "status": "running"}, {"id": "d1", "status": "successful"}
    results = play(
        [
            PLAN,
            secret("secrets"),
            secret("secrets again"),
            {**PLAN, "name": "plan again"},
            state("killed", deployment={**begun, "id": "d0"}),
            state("begin", deployment=begun),
            state("remember", applications=ENTRIES, record=record, deployment=done),
            state("remember again", applications=ENTRIES, record=record, deployment=done),
            state("forget", state="absent", instances=["n8n"]),
        ],
        apps="n8n",
    )
    home = Home(str(tmp_path / "home"))
    assert not results["plan"]["changed"]
    paths = results["secrets"]["created"]
    assert len(paths) == 6
    assert not results["secrets again"]["changed"]
    assert [one["known"] for one in results["plan again"]["plan"]["levels"][1][0]["secrets"]] == [True] * 4
    assert results["remember"]["changed"] and not results["remember again"]["changed"]
    tree = json.loads(home.read("state.json") or "")
    assert tree["servers"]["prod"] == {**record, "name": "prod", "applications": ["postgres", "redis"]}
    assert tree["applications"]["prod/postgres"]["volumes"] == ["postgres_data"]
    killed, ended = tree["deployments"]
    assert (killed["id"], killed["status"]) == ("d0", "interrupted")
    assert ended == {**deployment, **done, "server": "prod", **{at: ended[at] for at in ("started_at", "finished_at")}}
    # Nothing that was made secret may stand in what Ansible printed, nor in any file but the vault.
    values = [Vault(home).get(path) or "" for path in paths]
    assert all(values)
    seen = json.dumps(results) + (home.read("state.json") or "") + (home.read("audit.jsonl") or "")
    assert not [value for value in values if value in seen]


def test_check_mode_shows_the_same_and_writes_nothing(play: Play, tmp_path: Path) -> None:
    results = play(
        [PLAN, secret("secrets"), state("remember", applications=ENTRIES)], "--check", "--diff", apps=["n8n"]
    )
    assert "install n8n" in results["plan"]["diff"]["after"]
    assert results["secrets"]["changed"] and len(results["secrets"]["created"]) == 6
    assert results["remember"]["changed"] and "prod/n8n" in results["remember"]["diff"]["after"]
    left = {path.name for path in (tmp_path / "home").rglob("*")} - {".lock"}
    assert left == {"audit.jsonl"}


def test_forgetting_a_server_forgets_its_secrets(play: Play, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("LIVCHAT_VAULT_PASSWORD", "a password")
    vault = Vault(Home(str(tmp_path / "home")))
    vault.set_all({"servers/prod/apps/n8n/key": "1", "servers/other/apps/n8n/key": "2"})
    results = play([state("record", record={"id": "1"}), state("forget", state="absent")])
    assert results["forget"]["changed"]
    assert vault.get("servers/prod/apps/n8n/key") is None
    assert vault.get("servers/other/apps/n8n/key") == "2"


def test_an_application_whose_data_stays_is_remembered_and_one_whose_data_goes_is_forgotten(
    play: Play, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("LIVCHAT_VAULT_PASSWORD", "a password")
    facts = {**FACTS, "volumes": ["redis_data"]}

    def removal(name: str, drop: bool) -> dict[str, Any]:
        arguments = {
            "server": "prod",
            "domain": "x.example.com",
            "instance": "redis",
            "drop_data": drop,
            "facts": facts,
        }
        return {"name": name, "livchat.setup.removal": arguments, "register": "found"}

    forget = {"livchat.setup.secret": {"paths": ["servers/prod/apps/redis"], "state": "absent"}}
    tasks = [
        PLAN,
        secret("secrets"),
        state("remember", applications=ENTRIES, record={"ip_address": "203.0.113.7"}),
        removal("keep", False),
        state("remember what stays", removals=["{{ found.removal }}"]),
        removal("drop", True),
        {"name": "forget secrets", **forget},
        {"name": "forget secrets again", **forget},
    ]
    results = play(tasks, apps="redis")
    home = Home(str(tmp_path / "home"))
    tree = json.loads(home.read("state.json") or "")
    assert tree["servers"]["prod"]["applications"] == []
    kept = tree["applications"]["prod/redis"]
    assert (kept["status"], kept["volumes"], kept["name"]) == ("uninstalled", ["redis_data"], "redis")
    assert kept["installed_at"]
    assert "volume redis_data" in results["keep"]["removal"]["items"]["keep"]
    assert results["drop"]["removal"]["secrets"] == "servers/prod/apps/redis"
    assert results["forget secrets"]["removed"] == ["servers/prod/apps/redis/redis_password"]
    assert not results["forget secrets again"]["changed"]
    assert Vault(home).names("servers/prod/apps") == []
    shown = play([removal("drop", True), state("forget", removals=["{{ found.removal }}"])], "--check", "--diff")
    assert shown["drop"]["changed"] and "-volume" not in shown["drop"]["diff"]["after"]
    assert "volume redis_data" in shown["drop"]["diff"]["before"]
    assert shown["forget"]["changed"]
    play([removal("drop", True), state("forget", removals=["{{ found.removal }}"])])
    assert "prod/redis" not in json.loads(home.read("state.json") or "")["applications"]


def test_a_failed_deploy_of_what_was_uninstalled_remembers_its_data_again(play: Play, tmp_path: Path) -> None:
    kept = {"name": "redis", "instance": "redis", "status": "uninstalled", "volumes": ["redis_data"]}
    home = Home(str(tmp_path / "home"))
    tree = {"version": 1, "servers": {}, "applications": {"prod/redis": kept}, "deployments": []}
    home.write("state.json", json.dumps(tree))
    undo = {"instance": "redis", "found": True, "drop_data": False, "record": "{{ planned.plan.levels[0][0].kept }}"}
    play([PLAN, state("remember", applications=ENTRIES), state("undo", removals=[undo])], apps="redis")
    assert json.loads(home.read("state.json") or "")["applications"]["prod/redis"]["status"] == "uninstalled"


def test_a_stack_for_portainer_needs_a_token(play: Play) -> None:
    stack = {"name": "app", "backend": "portainer", "compose": {"services": {"web": {"image": "x:1", "deploy": {}}}}}
    task = {"name": "stack", "livchat.setup.stack": {"stacks": [stack], "portainer_host": "portainer.example.com"}}
    error = play([task], failing=True)["stack"]["error"]
    assert error["code"] == "PORTAINER_TOKEN_MISSING"
    assert "livchat-setup server setup prod --full" in error["message"]


def test_an_error_is_an_object_with_a_code_and_is_in_the_audit_log(play: Play, tmp_path: Path) -> None:
    results = play([PLAN], failing=True, apps="n8", api_token="hunter2")
    assert results["plan"]["error"]["code"] == "APP_UNKNOWN"
    assert "Did you mean n8n?" in results["plan"]["msg"]
    assert "Traceback" not in json.dumps(results)
    (line,) = Audit(Home(str(tmp_path / "home"))).lines()
    assert (line["actor"], line["operation"], line["target"], line["outcome"]) == ("a test", "deploy", "prod", "failed")
    assert line["failed"] == ["plan (APP_UNKNOWN)"]
    assert line["parameters"]["apps"] == "n8" and line["parameters"]["api_token"] == "(redacted)"


def test_what_a_run_changes_is_in_the_audit_log_before_its_end(play: Play, tmp_path: Path) -> None:
    log = tmp_path / "home/audit.jsonl"
    tasks = [
        state("remember", record={"ip_address": "203.0.113.7"}),
        state("remember more", record={"ip_address": "203.0.113.8"}),
        {"name": "look", "ansible.builtin.command": {"argv": ["cat", str(log)]}, "changed_when": False},
    ]
    (line,) = play(tasks)["look"]["stdout_lines"]
    begun = json.loads(line)
    assert (begun["target"], begun["outcome"], begun["changed"]) == ("prod", "begun", ["remember"])
    _, ended = Audit(Home(str(tmp_path / "home"))).lines()
    assert (ended["outcome"], ended["changed"]) == ("success", ["remember", "remember more"])


def test_every_url_that_fails_is_told_not_the_first_alone(play: Play) -> None:
    urls = [{"host": "one.invalid"}, {"host": "two.invalid", "path": "/x", "status": [302]}]
    arguments = {"urls": urls, "address": "127.0.0.1", "timeout": 0, "interval": 0.01}
    results = play([{"name": "look", "livchat.setup.https_check": arguments}], failing=True)
    assert [one["error"]["code"] for one in results["look"]["answers"]] == ["DNS_NOT_RESOLVING"] * 2
    assert "one.invalid" in results["look"]["msg"] and "two.invalid" in results["look"]["msg"]


def test_lookups(play: Play, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("LIVCHAT_VAULT_PASSWORD", "a password")
    home = Home(str(tmp_path / "home"))
    home.write("config.yaml", "dns: {zone: example.com}")
    Vault(home).set("tokens/hetzner", "from-vault")
    found = {
        "order": "{{ query('livchat.setup.install_order', ['n8n', 'wordpress']) }}",
        "setting": "{{ lookup('livchat.setup.setting', 'dns.zone') }}",
        "resolvers": "{{ lookup('livchat.setup.setting', 'dns.resolvers') }}",
        "vaulted": "{{ lookup('livchat.setup.vaulted', 'tokens/hetzner') }}",
        "absent": "{{ lookup('livchat.setup.vaulted', 'tokens/none', optional=true) }}",
        "app": "{{ lookup('livchat.setup.catalog', 'n8n').dependencies }}",
        "apps": "{{ query('livchat.setup.catalog') | map(attribute='name') | sort }}",
    }
    results = play([{"name": "look", "ansible.builtin.debug": {"msg": found}}])["look"]["msg"]
    assert results["order"] == ["postgres", "redis", "mysql", "n8n", "wordpress"]
    assert (results["setting"], results["resolvers"]) == ("example.com", [])
    assert (results["vaulted"], results["absent"]) == ("from-vault", "")
    assert results["app"] == ["postgres", "redis"]
    assert "wordpress" in results["apps"]


def test_a_lookup_that_fails_says_what_to_do(play: Play) -> None:
    for lookup, said in (
        ("lookup('livchat.setup.vaulted', 'tokens/none')", "livchat-setup init"),
        ("lookup('livchat.setup.setting', 'dns.zones')", "Did you mean dns.zone?"),
        ("query('livchat.setup.install_order', 'n8')", "Did you mean n8n?"),
    ):
        task = {"name": "look", "ansible.builtin.debug": {"msg": f"{{{{ {lookup} }}}}"}}
        assert said in play([task], failing=True)["look"]["msg"]
