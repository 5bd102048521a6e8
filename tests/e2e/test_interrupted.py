"""A run is killed or cancelled at random moments of every operation; the next run finishes the job, nothing is left.

A run is a job with processes of its own: who only kills the command that asked for it kills nothing.

LIVCHAT_TEST_SEED repeats a run with the same moments: each test prints what it used.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.livchat.setup.plugins.plugin_utils import _processes as processes
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home
from ansible_collections.livchat.setup.plugins.plugin_utils._https import Outside
from ansible_collections.livchat.setup.plugins.plugin_utils._state import State
from ansible_collections.livchat.setup.plugins.plugin_utils._vault import Vault
from cloudflare import Cloudflare
from hcloud import Client

from livchat_cli.errors import LivchatError
from livchat_cli.jobs import JobFolder, Jobs
from tests.e2e.canaries import canaries, on_server
from tests.e2e.conftest import connect
from tests.e2e.https import get
from tests.e2e.story import StepError, Story
from tests.e2e.test_n8n import sql
from tests.lab.config import LabConfig

SERVER = "killed"
KILLS = 5
# Seconds within which a job that is cancelled has ended.
CANCELLED_WITHIN = 5
# What each takes, in seconds, on a machine of two cores: moments are drawn from it. Setups and deploys go on where the
# one before was killed, and so come to the end.
CREATION, SETUP, DEPLOY, REMOVAL, DESTRUCTION = 5, 25, 40, 8, 4


@pytest.fixture(scope="module")
def seed() -> str:
    """New each time; that of a run to be repeated is in LIVCHAT_TEST_SEED."""
    return os.environ.get("LIVCHAT_TEST_SEED", str(time.time_ns()))


@pytest.fixture
def moments(seed: str, request: pytest.FixtureRequest) -> random.Random:
    """The test's own, so that it can be repeated alone."""
    print(f"LIVCHAT_TEST_SEED={seed}")
    return random.Random(f"{seed} {request.node.name}")


@pytest.fixture(scope="module")
def server(story: Story) -> dict[str, Any]:
    # The last test destroys it; and if that is not run, so does the end of the story.
    created: dict[str, Any] = story.create(SERVER)
    return created


@pytest.fixture(scope="module")
def ready(story: Story, server: dict[str, Any]) -> dict[str, Any]:
    """The server, set up: after the test of that, this finds nothing to do."""
    story.setup(SERVER)
    return server


def kill_often(story: Story, moments: random.Random, longest: float, *arguments: str) -> None:
    """Kills a command's runs KILLS times. Where one came to its end before, the moments after that come earlier."""
    killed = 0
    while killed < KILLS:
        if kill(story, moments.uniform(0.3, longest), list(Way)[killed % len(Way)], *arguments):
            killed += 1
        else:
            longest = max(1, longest / 2)


class Way(StrEnum):
    """How a job is interrupted."""

    ALL = "all of its processes killed"
    # Which the others outlive.
    FIRST = "its first process killed"
    CANCEL = "cancelled"


def kill(story: Story, after: float, way: Way, *arguments: str) -> bool:
    """Runs a command and interrupts its job. Whether it was interrupted: it may have ended before."""
    began = time.monotonic()
    before = set(jobs(story))
    process = story.start(*arguments)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        # First the command, so that it starts nothing more.
        process.kill()
        process.wait()
        for job in set(jobs(story)) - before:
            if way is Way.ALL:
                processes.end(job)
            elif way is Way.CANCEL:
                cancel(story, job)
            elif pid := JobFolder(story.home / "jobs", job).record().get("pid"):
                processes.send(pid, signal.SIGKILL)
    process.communicate()
    what = "it had ended" if process.returncode >= 0 else way
    print(f"{' '.join(arguments)}: {what} after {time.monotonic() - began:.1f} s")
    return process.returncode < 0


def cancel(story: Story, job: str) -> None:
    began = time.monotonic()
    # It may have ended just now.
    with contextlib.suppress(LivchatError):
        Jobs(story.home).cancel(job)
        assert time.monotonic() - began < CANCELLED_WITHIN
        assert not [
            one for one in processes.of_job(job) if one != JobFolder(story.home / "jobs", job).record().get("pid")
        ]


def jobs(story: Story) -> list[str]:
    return [path.name for path in (story.home / "jobs").glob("*")]


def at_provider(lab: LabConfig) -> dict[str, list[str]]:
    """What of the killed server is there."""
    client = Client(lab.hetzner_token, api_endpoint=lab.hetzner_url)
    cloudflare = Cloudflare(api_token=lab.cloudflare_token, base_url=lab.cloudflare_url)
    (zone,) = cloudflare.zones.list(name=lab.zone)
    records = {str(one.name) for one in cloudflare.dns.records.list(zone_id=zone.id)}
    return {
        "servers": [str(one.name) for one in client.servers.get_all() if one.name == SERVER],
        "keys": [str(one.name) for one in client.ssh_keys.get_all() if one.name == f"livchat-{SERVER}"],
        "records": sorted(one for one in records if one.endswith(f".{SERVER}.{lab.zone}")),
    }


NOTHING: dict[str, list[str]] = {"servers": [], "keys": [], "records": []}


def check_home(story: Story) -> None:
    """Index and vault can be read, no process and nothing half written lies about, and no record says that it runs."""
    home = Home(str(story.home))
    State(home).load()
    Vault(home)._load()
    assert audited(story)
    assert not [path for path in story.home.rglob("*") if path.suffix == ".tmp" or path.name == "extra-vars.json"]
    assert not list((story.home / "turns").glob("*"))
    told = {path.parent.name: json.loads(path.read_text())["status"] for path in story.home.glob("jobs/*/job.json")}
    assert set(told.values()) <= {"successful", "failed", "killed", "cancelled"}, told
    # Who asked is told before a job's first process has quite ended.
    deadline = time.monotonic() + 10
    while (left := [job for job in told if processes.of_job(job)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left


def mine(story: Story) -> dict[str, Any]:
    """What index and vault hold of the server."""
    home = Home(str(story.home))
    state, vault = State(home).load(), Vault(home)._load()
    return {
        "server": state["servers"].get(SERVER),
        "applications": sorted(key for key in state["applications"] if key.startswith(f"{SERVER}/")),
        "key": vault.get("ssh_keys", {}).get(SERVER),
        "secrets": vault.get("servers", {}).get(SERVER),
        "files": sorted(path.name for path in (story.home / "ssh_keys").glob(f"{SERVER}*")),
    }


FORGOTTEN: dict[str, Any] = {"server": None, "applications": [], "key": None, "secrets": None, "files": []}


def audited(story: Story) -> tuple[str, str, list[str]]:
    """Operation, target and changes of the last run."""
    lines = [json.loads(line) for line in (story.home / "audit.jsonl").read_text().splitlines()]
    # Its end as an event, such as server.ready, says nothing of changes.
    line = next(line for line in reversed(lines) if "changed" in line)
    return line["operation"], line["target"], line["changed"]


@pytest.fixture
def small(story: Story, tmp_path: Path) -> Iterator[Story]:
    """A story whose home is on a disk of its own, of 16 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)], check=True)
    try:
        told = Story(story.lab, disk / "home")
        told.init()
        yield told
        (disk / "fill").unlink(missing_ok=True)
        told.leave()
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(file: Path) -> None:
    """Fills the disk with a file."""
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as handle:
        while True:
            handle.write(bytes(4096))


def test_a_disk_that_is_full(small: Story, moments: random.Random) -> None:
    home = Home(str(small.home))
    fill(small.home.parent / "fill")
    with pytest.raises(StepError) as failure:
        small.create(SERVER)
    assert failure.value.error["code"] == "HOME_UNWRITABLE"
    assert "No space left on device; make room" in failure.value.error["message"]
    assert at_provider(small.lab) == NOTHING
    for _number in range(2):
        (small.home.parent / "fill").unlink()
        process = small.start("server", "create", SERVER, "--domain", f"{SERVER}.{small.lab.zone}")
        time.sleep(moments.uniform(1, CREATION))
        fill(small.home.parent / "fill")
        said, _ = process.communicate()
        assert process.returncode == 0 or json.loads(said)["code"] == "HOME_UNWRITABLE", said
        State(home).load()
        assert Vault(home).get("tokens/hetzner") == small.lab.hetzner_token
    (small.home.parent / "fill").unlink()
    small.create(SERVER)
    assert at_provider(small.lab) == {"servers": [SERVER], "keys": [f"livchat-{SERVER}"], "records": []}
    assert mine(small)["files"] == [SERVER, f"{SERVER}.pub"]
    check_home(small)


@pytest.mark.parametrize("number", range(KILLS))
def test_a_creation(story: Story, moments: random.Random, number: int) -> None:
    domain = f"{SERVER}.{story.lab.zone}"
    kill(
        story,
        moments.uniform(0, CREATION),
        list(Way)[number % len(Way)],
        "server",
        "create",
        SERVER,
        "--domain",
        domain,
    )
    created = story.create(SERVER)
    (ran,) = story.run("exec", "--target", SERVER, "--", "true")
    assert ran["rc"] == 0
    assert at_provider(story.lab) == {"servers": [SERVER], "keys": [f"livchat-{SERVER}"], "records": []}
    assert mine(story)["server"]["ip_address"] == created["ip_address"]
    check_home(story)
    story.run("server", "destroy", SERVER, "--yes")
    assert at_provider(story.lab) == NOTHING
    assert mine(story) == FORGOTTEN


def test_a_command_that_is_killed_leaves_its_job_going(story: Story, moments: random.Random) -> None:
    before = set(jobs(story))
    process = story.start("server", "create", SERVER, "--domain", f"{SERVER}.{story.lab.zone}")
    while not set(jobs(story)) - before:
        time.sleep(0.01)
    time.sleep(moments.uniform(0.1, CREATION))
    process.kill()
    process.communicate()
    (job,) = set(jobs(story)) - before
    assert story.run("jobs", "follow", job)["name"] == SERVER
    (found,) = [one for one in story.run("jobs", "list", "--operation", "server.create") if one["id"] == job]
    assert found["status"] == "successful"
    assert at_provider(story.lab) == {"servers": [SERVER], "keys": [f"livchat-{SERVER}"], "records": []}
    check_home(story)
    story.run("server", "destroy", SERVER, "--yes")


def test_a_setup(story: Story, moments: random.Random, server: dict[str, Any]) -> None:
    kill_often(story, moments, SETUP, "server", "setup", SERVER)
    story.setup(SERVER)
    check_home(story)
    target = connect(story, SERVER, server["ip_address"])
    for unit in ("docker", "livchat-firewall", "ssh"):
        assert target.service(unit).is_running, unit
    # Hardened, and for good: nothing waits to take it back, and what is loaded is what is written.
    assert "livchat-ssh" not in target.check_output("systemctl list-units --all 'livchat-*'")
    assert "passwordauthentication no" in target.check_output("/usr/sbin/sshd -T").splitlines()
    assert not target.check_output("find /etc/ssh/sshd_config.d -name '*trial*'")
    assert "policy drop" in target.check_output("nft list table inet livchat")
    assert "docker.io" in target.check_output("apt-mark showhold").split()
    assert not target.check_output("dpkg --audit")
    answer = get(f"portainer.{server['domain']}", server["ip_address"], story.lab.acme_root_file, "/api/system/status")
    assert answer.status == 200
    assert len(portainer_tokens(story, server)) == 1
    assert on_server(target, canaries(story)) == ""
    # A second, whole run finds nothing to do, so nothing was left half done.
    story.run("server", "setup", SERVER, "--full")
    assert audited(story) == ("setup", SERVER, [])


def portainer_tokens(story: Story, server: dict[str, Any]) -> list[Any]:
    """What Portainer says of the administrator's tokens, asked with the one in the vault."""
    token = Vault(Home(str(story.home))).get(f"servers/{SERVER}/portainer/token") or ""
    outside = Outside(server["ip_address"], str(story.lab.acme_root_file), timeout=10)
    asked = outside.request(f"portainer.{server['domain']}", "/api/users/1/tokens", headers={"X-API-KEY": token})
    listed: list[Any] = json.loads(asked.body)
    return listed


def test_a_deploy(story: Story, moments: random.Random, ready: dict[str, Any]) -> None:
    server = ready
    kill_often(story, moments, DEPLOY, "app", "install", "n8n", "--target", SERVER, "--yes")
    story.install(SERVER, "n8n")
    check_home(story)
    (again,) = story.install(SERVER, "n8n")
    assert again["changed"] is False
    answer = get(f"n8n.{server['domain']}", server["ip_address"], story.lab.acme_root_file)
    assert answer.status == 200
    # Its owner's account was made, so that no stranger can.
    settings = get(f"n8n.{server['domain']}", server["ip_address"], story.lab.acme_root_file, "/rest/settings")
    assert json.loads(settings.body)["data"]["userManagement"]["showSetupOnFirstLoad"] is False
    target = connect(story, SERVER, server["ip_address"])
    secrets = target.check_output("docker secret ls --format '{{.Name}}'").split()
    # One for each that is used: a second one of the same name would carry another hash.
    names = [name.rpartition("_")[0] for name in secrets]
    assert sorted(names) == sorted(set(names))
    assert set(databases(target)) == {"postgres", "template0", "template1", "n8n"}
    assert mine(story)["applications"] == sorted(f"{SERVER}/{name}" for name in ("postgres", "redis", "n8n"))
    assert on_server(target, canaries(story)) == ""


def databases(target: Any) -> list[str]:
    return sql(target, "postgres", "SELECT datname FROM pg_database").split()


def test_a_removal(story: Story, moments: random.Random, ready: dict[str, Any]) -> None:
    story.install(SERVER, "n8n")
    arguments = ("app", "uninstall", "n8n", "--target", SERVER, "--drop-data", "--yes")
    kill_often(story, moments, REMOVAL, *arguments)
    story.run(*arguments)
    check_home(story)
    target = connect(story, SERVER, ready["ip_address"])
    assert set(databases(target)) == {"postgres", "template0", "template1"}
    assert sql(target, "postgres", "SELECT rolname FROM pg_roles WHERE rolname = 'n8n'") == ""
    for kind in ("service", "secret", "network"):
        assert "n8n_" not in target.check_output(f"docker {kind} ls"), kind
    assert mine(story)["applications"] == [f"{SERVER}/postgres", f"{SERVER}/redis"]


def test_a_destruction(story: Story, moments: random.Random, server: dict[str, Any]) -> None:
    alias = f"hetzner-{mine(story)['server']['id']}"
    kill_often(story, moments, DESTRUCTION, "server", "destroy", SERVER, "--yes")
    story.run("server", "destroy", SERVER, "--yes")
    check_home(story)
    assert at_provider(story.lab) == NOTHING
    assert mine(story) == FORGOTTEN
    known = ["ssh-keygen", "-F", alias, "-f", str(story.home / "known_hosts")]
    assert subprocess.run(known, check=False, capture_output=True).returncode != 0
