"""Every fault switch of the lab: a clear error, nothing half made, and a second run that succeeds."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import yaml
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home
from ansible_collections.livchat.setup.plugins.plugin_utils._settings import Settings
from ansible_collections.livchat.setup.plugins.plugin_utils._vault import Vault
from cloudflare import Cloudflare
from hcloud import Client

from livchat_cli.errors import LivchatError
from tests.direct import DirectJob
from tests.e2e.conftest import SERVER
from tests.e2e.faults import Vps, switched
from tests.e2e.https import get
from tests.e2e.story import StepError, Story
from tests.lab.images import TRAEFIK

# Two servers take turns: while one is to be made, the other is to be removed.
ONE, OTHER = f"{SERVER}-one", f"{SERVER}-other"
# The one that is set up.
WHOLE = f"{SERVER}-whole"
# Seconds that commands go on trying here; people's go on for a minute.
SHORT, LONG = 2, 60
# What a message must hold: what to do next.
NEXT = re.compile(
    "try again|run it again|run this again|see whether|sets it up|starts it|make room|check the DNS record"
)


@pytest.fixture(scope="module", autouse=True)
def patience(story: Story) -> Iterator[None]:
    settings = Settings(Home(str(story.home)))
    settings.update({"general.api_patience": SHORT})
    yield
    settings.update({"general.api_patience": LONG})


@pytest.fixture
def patient(story: Story) -> Iterator[None]:
    settings = Settings(Home(str(story.home)))
    settings.update({"general.api_patience": LONG})
    yield
    settings.update({"general.api_patience": SHORT})


def create(name: str) -> tuple[str, ...]:
    return ("server", "create", name, "--domain", f"{name}.lab.test")


def destroy(name: str) -> tuple[str, ...]:
    return ("server", "destroy", name, "--yes")


def install(app: str) -> tuple[str, ...]:
    return ("app", "install", app, "--target", WHOLE, "--yes")


LIST = ("server", "list")


def together(story: Story, **commands: tuple[str, ...]) -> dict[str, Any]:
    """What each of the commands, run at once, prints: its result, or its error's object."""
    running = {name: story.start(*command) for name, command in commands.items()}
    return {name: json.loads(process.communicate()[0]) for name, process in running.items()}


def failed(story: Story, *command: str, **extra: str) -> dict[str, Any]:
    with pytest.raises(StepError) as caught:
        story.run(*command, extra=extra)
    error = caught.value.error
    assert NEXT.search(error["message"]) or error["retry_after"], error
    return error


def owned(story: Story) -> dict[str, Any]:
    """All that a creation or a removal may leave half done, at the providers and here."""
    client = Client(story.lab.hetzner_token, api_endpoint=story.lab.hetzner_url)
    wall = client.firewalls.get_by_name("livchat-setup")
    vault = Vault(Home(str(story.home)))
    state = story.index() if (story.home / "state.json").exists() else {}
    names = (ONE, OTHER)
    return {
        "servers": {one.name: one.id for one in client.servers.get_all() if one.name in names},
        "keys": sorted(one.name for one in client.ssh_keys.get_all() if str(one.name).endswith(names)),
        "rules": sorted((one.protocol, one.port, tuple(one.source_ips)) for one in wall.rules or [] if one.port)
        if wall
        else None,
        "records": records(story, *names),
        "state": sorted(set(state.get("servers", {})) & set(names)),
        "private keys": sorted(path.name for path in (story.home / "ssh_keys").glob("*") if path.stem in names),
        "vault": [name for name in names if vault.get(f"ssh_keys/{name}")],
    }


def records(story: Story, *servers: str) -> list[str]:
    cloudflare = Cloudflare(api_token=story.lab.cloudflare_token, base_url=story.lab.cloudflare_url)
    (zone,) = cloudflare.zones.list(name=story.lab.zone)
    found = cloudflare.dns.records.list(zone_id=zone.id)
    return sorted(f"{one.name} {one.content}" for one in found if (one.comment or "").endswith(servers))


# --- Hetzner's API
@pytest.fixture(scope="module")
def turns(story: Story) -> list[str]:
    """The name of the server that is there, then that of the one that is not."""
    story.run(*create(OTHER))
    return [OTHER, ONE]


@pytest.mark.parametrize(
    ("fault", "codes"),
    [
        pytest.param({"action_fails": "create_*"}, {"create": "SERVER_CREATION_FAILED"}, id="action_fails-creating"),
        pytest.param({"action_fails": "delete_*"}, {"destroy": "SERVER_DELETION_FAILED"}, id="action_fails-removing"),
        pytest.param({"sold_out": "*"}, {"create": "SERVER_TYPE_UNAVAILABLE"}, id="sold_out"),
        pytest.param(
            {"sold_out": [{"announced": False}]}, {"create": "SERVER_TYPE_UNAVAILABLE"}, id="sold_out-unannounced"
        ),
        pytest.param(
            {"rate_limited": [{}]},
            dict.fromkeys(("create", "destroy", "list"), "PROVIDER_RATE_LIMITED"),
            id="rate_limited",
        ),
        pytest.param(
            {"server_error": [{"status": 503}]},
            dict.fromkeys(("create", "destroy", "list"), "PROVIDER_UNAVAILABLE"),
            id="server_error",
        ),
        pytest.param(
            {
                "server_error": [
                    {"status": 500, "method": "POST", "path": "/v1/servers"},
                    {"status": 502, "method": "DELETE", "path": "/v1/servers/*"},
                ]
            },
            dict.fromkeys(("create", "destroy"), "PROVIDER_UNAVAILABLE"),
            id="server_error-writing",
        ),
        pytest.param({"slow": 8}, dict.fromkeys(("create", "destroy", "list"), "PROVIDER_UNREACHABLE"), id="slow"),
        pytest.param(
            {"cut_after": [{"method": "*"}]},
            dict.fromkeys(("create", "destroy", "list"), "PROVIDER_UNREACHABLE"),
            id="cut_after",
        ),
    ],
)
def test_hetzner(story: Story, turns: list[str], fault: dict[str, Any], codes: dict[str, str]) -> None:
    there, missing = turns
    commands = {"create": create(missing), "destroy": destroy(there), "list": LIST}
    before = owned(story)
    with switched(story.lab, "hetzner", **fault):
        errors = together(story, **{name: commands[name] for name in codes})
    for name, code in codes.items():
        error = errors[name]
        assert error["code"] == code, error
        assert NEXT.search(error["message"]), error
        subject = {"create": missing, "destroy": there, "list": "servers"}[name]
        assert subject in error["message"] or "the servers could not be listed" in error["message"], error
        assert (error["retry_after"] or 0) > 0 or code != "PROVIDER_RATE_LIMITED", error
    assert owned(story) == before
    second = together(story, create=create(missing), destroy=destroy(there))
    assert all(one["changed"] for one in second.values()), second
    after = owned(story)
    assert list(after["servers"]) == [missing] and after["keys"] == [f"livchat-{missing}"]
    assert (after["state"], after["vault"]) == ([missing], [missing])
    assert after["private keys"] == [missing, f"{missing}.pub"]
    turns.reverse()


def test_hetzner_moments_that_pass(story: Story, turns: list[str], patient: None) -> None:
    """Nobody notices them, and nothing is made twice."""
    there, missing = turns
    writes = [("POST", f"/v1/{kind}") for kind in ("servers", "ssh_keys", "firewalls")]
    passing = {
        "rate_limited": [{"times": 1}, {"times": 1, "method": "POST"}],
        "server_error": [{"times": 1, "status": 503}, {"times": 1, "method": "DELETE", "status": 500}],
        "slow": [{"times": 5, "seconds": 0.5}],
        "cut_after": [
            {"times": 1, "method": method, "path": path} for method, path in (*writes, ("DELETE", "/v1/servers/*"))
        ],
    }
    with switched(story.lab, "hetzner", **passing):
        assert [one["name"] for one in story.run(*LIST) if one["name"] in turns] == [there]
        assert story.run(*create(missing))["changed"]
        assert story.run(*destroy(there))["changed"]
    after = owned(story)
    assert list(after["servers"]) == [missing] and after["keys"] == [f"livchat-{missing}"]
    assert (after["state"], after["vault"]) == ([missing], [missing])
    turns.reverse()


def test_a_new_server_whose_ssh_does_not_answer_is_kept(story: Story, turns: list[str]) -> None:
    _there, missing = turns
    given = {"name": missing, "domain": f"{missing}.lab.test", "cloud_server_ssh_timeout": 0}
    with pytest.raises(LivchatError) as caught:
        play(story, "server_create", **given)
    assert caught.value.code == "SERVER_UNREACHABLE"
    assert missing in caught.value.message and "run this again" in caught.value.message
    assert sorted(owned(story)["servers"]) == owned(story)["state"] == sorted(turns)
    assert story.run(*create(missing))["changed"] is False
    story.run(*destroy(missing))


def test_cloudflare_keeps_a_removal_from_its_end(story: Story, turns: list[str]) -> None:
    """The server goes first. What is remembered of it goes last, so that the second run knows what is left."""
    there, _missing = turns
    cloudflare = Cloudflare(api_token=story.lab.cloudflare_token, base_url=story.lab.cloudflare_url)
    (zone,) = cloudflare.zones.list(name=story.lab.zone)
    name = f"app.{there}.{story.lab.zone}"
    comment = f"managed by livchat.setup: {there}"
    cloudflare.dns.records.create(zone_id=zone.id, name=name, type="A", content="192.0.2.1", ttl=60, comment=comment)
    with switched(story.lab, "cloudflare", server_error=1000):
        assert failed(story, *destroy(there))["code"] == "DNS_API_UNAVAILABLE"
    left = owned(story)
    assert (left["servers"], left["keys"]) == ({}, [])
    assert left["records"] and (left["state"], left["vault"]) == ([there], [there])
    removed = story.run(*destroy(there))
    assert removed["dns_records"] == [name]
    gone = owned(story)
    assert not any(gone[kind] for kind in ("servers", "keys", "records", "state", "private keys", "vault"))


def play(story: Story, playbook: str, **variables: Any) -> Any:
    """A playbook, run as the command line runs it, with variables that no command sets: people wait for minutes."""
    return DirectJob(story.home).run(f"livchat.setup.{playbook}", variables)


# --- a server and what runs on it
def definition(name: str, *command: str, port: int = 8080, **healthcheck: Any) -> dict[str, Any]:
    """An application of the user's own: Traefik, whose image the server has, as a web server that answers /ping."""
    answering = ["--ping", "--ping.entrypoint=web", "--entrypoints.web.address=:8080"]
    return {
        "name": name,
        "title": name,
        "description": "An application for tests",
        "category": "tools",
        "homepage": "https://example.com",
        "license": "MIT",
        "version": "1",
        "requirements": {"memory_mb": 32, "cpu_cores": 0.1, "disk_gb": 1},
        "domains": {"site": {"default": "${instance}", "path": "/ping"}},
        "secrets": {"key": {"description": "One that it never uses", "length": 24}},
        "services": {
            "web": {
                "image": f"traefik:v{TRAEFIK}",
                "command": [*answering, "--log.level=INFO", *command],
                "secrets": ["key"],
                "healthcheck": {
                    "test": ["CMD", "traefik", "healthcheck", *answering],
                    "interval": "1s",
                    "timeout": "2s",
                    "retries": 2,
                    "start_period": "5s",
                    **healthcheck,
                },
                "resources": {"memory_mb": 128, "cpus": 0.5},
                "route": {"domain": "site", "port": port},
                "stop_grace_period": "1s",
            }
        },
    }


@pytest.fixture(scope="module")
def vps(story: Story) -> Iterator[Vps]:
    story.run(*create(WHOLE))
    folder = story.home / "apps"
    folder.mkdir(exist_ok=True)
    mine = (
        definition("web"),
        definition("sick", test=["CMD", "traefik", "healthcheck"], retries=1, start_period="0s"),
        definition("deaf", port=9),
    )
    for one in mine:
        (folder / f"{one['name']}.yml").write_text(yaml.safe_dump(one))
    yield Vps(story.lab, WHOLE)
    story.run(*destroy(WHOLE))
    for one in mine:
        (folder / f"{one['name']}.yml").unlink()


def on_server(story: Story, vps: Vps) -> dict[str, Any]:
    """All that an installation may leave half done."""
    state = story.index()
    return {
        "services": sorted(vps.run("docker", "service", "ls", "--format", "{{.Name}} {{.Image}}").split("\n")),
        "secrets": sorted(vps.run("docker", "secret", "ls", "--format", "{{.Name}}").split()),
        "records": records(story, WHOLE),
        "state": sorted(key for key in state["applications"] if key.startswith(f"{WHOLE}/")),
    }


CLOUDFLARE = [
    pytest.param({"rate_limited": 1000}, "DNS_RATE_LIMITED", id="rate_limited"),
    pytest.param({"server_error": 1000}, "DNS_API_UNAVAILABLE", id="server_error"),
    pytest.param({"slow": 8}, "DNS_API_UNREACHABLE", id="slow"),
]


@pytest.mark.parametrize(("fault", "code"), CLOUDFLARE)
def test_cloudflare_before_a_setup(story: Story, vps: Vps, fault: dict[str, Any], code: str) -> None:
    with switched(story.lab, "cloudflare", **fault):
        error = failed(story, "server", "setup", WHOLE)
    assert error["code"] == code
    assert (error["retry_after"] or 0) > 0 or code != "DNS_RATE_LIMITED"
    # It was asked before the server was.
    assert "docker" not in vps.run("ls", "/etc")


def test_a_setup_without_an_acme_server_and_with_a_network_that_fails(story: Story, vps: Vps) -> None:
    with vps.blocked(story.lab.acme_port), vps.lost(after=0, seconds=8):
        error = failed(story, "server", "setup", WHOLE)
    assert error["code"] == "CERTIFICATE_NOT_ISSUED"
    assert f"portainer.{WHOLE}.{story.lab.zone}" in error["message"] and story.lab.acme_url in error["message"]
    assert "connection refused" in error["message"] or "reset" in error["message"]
    story.setup(WHOLE)
    address = vps.run("hostname", "--ip-address").split()[0]
    answer = get(f"portainer.{WHOLE}.{story.lab.zone}", address, story.lab.acme_root_file, "/api/system/status")
    assert answer.status == 200


@pytest.mark.parametrize(("fault", "code"), CLOUDFLARE)
def test_cloudflare_at_an_installation(
    story: Story, vps: Vps, fault: dict[str, Any], code: str, request: pytest.FixtureRequest
) -> None:
    before = on_server(story, vps)
    with switched(story.lab, "cloudflare", **fault):
        error = failed(story, *install("web"))
    assert error["code"] == code
    assert on_server(story, vps) == before


def test_cloudflare_moments_that_pass(story: Story, vps: Vps, patient: None) -> None:
    with switched(story.lab, "cloudflare", rate_limited=1, server_error=1, cut_after=1, slow=0.2):
        (installed,) = story.run(*install("web"))
    assert installed["changed"]
    mine = [one for one in records(story, WHOLE) if one.startswith("web.")]
    assert len(mine) == 1
    with switched(story.lab, "cloudflare", rate_limited=1, server_error=1, cut_after=1):
        (again,) = story.run(*install("web"))
        assert again["changed"] is False


def test_a_container_that_is_never_healthy(story: Story, vps: Vps) -> None:
    before = on_server(story, vps)
    error = failed(story, *install("sick"))
    assert error["code"] == "STACK_ROLLED_BACK"
    assert "sick_web" in error["message"] and "its healthcheck fails" in error["message"]
    assert error["details"]["service"] == "sick_web"
    assert any("Traefik version" in line for line in error["details"]["output"]), error
    assert on_server(story, vps) == before
    (story.home / "apps/sick.yml").write_text(yaml.safe_dump(definition("sick")))
    assert story.run(*install("sick"))[0]["changed"]


def test_an_application_that_does_not_answer(story: Story, vps: Vps) -> None:
    before = on_server(story, vps)
    with pytest.raises(LivchatError) as caught:
        play(story, "deploy", target=WHOLE, apps="deaf", app_verify_timeout=2)
    assert caught.value.code == "HTTP_STATUS"
    assert f"https://deaf.{WHOLE}.{story.lab.zone}/ping answers 502" in caught.value.message
    assert caught.value.details["service"] == "deaf_web"
    assert any("Traefik version" in line for line in caught.value.details["output"])
    assert on_server(story, vps) == before
    (story.home / "apps/deaf.yml").write_text(yaml.safe_dump(definition("deaf")))
    assert story.run(*install("deaf"))[0]["changed"]


def test_a_name_that_does_not_resolve(story: Story, vps: Vps) -> None:
    before = on_server(story, vps)
    settings = Settings(Home(str(story.home)))
    # The operator keeps the records himself, and has made none.
    settings.update({"dns.provider": "none"})
    try:
        with pytest.raises(LivchatError) as caught:
            play(story, "deploy", target=WHOLE, apps="web:named", app_verify_timeout=2)
    finally:
        settings.update({"dns.provider": "cloudflare"})
    assert caught.value.code == "DNS_NOT_RESOLVING"
    assert f"web-named.{WHOLE}.{story.lab.zone} resolves to nothing" in caught.value.message
    assert on_server(story, vps) == before
    assert story.run(*install("web:named"))[0]["changed"]


def test_a_registry_that_is_away(story: Story, vps: Vps) -> None:
    before = on_server(story, vps)
    with vps.blocked(story.lab.registry_port), vps.blocked(443):
        error = failed(story, *install("redis"))
    assert error["code"] == "STACK_ROLLED_BACK"
    assert "redis_redis" in error["message"] and "No such image" in error["message"]
    assert on_server(story, vps) == before
    assert story.run(*install("redis"))[0]["changed"]


def test_a_disk_that_is_full(story: Story, vps: Vps) -> None:
    before = on_server(story, vps)
    vps.run("mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", "/var/lib/docker")
    try:
        vps.run("fallocate", "--length", "63M", "/var/lib/docker/full")
        error = failed(story, *install("web:roomy"))
    finally:
        vps.run("umount", "/var/lib/docker")
    assert error["code"] == "SERVER_TOO_SMALL"
    assert f"{WHOLE}: web-roomy need 1 GB of disk, 0 are free" in error["message"]
    assert on_server(story, vps) == before
    assert story.run(*install("web:roomy"))[0]["changed"]


def test_an_engine_that_is_stopped(story: Story, vps: Vps) -> None:
    before = on_server(story, vps)
    vps.run("systemctl", "stop", "docker.socket", "docker.service")
    for command in (install("web:engine"), ("app", "uninstall", "web", "--target", WHOLE, "--yes")):
        error = failed(story, *command)
        assert error["code"] == "ENGINE_UNREACHABLE" and error["details"]["host"] == WHOLE
    story.setup(WHOLE)
    assert on_server(story, vps) == before
    assert story.run(*install("web:engine"))[0]["changed"]


def test_ssh_that_is_refused(story: Story, vps: Vps) -> None:
    with vps.blocked(22):
        error = failed(story, *install("web:refused"), ANSIBLE_SSH_RETRIES="0")
        (status,) = story.run("status", "--target", WHOLE)
    assert error["code"] == "SERVER_UNREACHABLE" and WHOLE in error["message"]
    assert status["reachable"] is False
    assert story.run("status", "--target", WHOLE)[0]["reachable"] is True


def test_a_network_that_fails_for_a_moment_in_an_installation(story: Story, vps: Vps) -> None:
    with vps.lost(after=4, seconds=6):
        assert story.run(*install("web:network"))[0]["changed"]
    assert story.run(*install("web:network"))[0]["changed"] is False


def test_a_server_that_reboots_in_an_installation(story: Story, vps: Vps) -> None:
    client = Client(story.lab.hetzner_token, api_endpoint=story.lab.hetzner_url)
    server = client.servers.get_by_name(WHOLE)
    assert server
    timer = threading.Timer(4, lambda: server.reset().wait_until_finished())
    with ExitStack() as stack:
        stack.callback(timer.join)
        timer.start()
        try:
            story.run(*install("web:reboot"))
        except StepError as error:
            # Where it was when the power went decides: nothing to come back to yet, or an engine that is not up again.
            assert error.error["code"] in ("SERVER_UNREACHABLE", "ENGINE_UNREACHABLE", "STACK_ROLLED_BACK"), error
    (second,) = story.run(*install("web:reboot"))
    assert [one["instance"] for one in second["applications"]] == ["web-reboot"]
    address = vps.run("hostname", "--ip-address").split()[0]
    deadline = time.monotonic() + 60
    while True:
        # All that ran before comes up again by itself.
        status = get(f"web.{WHOLE}.{story.lab.zone}", address, story.lab.acme_root_file, "/ping").status
        if status == 200 or time.monotonic() > deadline:
            break
        time.sleep(1)
    assert status == 200
