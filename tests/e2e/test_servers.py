"""A server's life: adopted from elsewhere, shown, set up or refused early, forgotten; what is lost is said before."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home
from ansible_collections.livchat.setup.plugins.plugin_utils._state import State
from ansible_collections.livchat.setup.plugins.plugin_utils._vault import Vault
from cloudflare import Cloudflare

from tests.e2e.conftest import SERVER
from tests.e2e.foreign import Foreign, machine
from tests.e2e.story import StepError, Story
from tests.lab.config import LabConfig

# A user who may become root, and one who may not without a password. Only root's port of SSH is another one too.
USER_DATA = """#cloud-config
users:
  - name: admin
    sudo: "ALL=(ALL) NOPASSWD:ALL"
    shell: /bin/bash
    ssh_authorized_keys: ["{key}"]
  - name: plain
    sudo: "ALL=(ALL) ALL"
    shell: /bin/bash
    ssh_authorized_keys: ["{key}"]
write_files:
  - path: /etc/ssh/sshd_config.d/10-port.conf
    content: "Port 2222\\n"
runcmd: [[systemctl, restart, ssh]]
"""


def new_key(folder: Path) -> Path:
    path = folder / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "operator", "-f", path], check=True)
    return path


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The operator's own private key."""
    return new_key(tmp_path_factory.mktemp("operator"))


@pytest.fixture(scope="module")
def old(story: Story, key: Path) -> Iterator[Foreign]:
    """Debian 12, SSH on another port, for users who are not root."""
    public = key.with_suffix(".pub").read_text().strip()
    with machine(story.lab, f"{SERVER}-old", "debian-12", 2222, user_data=USER_DATA.format(key=public)) as made:
        yield made


@pytest.fixture(scope="module")
def bare(story: Story, key: Path) -> Iterator[Foreign]:
    """Debian 13, root let in by key."""
    with machine(story.lab, f"{SERVER}-bare", "debian-13", 22, public_key=key.with_suffix(".pub").read_text()) as made:
        # Another account of the image's own has the key too; here only root's is of interest.
        made.script("until [ -e /var/lib/cloud/instance/boot-finished ]; do sleep 0.2; done; rm -f /home/*/.ssh/*")
        yield made


def refused(story: Story, *arguments: str, extra: dict[str, str] | None = None) -> dict[str, Any]:
    with pytest.raises(StepError) as failure:
        story.run(*arguments, extra=extra)
    return failure.value.error


def kept(story: Story, name: str) -> dict[str, bool]:
    """Whether anything of a server is in the home."""
    home = Home(str(story.home))
    known_hosts = home.read("known_hosts") or ""
    found = subprocess.run(
        ["ssh-keygen", "-F", f"adopted-{name}", "-f", story.home / "known_hosts"], capture_output=True, check=False
    )
    return {
        "vault": bool(Vault(home).get(f"ssh_keys/{name}")),
        "state": name in State(home).load()["servers"],
        "key": (story.home / "ssh_keys" / name).exists() or (story.home / "ssh_keys" / f"{name}.pub").exists(),
        "host key": bool(known_hosts) and found.returncode == 0,
    }


# Makes a machine one that will not do, for a while.
Spoiler = Callable[[Foreign], AbstractContextManager[None]]
NOTHING = {"vault": False, "state": False, "key": False, "host key": False}


# --- adopting
@pytest.mark.parametrize(
    "case",
    [
        (["--user", "admin", "--private-key", "OTHER"], "SSH_UNAUTHORIZED", "Permission denied"),
        (["--user", "admin", "--port", "2223"], "SERVER_UNREACHABLE", "refused"),
        (["--user", "plain"], "SUDO_UNAUTHORIZED", "NOPASSWD"),
        (["--user", "admin", "--domain", "old.example.com"], "INPUT_INVALID", "in the DNS zone lab.test"),
        (["--user", "admin", "--private-key", "/nowhere"], "INPUT_INVALID", "/nowhere"),
    ],
    ids=["key", "port", "sudo", "domain", "file"],
)
def test_a_server_that_cannot_be_adopted_leaves_nothing_behind(
    story: Story, old: Foreign, key: Path, tmp_path: Path, case: tuple[list[str], str, str]
) -> None:
    arguments, code, said = case
    given = {"--port": "2222", "--private-key": str(key)}
    given |= dict(zip(arguments[::2], arguments[1::2], strict=True))
    if given["--private-key"] == "OTHER":
        given["--private-key"] = str(new_key(tmp_path))
    error = refused(story, "server", "adopt", "old", old.address, *(word for pair in given.items() for word in pair))
    assert (error["code"], said in error["message"]) == (code, True), error
    assert kept(story, "old") == NOTHING


def test_a_host_name_that_nobody_knows_is_said(story: Story) -> None:
    error = refused(story, "server", "adopt", "old", f"nowhere.{story.lab.zone}")
    assert error["code"] == "SERVER_UNREACHABLE" and "no IPv4 address" in error["message"]


@contextmanager
def another_system(server: Foreign) -> Iterator[None]:
    """While it says that it is a system that we do not know."""
    server.script(
        "sed -i.kept -e 's/^VERSION_ID=.*/VERSION_ID=\"11\"/' -e 's/^VERSION=.*/VERSION=\"11\"/' /etc/os-release\n"
        "cp /etc/debian_version /etc/debian_version.kept; echo 11.1 > /etc/debian_version"
    )
    try:
        yield
    finally:
        server.script("cd /etc; mv os-release.kept os-release; mv debian_version.kept debian_version")


def test_another_system_is_not_adopted(story: Story, bare: Foreign, key: Path) -> None:
    with another_system(bare):
        error = refused(story, "server", "adopt", "bare", bare.address, "--private-key", str(key))
    assert error["code"] == "SERVER_UNSUITABLE"
    assert "it runs Debian 11" in error["message"] and "Ubuntu 24.04" in error["message"]
    assert kept(story, "bare") == NOTHING
    assert "livchat" not in bare.run("cat", "/root/.ssh/authorized_keys")


@pytest.fixture(scope="module")
def adopted(story: Story, old: Foreign, key: Path) -> Iterator[dict[str, Any]]:
    """Adopted with the operator's key file, as a user who is not root, on another port."""
    arguments = ["--user", "admin", "--port", "2222", "--private-key", str(key)]
    yield story.run("server", "adopt", "old", old.address, *arguments)
    if kept(story, "old")["state"]:
        story.run("server", "destroy", "old", "--yes")


@contextmanager
def agent(key: Path) -> Iterator[dict[str, str]]:
    """An SSH agent that holds the key; the environment that leads to it."""
    said = subprocess.run(["ssh-agent", "-s"], capture_output=True, text=True, check=True).stdout
    words = dict(part.split("=", 1) for part in said.replace("\n", "").split(";") if "=" in part)
    environment = {name: words[name] for name in ("SSH_AUTH_SOCK", "SSH_AGENT_PID")}
    try:
        subprocess.run(["ssh-add", "-q", key], check=True, env={**os.environ, **environment})
        yield environment
    finally:
        subprocess.run(["ssh-agent", "-k"], env={**os.environ, **environment}, check=True, capture_output=True)


@pytest.fixture(scope="module")
def taken_in(story: Story, bare: Foreign, key: Path) -> Iterator[dict[str, Any]]:
    """Adopted by its host name, with a key of the agent, as root; its own key is of RSA."""
    cloudflare = Cloudflare(api_token=story.lab.cloudflare_token, base_url=story.lab.cloudflare_url)
    (zone,) = cloudflare.zones.list(name=story.lab.zone)
    host = f"{bare.name}.{story.lab.zone}"
    record = cloudflare.dns.records.create(zone_id=zone.id, name=host, type="A", content=bare.address, ttl=60)
    assert record
    with agent(key) as environment:
        yield story.run("server", "adopt", "bare", host, "--key-type", "rsa", extra=environment)
    cloudflare.dns.records.delete(record.id, zone_id=zone.id)
    if kept(story, "bare")["state"]:
        story.run("server", "destroy", "bare", "--yes")


def test_an_adopted_server_lets_our_key_in_alone(story: Story, adopted: dict[str, Any], old: Foreign) -> None:
    assert adopted == {
        "name": "old",
        "changed": True,
        "ip_address": old.address,
        "domain": f"old.{story.lab.zone}",
    }
    private = story.home / "ssh_keys" / "old"
    assert private.stat().st_mode & 0o777 == 0o600 and private.read_text() == story.secret("ssh_keys/old")
    options = ["-F", "none", "-o", "IdentityAgent=none", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"]
    options += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    command = ["ssh", *options, "-i", str(private), "-p", "2222", f"admin@{old.address}", "id", "-un"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "admin\n"
    # Operations are root's.
    (ran,) = story.run("exec", "--target", "old", "--", "id", "-un")
    assert ran["stdout"] == "root"


def test_adopting_again_changes_nothing_and_needs_no_other_key(
    story: Story, adopted: dict[str, Any], old: Foreign
) -> None:
    state, keys = (story.home / "state.json").read_text(), old.run("cat", "/home/admin/.ssh/authorized_keys")
    again = story.run("server", "adopt", "old", old.address, "--user", "admin", "--port", "2222")
    assert again == {**adopted, "changed": False}
    assert (story.home / "state.json").read_text() == state
    assert old.run("cat", "/home/admin/.ssh/authorized_keys") == keys


@pytest.mark.usefixtures("adopted")
def test_a_name_is_not_given_to_another_machine(story: Story, bare: Foreign, key: Path) -> None:
    error = refused(story, "server", "adopt", "old", bare.address, "--private-key", str(key))
    assert error["code"] == "SERVER_NAME_CONFLICT" and "its host key differs" in error["message"], error
    assert all(kept(story, "old").values())


def test_a_server_adopted_by_name_with_the_agents_key(story: Story, taken_in: dict[str, Any], bare: Foreign) -> None:
    assert (taken_in["changed"], taken_in["ip_address"]) == (True, bare.address)
    assert (story.home / "ssh_keys" / "bare.pub").read_text().startswith("ssh-rsa ")
    (ran,) = story.run("exec", "--target", "bare", "--", "id", "-un")
    assert ran["stdout"] == "root"


@pytest.mark.usefixtures("taken_in")
def test_an_address_that_is_taken_is_refused(story: Story, bare: Foreign, key: Path) -> None:
    error = refused(story, "server", "adopt", "other", bare.address, "--private-key", str(key))
    assert error["code"] == "SERVER_ADDRESS_CONFLICT" and "known as bare" in error["message"], error
    assert kept(story, "other") == NOTHING


# --- setups that must not begin
@contextmanager
def a_web_server(server: Foreign) -> Iterator[None]:
    """While a program of that name has the port of HTTPS."""
    server.script(
        "cp $(readlink -f /usr/bin/python3) /usr/local/bin/nginx\n"
        "systemd-run --quiet --collect --unit=nginx /usr/local/bin/nginx -m http.server 443\n"
        "until (: < /dev/tcp/127.0.0.1/443) 2>/dev/null; do sleep 0.1; done"
    )
    try:
        yield
    finally:
        server.script("systemctl stop nginx; rm /usr/local/bin/nginx")


@contextmanager
def no_route(server: Foreign) -> Iterator[None]:
    route = server.run("ip", "-4", "route", "show", "default").split()
    server.run("ip", "route", "del", "default")
    try:
        yield
    finally:
        server.run("ip", "route", "add", *route)


@contextmanager
def broken_packages(server: Foreign) -> Iterator[None]:
    """While a package is there that needs one that is not."""
    server.script(
        "mkdir -p /tmp/broken/DEBIAN\n"
        "printf 'Package: broken\\nVersion: 1\\nArchitecture: all\\nMaintainer: a <a@b.c>\\nDepends: nowhere\\n"
        "Description: x\\n' > /tmp/broken/DEBIAN/control\n"
        "dpkg-deb --build /tmp/broken /tmp/broken.deb\n"
        "dpkg --force-depends -i /tmp/broken.deb"
    )
    try:
        yield
    finally:
        server.run("dpkg", "--purge", "broken")


@contextmanager
def locked_packages(server: Foreign) -> Iterator[None]:
    """While another program changes packages."""
    lock = "open('/var/lib/dpkg/lock-frontend', 'w')"
    hold = f"import fcntl, time; lock = {lock}; fcntl.lockf(lock, fcntl.LOCK_EX); time.sleep(900)"
    server.run("systemd-run", "--quiet", "--collect", "--unit=updates", "python3", "-c", hold)
    time.sleep(1)
    try:
        yield
    finally:
        server.run("systemctl", "stop", "updates")


def on_server(server: Foreign) -> str:
    """What a setup changes first."""
    return server.script("ls -la --time-style=full-iso /etc /etc/apt/apt.conf.d /etc/ssh/sshd_config.d; hostname")


@pytest.mark.parametrize(
    "case",
    [
        (another_system, "SERVER_UNSUITABLE", "it runs Debian 11; supported: Debian 12, "),
        (no_route, "SERVER_UNSUITABLE", "no default route for IPv4"),
        (a_web_server, "PORT_TAKEN", "nginx (nginx.service) has port 443/tcp; stop it"),
        (broken_packages, "PACKAGES_BROKEN", "nowhere"),
    ],
)
def test_a_server_that_will_not_do_is_not_touched(
    story: Story, taken_in: dict[str, Any], bare: Foreign, case: tuple[Spoiler, str, str]
) -> None:
    spoilt, code, said = case
    with spoilt(bare):
        before = on_server(bare)
        error = refused(story, "server", "setup", "bare")
        assert on_server(bare) == before
    assert (error["code"], said in error["message"]) == (code, True), error
    assert error["message"].startswith("bare will not do: ")


def test_all_that_is_wrong_is_said_at_once(story: Story, taken_in: dict[str, Any], bare: Foreign) -> None:
    printed = setup_with(story, {"base_min_memory_mb": 10**9, "base_min_disk_gb": 10**6})
    assert "MB of memory; 1000000000 are needed; and it has" in printed
    assert "GB of disk free; 1000000 are needed" in printed
    with locked_packages(bare), a_web_server(bare):
        printed = setup_with(story, {"base_lock_patience": 1})
    assert "nginx (nginx.service) has port 443/tcp" in printed
    assert "has been changing packages for more than 1 s" in printed and "python3 (process " in printed


def setup_with(story: Story, variables: dict[str, Any]) -> str:
    """What a bare ansible-playbook prints that fails, with variables that no front door has."""
    done = story.bare("setup", {"target": "bare", **variables})
    assert done.returncode == 2, done.stdout
    return " ".join(done.stdout.split())


def test_a_zone_that_is_not_ours_ends_a_setup_before_it_begins(story: Story, taken_in: dict[str, Any]) -> None:
    config = story.home / "config.yaml"
    before = config.read_text()
    for zone, code in (("not-ours.example", "DNS_NAME_INVALID"), ("test", "DNS_ZONE_NOT_FOUND")):
        config.write_text(before.replace(f"zone: {story.lab.zone}", f"zone: {zone}"))
        try:
            error = refused(story, "server", "setup", "bare")
        finally:
            config.write_text(before)
        assert error["code"] == code and zone in error["message"], error


def test_a_token_that_may_only_read_the_zone_ends_a_setup_before_it_begins(
    story: Story, taken_in: dict[str, Any]
) -> None:
    vault = Vault(Home(str(story.home)))
    vault.set("tokens/cloudflare", lesser_token(story.lab))
    try:
        error = refused(story, "server", "setup", "bare")
    finally:
        vault.set("tokens/cloudflare", story.lab.cloudflare_token)
    assert error["code"] == "DNS_TOKEN_FORBIDDEN" and "DNS Edit" in error["message"]


def lesser_token(lab: LabConfig) -> str:
    request = urllib.request.Request(
        lab.cloudflare_url.replace("/client/v4", "/_lab/tokens"),
        json.dumps({"permissions": ["Zone.Read", "DNS.Read"]}).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {lab.cloudflare_token}"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(json.load(answer)["value"])


# --- from the setup to the end
@pytest.fixture(scope="module")
def running(story: Story, adopted: dict[str, Any]) -> Any:
    """The adopted server, set up and given Redis."""
    story.setup("old")
    (installed,) = story.install("old", "redis")
    return installed


def test_an_adopted_server_of_another_release_is_set_up_and_runs_an_application(
    story: Story, running: Any, old: Foreign
) -> None:
    assert running["changed"] is True
    assert story.install("old", "redis")[0]["changed"] is False
    assert "tcp dport { 80, 443, 2222 } accept" in old.run("nft", "list", "table", "inet", "livchat")
    # A setup right after one finds nothing to do, also through sudo.
    assert story.setup("old") == ["old"]
    log = sorted((story.home / "jobs").glob("*/log"))[-1].read_text()
    assert "changed=0" in log and "Install Docker" not in log
    assert "TASK [livchat.setup.base" not in log


def test_what_is_shown_of_a_server(story: Story, running: Any, old: Foreign) -> None:
    shown = story.run("server", "show", "old")
    assert (shown["provider"], shown["status"], shown["ip_address"]) == ("adopted", "ready", old.address)
    assert (shown["reachable"], shown["domain"]) == (True, f"old.{story.lab.zone}")
    assert set(shown["resources"]) == {"cpu_cores", "memory_mb", "disk_gb"}
    assert (shown["facts"]["os"]["id"], shown["facts"]["os"]["version"]) == ("debian", "12")
    assert shown["docker"]["version"].startswith("20.10") and shown["docker"]["swarm"]["is_manager"] is True
    assert shown["setup"]["state"] == "done" and shown["setup"]["at"] >= shown["created_at"]
    apps = {one["instance"]: one for one in shown["installed"]}
    assert set(apps) == {"traefik", "portainer", "redis"}
    assert (apps["redis"]["running"], apps["redis"]["volumes"]) == (1, ["redis_data"])
    assert apps["portainer"]["domains"] == [f"portainer.old.{story.lab.zone}"]
    (listed,) = (one for one in story.run("server", "list") if one["name"] == "old")
    assert (listed["status"], listed["applications"]) == ("ready", ["redis"])


def test_what_would_be_lost_is_said_before(story: Story, running: Any, old: Foreign) -> None:
    (loss,) = story.run("server", "loss", "old")
    assert (loss["removed"], loss["reachable"]) == (False, True)
    (redis,) = (one for one in loss["applications"] if one["instance"] == "redis")
    assert redis["volumes"] == ["redis_data"]
    assert loss["dns_records"] == [f"portainer.old.{story.lab.zone}"]
    assert "only forgotten" in loss["summary"][0] and "redis 8.0.4: volume redis_data" in loss["summary"]


def test_a_server_that_is_off_is_shown_with_what_is_remembered(story: Story, running: Any, old: Foreign) -> None:
    with old.off():
        shown = story.run("server", "show", "old", extra={"ANSIBLE_TIMEOUT": "3"})
        (loss,) = story.run("server", "loss", "old", extra={"ANSIBLE_TIMEOUT": "3"})
    assert (shown["name"], shown["reachable"], shown["installed"]) == ("old", False, [])
    assert (shown["applications"], shown["setup"]["state"]) == (["redis"], "done")
    assert shown["unreachable"]
    assert loss["reachable"] is False and "it does not answer" in loss["summary"][1]
    (redis,) = loss["applications"]
    assert (redis["instance"], redis["volumes"]) == ("redis", ["redis_data"])


def test_an_owner_is_not_locked_out(story: Story, taken_in: dict[str, Any], bare: Foreign, key: Path) -> None:
    public = key.with_suffix(".pub").read_text()
    bare.run("sed", "-i", "/operator/d", "/root/.ssh/authorized_keys")
    error = refused(story, "server", "destroy", "bare", "--yes")
    assert error["code"] == "SERVER_LAST_KEY" and "Add a key of yours" in error["message"]
    assert all(kept(story, "bare").values())
    bare.run("tee", "-a", "/root/.ssh/authorized_keys", stdin=public)
    gone = story.run("server", "destroy", "bare", "--yes")
    assert (gone["adopted"], gone["key_removed"]) == (True, True)
    assert kept(story, "bare") == NOTHING
    assert bare.run("cat", "/root/.ssh/authorized_keys") == public


def test_forgetting_an_adopted_server_leaves_it_running(story: Story, running: Any, old: Foreign) -> None:
    gone = story.run("server", "destroy", "old", "--yes")
    assert (gone["adopted"], gone["dns_records"]) == (True, [f"portainer.old.{story.lab.zone}"])
    assert kept(story, "old") == NOTHING
    assert "old" not in {one["name"] for one in story.run("server", "list")}
    assert old.run("docker", "service", "ls", "--format", "{{.Name}} {{.Replicas}}").count("1/1") == 3
    assert "livchat" not in old.run("cat", "/home/admin/.ssh/authorized_keys")


def test_a_server_with_an_rsa_key(story: Story) -> None:
    name = f"{SERVER}-rsa"
    try:
        story.run("server", "create", name, "--domain", f"{name}.{story.lab.zone}", "--key-type", "rsa")
        public = story.home / "ssh_keys" / f"{name}.pub"
        said = subprocess.run(["ssh-keygen", "-l", "-f", public], capture_output=True, text=True, check=True).stdout
        assert said.startswith("4096 ") and said.endswith("(RSA)\n")
        (ran,) = story.run("exec", "--target", name, "--", "true")
        assert ran["rc"] == 0
        (loss,) = story.run("server", "loss", name)
        assert loss["removed"] is True and "all data on it is lost for good" in loss["summary"][0]
    finally:
        story.run("server", "destroy", name, "--yes")
