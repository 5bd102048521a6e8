"""Secrets stay where they belong: in the vault, in Swarm's secrets, and nowhere else that anybody reads."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home
from ansible_collections.livchat.setup.plugins.plugin_utils._vault import Vault

from tests.e2e.canaries import canaries as all_canaries
from tests.e2e.canaries import in_container_logs, in_journal, on_server
from tests.e2e.conftest import SERVER
from tests.e2e.story import StepError, Story
from tests.e2e.test_failed_deploy import definition
from tests.e2e.watch import ProcessWatch
from tests.lab.images import N8N


@pytest.fixture(scope="module")
def canaries(story: Story, installed: dict[str, Any]) -> list[str]:
    found = all_canaries(story)
    assert len(found) > 10
    return found


def leaks(text: str, canaries: list[str]) -> list[str]:
    """The lines with a secret in them, the secret left out."""
    return [line.replace(one, "(SECRET)") for one in canaries for line in text.splitlines() if one in line]


def test_no_process_was_started_with_one(watch: ProcessWatch, canaries: list[str]) -> None:
    # On the controller, on the way, on the server, and in a container there.
    seen = (
        "livchat.setup.server_create",
        "livchat.setup.deploy",
        "HostKeyAlias=hetzner-",
        "AnsiballZ_",
        "dockerd",
        "n8n",
    )
    assert [one for one in seen if not watch.saw(one)] == []
    assert watch.in_arguments(canaries) == []


def test_no_environment_holds_one(story: Story, watch: ProcessWatch, canaries: list[str]) -> None:
    assert watch.in_environments(canaries, story.home) == []


def test_no_file_of_the_home_holds_one(story: Story, canaries: list[str]) -> None:
    looked_at = [path for path in story.home.rglob("*") if path.is_file() and path.parent.name != "ssh_keys"]
    assert {"state.json", "audit.jsonl", "events.jsonl", "log"} <= {path.name for path in looked_at}
    for path in looked_at:
        assert not leaks(path.read_text(errors="replace"), canaries), path


def test_no_file_and_no_log_of_the_server_holds_one(target: Any, canaries: list[str]) -> None:
    # That it is looked for at all is seen by what is there.
    assert "/etc/passwd" in on_server(target, ["root:x:0:0:"]) and "sshd" in in_journal(target, ["sshd"])
    assert on_server(target, canaries) == ""
    assert in_journal(target, canaries) == ""


def test_no_container_prints_one(target: Any, canaries: list[str]) -> None:
    assert in_container_logs(target, ["n8n ready on"])
    assert in_container_logs(target, canaries) == ""


def test_what_docker_shows_of_services_and_containers_holds_none(target: Any, canaries: list[str]) -> None:
    shown = target.check_output("docker service inspect $(docker service ls -q); docker inspect $(docker ps -aq)")
    assert not leaks(shown, canaries)
    assert not leaks(target.check_output("docker config inspect $(docker config ls -q)"), canaries)


@pytest.mark.parametrize("playbook", ["setup", "deploy"])
def test_the_wordiest_check_with_differences_shows_none(story: Story, canaries: list[str], playbook: str) -> None:
    given = {"target": SERVER, "apps": "n8n,n8n:second", "full": True}
    done = story.bare(playbook, given, "--check", "--diff", "-vvvv")
    assert done.returncode == 0, done.stdout[-3000:]
    assert "n8n" in done.stdout or playbook == "setup"
    assert not leaks(done.stdout + done.stderr, canaries)


def test_an_application_that_tells_its_secrets_when_it_fails(story: Story, target: Any, canaries: list[str]) -> None:
    folder = story.home / "apps"
    folder.mkdir(exist_ok=True)
    tells = definition(
        "teller", f"n8nio/n8n:{N8N}", entrypoint=["sh", "-c", "echo begin; cat /run/secrets/*; sleep 1; exit 3"]
    )
    (folder / "teller.yml").write_text(yaml.safe_dump(tells))
    try:
        with pytest.raises(StepError) as failure:
            story.install(SERVER, "teller")
    finally:
        (folder / "teller.yml").unlink()
    assert failure.value.error["code"] == "STACK_ROLLED_BACK"
    said = json.dumps(failure.value.error)
    # The log's lines are there, so the test sees what it is meant to see.
    assert any("begin" in line for line in failure.value.error["details"]["output"]), said
    known = Vault(Home(str(story.home))).get(f"servers/{SERVER}/apps/teller/postgres_password") or ""
    assert len(known) == 40
    for path in [*story.home.rglob("log"), *story.home.rglob("job.json"), story.home / "audit.jsonl"]:
        assert known not in path.read_text(errors="replace"), path
    assert known not in said


@pytest.mark.parametrize("variable", ["HCLOUD_TOKEN", "CLOUDFLARE_API_TOKEN"])
def test_a_token_that_is_refused_is_not_quoted(story: Story, variable: str, tmp_path: Path) -> None:
    token = secrets.token_hex(32) if variable == "HCLOUD_TOKEN" else secrets.token_urlsafe(30)
    other = Story(story.lab, tmp_path / "home")
    with pytest.raises(StepError) as failure:
        other.init(extra={variable: token})
    assert "TOKEN" in failure.value.error["code"]
    assert token not in str(failure.value)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and token in path.read_text(errors="replace")]


def test_the_vaults_password_given_in_the_environment_reaches_no_process_of_the_run(story: Story) -> None:
    password = (story.home.parent / "vault-password").read_text().strip()
    with ProcessWatch() as watch:
        story.run("status", extra={"LIVCHAT_VAULT_PASSWORD": password})
    assert watch.in_arguments([password]) == []
    # The operator's own command has it, as it was given.
    assert {line.partition(":")[0].rpartition("/")[2] for line in watch.in_environments([password], story.home)} <= {
        "python"
    }
