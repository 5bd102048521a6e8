"""What keeps a setup from beginning: from facts, from the kernel, from a Docker engine that answers as told."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.livchat.setup.plugins.module_utils._errors import LivchatError
from ansible_collections.livchat.setup.plugins.modules import preflight

PARAMS = {
    "systems": ["Debian 12", "Debian 13", "Ubuntu 22.04", "Ubuntu 24.04"],
    "min_memory_mb": 1000,
    "min_disk_gb": 8,
}
GOOD = {
    "ansible_distribution": "Debian",
    "ansible_distribution_major_version": "13",
    "ansible_distribution_version": "13.1",
    "ansible_architecture": "x86_64",
    "ansible_service_mgr": "systemd",
    "ansible_memtotal_mb": 1900,
    "ansible_processor_vcpus": 2,
    "ansible_mounts": [{"mount": "/", "size_available": 20 * 10**9, "size_total": 40 * 10**9}],
    "ansible_default_ipv4": {"address": "203.0.113.7"},
}


def system(name: str, version: str) -> dict[str, str]:
    return {
        "ansible_distribution": name,
        "ansible_distribution_version": version,
        "ansible_distribution_major_version": version.partition(".")[0],
    }


@pytest.mark.parametrize(
    ("facts", "name", "suits"),
    [
        (system("Debian", "12.11"), "Debian 12", True),
        (system("Debian", "13.1"), "Debian 13", True),
        (system("Ubuntu", "22.04"), "Ubuntu 22.04", True),
        (system("Ubuntu", "24.04"), "Ubuntu 24.04", True),
        (system("Debian", "11.9"), "Debian 11", False),
        (system("Ubuntu", "20.04"), "Ubuntu 20.04", False),
        # Not what its first number might make of it.
        (system("Ubuntu", "24.10"), "Ubuntu 24.10", False),
        (system("AlmaLinux", "9.4"), "AlmaLinux 9.4", False),
    ],
)
def test_systems(facts: dict[str, str], name: str, suits: bool) -> None:
    assert preflight.system(facts) == name
    reasons = list(preflight.machine_reasons({**GOOD, **facts}, PARAMS))
    assert reasons == [] if suits else name in reasons[0] and "Ubuntu 24.04" in reasons[0]


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"ansible_memtotal_mb": 480}, "480 MB of memory; 1000 are needed"),
        ({"ansible_mounts": [{"mount": "/", "size_available": 79 * 10**8}]}, "7.9 GB of disk free; 8 are needed"),
        ({"ansible_mounts": []}, "0.0 GB of disk free"),
        ({"ansible_default_ipv4": {}}, "no default route for IPv4"),
        ({"ansible_architecture": "armv7l"}, "armv7l"),
        ({"ansible_service_mgr": "sysvinit"}, "not run by systemd"),
    ],
)
def test_machines_that_will_not_do(facts: dict[str, Any], said: str) -> None:
    (reason,) = preflight.machine_reasons({**GOOD, **facts}, PARAMS)
    assert said in reason


def test_a_disk_of_its_own_for_docker_counts() -> None:
    facts = {
        **GOOD,
        "ansible_mounts": [
            {"mount": "/", "size_available": 10**9, "size_total": 5 * 10**9},
            {"mount": "/var/lib/docker", "size_available": 90 * 10**9, "size_total": 100 * 10**9},
            {"mount": "/mnt/backup", "size_available": 900 * 10**9, "size_total": 1000 * 10**9},
        ],
    }
    assert list(preflight.machine_reasons(facts, PARAMS)) == []
    assert preflight.resources(facts) == {"cpu_cores": 2, "memory_mb": 1900, "disk_gb": 100}


def test_several_reasons_are_one_error_with_all_of_them() -> None:
    with pytest.raises(LivchatError) as caught:
        preflight.check("prod", [("PORT_TAKEN", "one"), ("PACKAGES_BROKEN", "two")])
    assert (caught.value.code, caught.value.message) == ("PORT_TAKEN", "prod will not do: one; and two")
    assert [one["code"] for one in caught.value.details["reasons"]] == ["PORT_TAKEN", "PACKAGES_BROKEN"]
    preflight.check("prod", [])


# --- who listens
@pytest.fixture
def listener() -> Iterator[int]:
    """A port that this process listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_the_kernel_tells_who_listens(listener: int) -> None:
    listeners = preflight.Listeners()
    sockets = listeners.sockets({f"{listener}/tcp", f"{listener}/udp"})
    assert set(sockets.values()) == {f"{listener}/tcp"}
    (program,) = listeners.programs(sockets).values()
    assert program["pid"] == os.getpid() and program["name"]


def test_a_connection_is_no_listener(listener: int) -> None:
    with socket.create_connection(("127.0.0.1", listener)) as connection:
        own = connection.getsockname()[1]
        assert preflight.Listeners().sockets({f"{own}/tcp"}) == {}


@pytest.mark.parametrize(
    ("cgroup", "unit", "container"),
    [
        ("0::/system.slice/nginx.service\n", "nginx.service", ""),
        ("9:name=systemd:/system.slice/apache2.service\n8:pids:/system.slice/apache2.service\n", "apache2.service", ""),
        (f"0::/system.slice/docker-{'ab' * 32}.scope\n", "", "ab" * 32),
        (f"9:name=systemd:/docker/{'cd' * 32}\n", "", "cd" * 32),
        ("0::/user.slice/user-0.slice/session-1.scope\n", "", ""),
    ],
)
def test_a_process_tells_its_unit_or_its_container(tmp_path: Path, cgroup: str, unit: str, container: str) -> None:
    folder = tmp_path / "812"
    (folder / "fd").mkdir(parents=True)
    (folder / "fd" / "3").symlink_to("socket:[77]")
    (folder / "comm").write_text("nginx\n")
    (folder / "cgroup").write_text(cgroup)
    found = preflight.Listeners(str(tmp_path)).programs({"77": "80/tcp"})
    assert found == {"77": {"pid": 812, "name": "nginx", "unit": unit, "container": container}}


@pytest.mark.parametrize(
    ("told", "port"),
    [("198.51.100.4 50022 10.0.0.2 2222", 2222), ("2001:db8::4 50022 2001:db8::2 22", 22), ("", 0)],
)
def test_the_port_of_the_connection_is_known_behind_a_sudo(tmp_path: Path, told: str, port: int) -> None:
    """This process has no environment left, its parent has, and below that is the system's first."""
    session = f"HOME=/home/admin\0SSH_CONNECTION={told}\0".encode() if told else b""
    for pid, parent, environment in ((str(os.getpid()), "900", b"LANG=C\0"), ("900", "1", session), ("1", "0", b"")):
        folder = tmp_path / pid
        folder.mkdir()
        (folder / "environ").write_bytes(environment)
        (folder / "status").write_text(f"Name:\tx\nPPid:\t{parent}\n")
    assert preflight.ssh_port(str(tmp_path)) == port


class Kernel:
    """Listeners as told: port to program, or to None for the kernel's own."""

    def __init__(self, **programs: Any) -> None:
        self._programs = programs

    def sockets(self, wanted: set[str]) -> dict[str, str]:
        ports = {inode: inode.strip("_").replace("_", "/") for inode in self._programs}
        return {inode: port for inode, port in ports.items() if port in wanted}

    def programs(self, inodes: Any) -> dict[str, Any]:
        base = {"pid": 812, "unit": "", "container": ""}
        return {inode: {**base, **self._programs[inode]} for inode in inodes if self._programs[inode]}


class Engine:
    """The Docker engine with answers as told."""

    def __init__(self, **answers: Any) -> None:
        self._answers = {"/" + path.replace("_", "/"): answer for path, answer in answers.items()}

    def get(self, path: str) -> Any:
        if path not in self._answers:
            raise LivchatError("ENGINE_UNREACHABLE", "no engine")
        return self._answers[path]


MANAGER = {"Swarm": {"LocalNodeState": "active", "ControlAvailable": True}}
PORTS = ["80/tcp", "443/tcp", "2377/tcp", "7946/tcp", "7946/udp", "4789/udp"]
STACKS = ["traefik", "portainer"]


def taken(kernel: Kernel, engine: Engine | None = None) -> list[str]:
    docker = preflight.Docker(engine or Engine())
    reasons = list(preflight.port_reasons(PORTS, STACKS, kernel, docker))
    assert {code for code, _ in reasons} <= {"PORT_TAKEN"}
    return [message for _, message in reasons]


def container(name: str, *ports: int, **labels: str) -> dict[str, Any]:
    return {
        "Id": "ab" * 32,
        "Names": [f"/{name}"],
        "Image": f"{name}:1",
        "Labels": {key.replace("_", "."): value for key, value in labels.items()},
        "Ports": [{"PrivatePort": 80, "PublicPort": port, "Type": "tcp"} for port in ports],
    }


def test_a_program_that_has_ports_is_named_once() -> None:
    nginx = {"name": "nginx", "unit": "nginx.service"}
    (said,) = taken(Kernel(_80_tcp=nginx, _443_tcp=nginx))
    assert said.startswith("nginx (nginx.service) has port 80/tcp, 443/tcp")
    assert taken(Kernel(_22_tcp={"name": "sshd"})) == []
    (said,) = taken(Kernel(_2377_tcp={"name": "consul"}))
    assert said.startswith("consul (process 812) has port 2377/tcp")


def test_what_docker_holds_for_us_is_ours() -> None:
    proxy, daemon = {"name": "docker-proxy"}, {"name": "dockerd"}
    ours = container("traefik_traefik.1.x", 80, 443, com_docker_stack_namespace="traefik")
    kernel = Kernel(_80_tcp=proxy, _443_tcp=proxy, _2377_tcp=daemon, _7946_tcp=daemon, _7946_udp=daemon, _4789_udp=None)
    assert taken(kernel, Engine(info=MANAGER, containers_json=[ours], services=[])) == []


def test_what_docker_holds_for_others_is_named() -> None:
    proxy = {"name": "docker-proxy"}
    engine = Engine(info=MANAGER, containers_json=[container("web", 80)], services=[])
    (said,) = taken(Kernel(_80_tcp=proxy), engine)
    assert said.startswith("the container web (image web:1) has port 80/tcp")
    service = {"Spec": {"Name": "shop_web"}, "Endpoint": {"Ports": [{"PublishedPort": 443, "Protocol": "tcp"}]}}
    engine = Engine(info=MANAGER, containers_json=[], services=[service])
    (said,) = taken(Kernel(_443_tcp={"name": "dockerd"}), engine)
    assert said.startswith("the Swarm's service shop_web has port 443/tcp")
    # On the network of the host itself.
    engine = Engine(info=MANAGER, containers_json=[container("caddy")], services=[])
    (said,) = taken(Kernel(_80_tcp={"name": "caddy", "container": "ab" * 32}), engine)
    assert said.startswith("the container caddy (image caddy:1) has port 80/tcp")


# --- the Swarm
def swarm_reasons(info: dict[str, Any], services: Any = ()) -> list[tuple[str, str]]:
    return list(preflight.Docker(Engine(info=info, services=list(services))).reasons(STACKS))


def test_a_worker_of_another_swarm_is_told_to_leave() -> None:
    swarm = {"LocalNodeState": "active", "ControlAvailable": False, "RemoteManagers": [{"Addr": "198.51.100.1:2377"}]}
    ((code, said),) = swarm_reasons({"Swarm": swarm})
    assert code == "SWARM_NOT_MANAGER" and "198.51.100.1:2377" in said and "docker swarm leave" in said
    assert [code for code, _ in swarm_reasons({"Swarm": {"LocalNodeState": "locked"}})] == ["SWARM_NOT_MANAGER"]
    assert swarm_reasons({"Swarm": {"LocalNodeState": "inactive"}}) == []
    assert list(preflight.Docker(Engine()).reasons(STACKS)) == []


def test_a_stack_of_another_maker_under_the_name_of_ours_is_refused() -> None:
    theirs = {"Spec": {"Name": "traefik_app", "Labels": {"com.docker.stack.namespace": "traefik"}}}
    ours = {"Spec": {"Name": "traefik_traefik", "Labels": {**theirs["Spec"]["Labels"], "livchat.app": "traefik"}}}
    other = {"Spec": {"Name": "shop_web", "Labels": {"com.docker.stack.namespace": "shop"}}}
    assert swarm_reasons(MANAGER, [ours, other]) == []
    ((code, said),) = swarm_reasons(MANAGER, [theirs])
    assert code == "STACK_CONFLICT" and "docker stack rm traefik" in said


# --- packages
def hold(path: str, locked: Any, done: Any) -> None:
    with Path(path).open("w") as handle:
        fcntl.lockf(handle, fcntl.LOCK_EX)
        locked.set()
        done.wait(60)


class Module:
    def __init__(self, code: int = 0, err: str = "") -> None:
        self._answer = (code, "", err)
        self.ran: list[list[str]] = []

    def run_command(self, command: list[str]) -> tuple[int, str, str]:
        self.ran.append(command)
        return self._answer


def test_packages_that_another_program_changes(tmp_path: Path) -> None:
    lock = str(tmp_path / "lock-frontend")
    Path(lock).touch()
    processes = multiprocessing.get_context("spawn")
    locked, done = processes.Event(), processes.Event()
    holder = processes.Process(target=hold, args=(lock, locked, done))
    holder.start()
    try:
        assert locked.wait(60)
        module = Module()
        ((code, said),) = preflight.Packages(module, [str(tmp_path / "none"), lock]).reasons(0)
        assert code == "PACKAGES_LOCKED" and f"(process {holder.pid})" in said
        assert module.ran == []
        done.set()
        holder.join()
        # It is gone while somebody waits.
        assert list(preflight.Packages(module, [lock]).reasons(30)) == []
    finally:
        done.set()
        holder.join()


def test_broken_packages() -> None:
    said = " broken : Depends: nowhere but it is not installable\nE: Unmet dependencies."
    ((code, message),) = preflight.Packages(Module(100, said), []).reasons(0)
    assert code == "PACKAGES_BROKEN" and "Depends: nowhere" in message and "--fix-broken" in message
