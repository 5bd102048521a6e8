"""The inventory through Ansible itself, against a server that counts what it is asked."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home
from ansible_collections.livchat.setup.plugins.plugin_utils._vault import Vault

ROOT = Path(__file__).parents[4]
TOKEN = "unit-test-token"


def server(number: int, **more: Any) -> dict[str, Any]:
    """As Hetzner's API tells of one, the fields that are used."""
    return {
        "id": number,
        "name": f"s{number}",
        "status": "running",
        "created": "2026-01-02T03:04:05Z",
        "public_net": {"ipv4": {"ip": f"192.0.2.{number % 250}"}},
        "server_type": {"name": "cx23", "cores": 2, "memory": 4.0, "disk": 40},
        "location": {"name": "nbg1"},
        "image": {"name": "debian-13"},
        "labels": {"managed-by": "livchat-setup", "livchat-domain": f"s{number}.example.com"},
        **more,
    }


class Api(ThreadingHTTPServer):
    """Lists servers in pages, to who has the token."""

    def __init__(self) -> None:
        self.servers: list[dict[str, Any]] = []
        self.asked: list[dict[str, str]] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                place = urllib.parse.urlsplit(self.path)
                query = dict(urllib.parse.parse_qsl(place.query))
                api.asked.append({"path": place.path, **query})
                allowed = self.headers["Authorization"] == f"Bearer {TOKEN}"
                page, size = int(query["page"]), int(query["per_page"])
                rest = api.servers[page * size :]
                body = {
                    "servers": api.servers[(page - 1) * size : page * size],
                    "meta": {"pagination": {"next_page": page + 1 if rest else None}},
                }
                text = json.dumps(body if allowed else {"error": {"code": "unauthorized", "message": "no"}}).encode()
                self.send_response(200 if allowed else 401)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture
def api() -> Iterator[Api]:
    running = Api()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()


def plain(value: Any) -> Any:
    """Without the mark by which Ansible prints text that is never to be a template."""
    if isinstance(value, dict):
        return (
            value["__ansible_unsafe"] if set(value) == {"__ansible_unsafe"} else {k: plain(v) for k, v in value.items()}
        )
    return [plain(one) for one in value] if isinstance(value, list) else value


class Operator:
    """Somebody with a home and an inventory file."""

    def __init__(self, folder: Path, api: Api) -> None:
        self.home = Home(str(folder / "home"))
        self.home.write("config.yaml", "general: {api_patience: 0}\n")
        self._file = folder / "livchat.yml"
        self._api = api
        self._folder = folder

    def list(self, options: dict[str, Any] | None = None, **environment: str) -> dict[str, Any]:
        """What `ansible-inventory --list` prints."""
        done = self.run(options, **environment)
        assert done.returncode == 0, done.stderr
        listed: dict[str, Any] = plain(json.loads(done.stdout))
        return listed

    def run(self, options: dict[str, Any] | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        endpoint = f"http://127.0.0.1:{self._api.server_port}/v1"
        content = {"plugin": "livchat.setup.hetzner", "api_endpoint": endpoint, **(options or {})}
        self._file.write_text(yaml.safe_dump(content))
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("ANSIBLE_", "LIVCHAT_", "HCLOUD_"))}
        return subprocess.run(
            [sys.executable, "-m", "ansible", "inventory", "-i", str(self._file), "--list"],
            capture_output=True,
            text=True,
            check=False,
            cwd=self._folder,
            env={
                **clean,
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
                "LIVCHAT_HOME": self.home.path,
                "HCLOUD_TOKEN": TOKEN,
                **environment,
            },
        )


@pytest.fixture
def operator(tmp_path: Path, api: Api) -> Operator:
    return Operator(tmp_path, api)


ADOPTED = {
    "id": "old",
    "name": "old",
    "provider": "adopted",
    "ip_address": "203.0.113.9",
    "status": "ready",
    "resources": {"cpu_cores": 1, "memory_mb": 2000, "disk_gb": 20},
    "created_at": "2026-01-01T00:00:00+00:00",
    "applications": ["redis"],
    "metadata": {"user": "admin", "port": 2222, "domain": "old.example.com", "private_key": "old"},
}


def remember(operator: Operator, servers: dict[str, Any], applications: dict[str, Any] | None = None) -> None:
    tree = {"version": 1, "servers": servers, "applications": applications or {}, "deployments": []}
    operator.home.write("state.json", json.dumps(tree))


def test_a_host_has_all_fields_of_a_server_and_what_ansible_needs(operator: Operator, api: Api) -> None:
    # Text from outside that a template would be made of is data.
    api.servers = [server(42, name="prod", labels={"managed-by": "livchat-setup", "note": "{{ 7 * 7 }}"})]
    kept = {"ssh_key_id": "7", "applications": ["n8n-cliente1"], "metadata": {"domain": "prod.example.com"}}
    remember(operator, {"prod": kept, "old": ADOPTED}, {"prod/n8n-cliente1": {"name": "n8n"}})
    hosts = operator.list()["_meta"]["hostvars"]
    home = operator.home.path
    # Servers never share a connection, not even one whose address another had before.
    sockets = [hosts[name].pop("ansible_control_path") for name in ("prod", "old")]
    assert len(set(sockets)) == 2 and all(re.fullmatch(r"%\(directory\)s/[0-9a-f]{16}", one) for one in sockets)
    ssh = (
        f"-o UserKnownHostsFile={home}/known_hosts -o StrictHostKeyChecking=accept-new "
        "-o ServerAliveInterval=15 -o ServerAliveCountMax=3 -o HostKeyAlias={alias} -o IdentitiesOnly=yes"
    )
    assert hosts["prod"] == {
        "livchat_server": {
            "id": "42",
            "name": "prod",
            "provider": "hetzner",
            "ip_address": "192.0.2.42",
            "status": "running",
            "resources": {"cpu_cores": 2, "memory_mb": 4096, "disk_gb": 40},
            "created_at": "2026-01-02T03:04:05Z",
            "ssh_key_id": "7",
            "applications": ["n8n-cliente1"],
            "metadata": {
                "user": "root",
                "port": 22,
                "domain": "prod.example.com",
                "location": "nbg1",
                "server_type": "cx23",
                "image": "debian-13",
                "labels": {"managed-by": "livchat-setup", "note": "{{ 7 * 7 }}"},
                "private_key": "prod",
            },
        },
        "server_domain": "prod.example.com",
        "ansible_host": "192.0.2.42",
        "ansible_user": "root",
        "ansible_port": 22,
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_private_key_file": f"{home}/ssh_keys/prod",
        "ansible_ssh_common_args": ssh.format(alias="hetzner-42"),
    }
    assert hosts["old"] == {
        "livchat_server": {**ADOPTED, "ssh_key_id": ""},
        "server_domain": "old.example.com",
        "ansible_host": "203.0.113.9",
        "ansible_user": "admin",
        "ansible_become": True,
        "ansible_port": 2222,
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_private_key_file": f"{home}/ssh_keys/old",
        "ansible_ssh_common_args": ssh.format(alias="adopted-old"),
    }


def test_groups(operator: Operator, api: Api) -> None:
    api.servers = [
        server(1, labels={"managed-by": "livchat-setup", "customer": "acme.co"}),
        server(2, status="off", location={"name": "fsn1"}, server_type={**server(2)["server_type"], "name": "cx33"}),
    ]
    remember(
        operator,
        {"old": ADOPTED, "s1": {"applications": ["n8n", "n8n-cliente1"], "metadata": {}}},
        {"s1/n8n": {"name": "n8n"}, "s1/n8n-cliente1": {"name": "n8n"}, "old/redis": {"name": "redis"}},
    )
    listed = operator.list()
    groups = {name: one["hosts"] for name, one in listed.items() if "hosts" in one}
    assert groups.pop("livchat") == ["s1", "s2", "old"]
    assert groups.pop("label_managed_by_livchat_setup") == ["s1", "s2"]
    assert groups == {
        "app_n8n": ["s1"],
        "app_redis": ["old"],
        "instance_n8n": ["s1"],
        "instance_n8n_cliente1": ["s1"],
        "instance_redis": ["old"],
        "label_customer_acme_co": ["s1"],
        "label_livchat_domain_s2_example_com": ["s2"],
        "location_nbg1": ["s1"],
        "location_fsn1": ["s2"],
        "status_off": ["s2"],
        "status_ready": ["old"],
        "status_running": ["s1"],
        "type_cx23": ["s1"],
        "type_cx33": ["s2"],
    }


CONSTRUCTED = {
    "compose": {"tier": "livchat_server.metadata.labels.tier | default('none')"},
    "groups": {"big": "livchat_server.resources.cpu_cores > 1"},
    "keyed_groups": [{"key": "livchat_server.provider", "prefix": "at"}],
}


def test_constructed_groups_and_variables(operator: Operator, api: Api) -> None:
    api.servers = [server(1)]
    remember(operator, {"old": ADOPTED})
    listed = operator.list({**CONSTRUCTED, "strict": True})
    assert listed["big"]["hosts"] == ["s1"]
    assert (listed["at_hetzner"]["hosts"], listed["at_adopted"]["hosts"]) == (["s1"], ["old"])
    assert listed["_meta"]["hostvars"]["s1"]["tier"] == "none"


def test_strict_makes_an_error_of_an_expression_that_fails(operator: Operator, api: Api) -> None:
    api.servers = [server(1)]
    wrong = {"compose": {"tier": "livchat_server.nothing.like.it"}}
    assert "tier" not in operator.list(wrong)["_meta"]["hostvars"]["s1"]
    refused = operator.run({**wrong, "strict": True})
    assert refused.returncode != 0 and "tier" in refused.stderr


def test_one_request_for_fifty_servers_and_none_while_the_cache_is_warm(
    operator: Operator, api: Api, tmp_path: Path
) -> None:
    api.servers = [server(number) for number in range(1, 121)]
    cache = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(tmp_path / "cache")}
    cold = operator.list(cache)
    assert len(cold["livchat"]["hosts"]) == 120
    assert [(one["page"], one["per_page"], one["label_selector"]) for one in api.asked] == [
        (page, "50", "managed-by=livchat-setup") for page in "123"
    ]
    # Neither the token nor the vault, which does not open, is needed for what is known already.
    os.environ["LIVCHAT_VAULT_PASSWORD"] = "a password"
    try:
        Vault(operator.home).set("tokens/hetzner", TOKEN)
    finally:
        del os.environ["LIVCHAT_VAULT_PASSWORD"]
    api.asked.clear()
    assert operator.list(cache, HCLOUD_TOKEN="") == cold
    assert api.asked == []
    # What the index says is no part of the cache.
    remember(operator, {"old": ADOPTED})
    assert "old" in operator.list(cache, HCLOUD_TOKEN="")["livchat"]["hosts"]
    # Without the cache, the locked vault is missed.
    assert "VAULT_LOCKED" in operator.run(HCLOUD_TOKEN="").stderr
    assert api.asked == []


def test_the_token_comes_from_the_vault(operator: Operator, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    api.servers = [server(1)]
    monkeypatch.setenv("LIVCHAT_VAULT_PASSWORD", "a password")
    Vault(operator.home).set("tokens/hetzner", TOKEN)
    monkeypatch.delenv("LIVCHAT_VAULT_PASSWORD")
    listed = operator.list(HCLOUD_TOKEN="", LIVCHAT_VAULT_PASSWORD="a password")
    assert listed["livchat"]["hosts"] == ["s1"]


def test_without_a_token_there_are_the_adopted_servers(operator: Operator, api: Api) -> None:
    api.servers = [server(1)]
    remember(operator, {"old": ADOPTED})
    assert operator.list(HCLOUD_TOKEN="")["livchat"]["hosts"] == ["old"]
    assert api.asked == []
