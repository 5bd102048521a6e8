#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
author: LivChat (@livchat)
version_added: 0.1.0
short_description: Whether a server will do, and its facts, in one remote call
description:
  - Gathers the facts that M(ansible.builtin.setup) would, and looks for whatever a setup would fail on later.
  - Another operating system, too little memory or disk, no way out, ports that other programs have, packages that are
    locked or broken, a Swarm that another server manages, stacks of other makers under the names of ours.
  - Changes nothing. Everything that is wrong is told at once.
attributes:
  check_mode:
    support: full
    description: It only reads.
  diff_mode:
    support: none
    description: It changes nothing.
options:
  host:
    description: What the server is called in messages.
    type: str
    required: true
  systems:
    description: Operating systems that will do.
    type: list
    elements: str
    default: [Debian 12, Debian 13, Ubuntu 22.04, Ubuntu 24.04]
  min_memory_mb:
    description: Memory in MB the server must have.
    type: int
    default: 0
  min_disk_gb:
    description: Disk space in GB (of 10^9 bytes) that must be free.
    type: int
    default: 0
  ports:
    description: >-
      Ports that no other program may have, such as V(80/tcp). What Docker holds for the Swarm or for the stacks of
      O(stacks) is ours.
    type: list
    elements: str
    default: []
  stacks:
    description: Stacks of ours. One of such a name whose services lack the label C(livchat.app) is somebody else's.
    type: list
    elements: str
    default: []
  packages:
    description: Whether packages are going to be installed, so that they must be neither locked nor broken.
    type: bool
    default: false
  lock_patience:
    description: Seconds to wait for another program, such as an automatic update, that is changing packages.
    type: int
    default: 300
"""

EXAMPLES = r"""
- name: See whether the server will do
  livchat.setup.preflight:
    host: "{{ inventory_hostname }}"
    min_memory_mb: 1000
    min_disk_gb: 8
    ports: [80/tcp, 443/tcp]
    packages: true
"""

RETURN = r"""
ansible_facts:
  description: The facts of M(ansible.builtin.setup), of the subsets C(hardware), C(network) and C(virtual) too.
  returned: success
  type: dict
resources:
  description: What the server has.
  returned: success
  type: dict
  sample: {cpu_cores: 2, memory_mb: 3837, disk_gb: 40}
nftables:
  description: Whether C(nft) is there already, so that ports can be closed before anything is installed.
  returned: success
  type: bool
ssh_port:
  description:
    - Port of the server to which the operator's SSH connection goes; where addresses are translated on the way, it is
      not the one that the operator names.
    - V(0) where the module was not run over SSH.
  returned: success
  type: int
  sample: 22
time_daemon:
  description: Whether a program keeps the clock right, be it C(systemd-timesyncd), chrony or an NTP daemon.
  returned: success
  type: bool
error:
  description: >-
    Code, message and details of what is wrong; C(details.reasons) holds each of several reasons with its code.
  returned: failure
  type: dict
"""

import contextlib
import fcntl
import os
import re
import struct
import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.facts import ansible_collector, default_collectors
from ansible.module_utils.facts.namespace import PrefixFactNamespace

from ..module_utils._engine import SOCKET, EngineClient
from ..module_utils._errors import LivchatError, fail

SUBSETS = ["min", "hardware", "network", "virtual", "date_time"]
# They exclude one another as packages.
TIME_DAEMONS = ("/usr/lib/systemd/systemd-timesyncd", "chronyd", "ntpd")
# Whose images there are.
ARCHITECTURES = ("x86_64", "aarch64")
# Where a distribution of Docker's keeps its data; the largest free of these counts.
PLACES = ("/", "/var", "/var/lib", "/var/lib/docker")
# Of /proc/net/tcp and /proc/net/udp: a TCP socket that listens, a UDP socket that is bound.
LISTENING = {"tcp": "0A", "udp": "07"}
# Of these the second tells only that Docker holds the port, and the engine has to say for whom.
DOCKER = ("dockerd", "docker-proxy")
# docs.docker.com/engine/swarm/swarm-tutorial: control plane, gossip, overlay traffic.
SWARM_PORTS = ("2377/tcp", "7946/tcp", "7946/udp", "4789/udp")
# struct flock: type and whence, start, length, process.
FLOCK = "hhqqi4x"
LOCKS = ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/apt/lists/lock")


def gather(module):
    """What M(ansible.builtin.setup) gathers."""
    collector = ansible_collector.get_ansible_collector(
        all_collector_classes=default_collectors.collectors,
        namespace=PrefixFactNamespace(namespace_name="ansible", prefix="ansible_"),
        gather_subset=SUBSETS,
        minimal_gather_subset=frozenset(
            ["cmdline", "date_time", "distribution", "env", "pkg_mgr", "platform", "python", "service_mgr", "user"]
        ),
    )
    return collector.collect(module=module)


def system(facts):
    """The operating system as O(systems) names it."""
    name = facts.get("ansible_distribution", "unknown")
    field = "ansible_distribution_major_version" if name == "Debian" else "ansible_distribution_version"
    return "%s %s" % (name, facts.get(field, ""))


def mounts(facts):
    # A container shows its root file system under another name; there all count.
    found = facts.get("ansible_mounts") or []
    return [one for one in found if one.get("mount") in PLACES] or found


def resources(facts):
    return {
        "cpu_cores": facts.get("ansible_processor_vcpus") or os.cpu_count(),
        "memory_mb": facts.get("ansible_memtotal_mb", 0),
        "disk_gb": max((one.get("size_total") or 0 for one in mounts(facts)), default=0) // 10**9,
    }


def machine_reasons(facts, params):
    """Why the machine as such will not do."""
    found = system(facts)
    if found not in params["systems"]:
        yield "it runs %s; supported: %s" % (found, ", ".join(params["systems"]))
    architecture = facts.get("ansible_architecture", "")
    if architecture not in ARCHITECTURES:
        yield "its processor is of the kind %s; there are images for %s" % (architecture, ", ".join(ARCHITECTURES))
    if facts.get("ansible_service_mgr") != "systemd":
        yield "it is not run by systemd"
    memory = facts.get("ansible_memtotal_mb", 0)
    if memory < params["min_memory_mb"]:
        yield "it has %d MB of memory; %d are needed" % (memory, params["min_memory_mb"])
    free = max((one.get("size_available") or 0 for one in mounts(facts)), default=0)
    if free < params["min_disk_gb"] * 10**9:
        yield "it has %.1f GB of disk free; %d are needed" % (free / 10**9, params["min_disk_gb"])
    if not (facts.get("ansible_default_ipv4") or {}).get("address"):
        yield "it has no default route for IPv4, and cannot reach the outside"


def ssh_port(proc="/proc"):
    """The port that sshd told the session in which this runs, also behind a sudo that cleared the environment."""
    pid = str(os.getpid())
    while pid not in ("", "0"):
        with contextlib.suppress(OSError), open(os.path.join(proc, pid, "environ"), "rb") as handle:
            found = re.search(rb"(?:^|\0)SSH_CONNECTION=\S+ \S+ \S+ (\d+)(?:\0|$)", handle.read())
            if found:
                return int(found.group(1))
        parent = ""
        with contextlib.suppress(OSError), open(os.path.join(proc, pid, "status"), encoding="utf-8") as handle:
            parent = next((line.split()[1] for line in handle if line.startswith("PPid:")), "")
        pid = parent
    return 0


class Listeners:
    """Who listens on which ports."""

    def __init__(self, proc="/proc"):
        self._proc = proc

    def sockets(self, wanted):
        """Inodes of sockets that listen on the wanted ports, each with its port."""
        found = {}
        for protocol, state in LISTENING.items():
            for name in (protocol, protocol + "6"):
                for line in self._lines("net", name)[1:]:
                    fields = line.split()
                    port = "%d/%s" % (int(fields[1].rpartition(":")[2], 16), protocol)
                    if port in wanted and fields[3] == state:
                        found[fields[9]] = port
        return found

    def programs(self, inodes):
        """The process that has each of the sockets open: its number, name, unit of systemd and container."""
        found = {}
        wanted = {"socket:[%s]" % inode: inode for inode in inodes}
        for pid in filter(str.isdigit, os.listdir(self._proc) if wanted else []):
            for inode in {wanted.get(target) for target in self._opened(pid)} - {None}:
                found.setdefault(inode, self._program(pid))
        return found

    def _opened(self, pid):
        """What a process has open, but for what it closes while one looks."""
        folder = os.path.join(self._proc, pid, "fd")
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                with contextlib.suppress(OSError):
                    yield os.readlink(os.path.join(folder, name))

    def _program(self, pid):
        groups = "\n".join(self._lines(pid, "cgroup"))
        unit = re.search(r"/([^/\n]+\.service)(?:/|$)", groups, re.MULTILINE)
        container = re.search(r"docker[-/]([0-9a-f]{64})", groups)
        return {
            "pid": int(pid),
            "name": "".join(self._lines(pid, "comm")[:1]),
            "unit": unit.group(1) if unit else "",
            "container": container.group(1) if container else "",
        }

    def _lines(self, *path):
        try:
            with open(os.path.join(self._proc, *path), encoding="utf-8", errors="replace") as handle:
                return handle.read().splitlines()
        except OSError:
            return []


class Docker:
    """What the engine says, where there is one."""

    def __init__(self, engine):
        self._engine = engine
        self._info = self._ask("/info") or {}

    def _ask(self, path):
        try:
            return self._engine.get(path)
        except LivchatError:
            # One that does not run is started by the setup.
            return None

    @property
    def _swarm(self):
        return self._info.get("Swarm") or {}

    def services(self):
        return (self._ask("/services") or []) if self._swarm.get("ControlAvailable") else []

    def reasons(self, stacks):
        state = self._swarm.get("LocalNodeState", "inactive")
        if state == "active" and not self._swarm.get("ControlAvailable"):
            managers = ", ".join(one.get("Addr", "") for one in self._swarm.get("RemoteManagers") or [])
            yield (
                "SWARM_NOT_MANAGER",
                "it is a worker of the Swarm that %s manages; have it leave first (docker swarm leave)"
                % (managers or "another server"),
            )
        elif state in ("locked", "error"):
            yield "SWARM_NOT_MANAGER", "its Swarm is in the state %s; docker info tells why" % state
        strangers = set()
        for service in self.services():
            labels = service["Spec"].get("Labels") or {}
            stack = labels.get("com.docker.stack.namespace")
            if stack in stacks and "livchat.app" not in labels:
                strangers.add(stack)
        for stack in sorted(strangers):
            message = "there is a stack %s that livchat.setup did not deploy; remove it first (docker stack rm %s)"
            yield "STACK_CONFLICT", message % (stack, stack)

    def holder(self, port, stacks):
        """Who has Docker hold this port, in words; nothing when it is ours."""
        number, _slash, protocol = port.partition("/")
        for container in self._ask("/containers/json") or []:
            for one in container.get("Ports") or []:
                if str(one.get("PublicPort")) == number and one.get("Type") == protocol:
                    return self._named(container, stacks)
        for service in self.services():
            for one in (service.get("Endpoint") or {}).get("Ports") or []:
                if str(one.get("PublishedPort")) == number and one.get("Protocol") == protocol:
                    return "the Swarm's service %s" % service["Spec"]["Name"]
        # The engine itself, for the Swarm.
        return "" if port in SWARM_PORTS else "Docker"

    def container(self, number, stacks):
        """Who the container of that id is, in words; nothing when it is ours."""
        for container in self._ask("/containers/json") or []:
            if container["Id"] == number:
                return self._named(container, stacks)
        return "the container %s" % number[:12]

    @staticmethod
    def _named(container, stacks):
        if (container.get("Labels") or {}).get("com.docker.stack.namespace") in stacks:
            return ""
        name = ", ".join(one.lstrip("/") for one in container.get("Names") or [])
        return "the container %s (image %s)" % (name or container["Id"][:12], container.get("Image", ""))


def port_reasons(ports, stacks, listeners, docker):
    """Ports that others have."""
    sockets = listeners.sockets(set(ports))
    programs = listeners.programs(sockets)
    taken = {}
    for inode, port in sockets.items():
        program = programs.get(inode)
        if program is None:
            # The kernel listens itself for overlay networks.
            holder = "" if port in SWARM_PORTS else "the kernel"
        elif program["container"]:
            holder = docker.container(program["container"], stacks)
        elif program["name"] in DOCKER:
            holder = docker.holder(port, stacks)
        else:
            holder = "%s (%s)" % (program["name"], program["unit"] or "process %d" % program["pid"])
        if holder:
            taken.setdefault(holder, set()).add(port)
    for holder, held in sorted(taken.items()):
        words = ", ".join(sorted(held, key=lambda one: int(one.partition("/")[0])))
        yield "PORT_TAKEN", "%s has port %s; stop it and keep it from starting again" % (holder, words)


class Packages:
    """Whether packages can be changed."""

    def __init__(self, module, locks=LOCKS):
        self._run = module.run_command
        self._locks = locks

    def reasons(self, patience):
        holder = self._wait(patience)
        if holder:
            yield (
                "PACKAGES_LOCKED",
                "%s has been changing packages for more than %d s; wait until it ends, or see why it does not"
                % (holder, patience),
            )
            return
        # Without its locks, since it only reads. What is merely unpacked is configured by the setup.
        code, out, err = self._run(["apt-get", "--option", "Debug::NoLocking=true", "check"])
        if code:
            said = [line.strip() for line in (err + out).splitlines() if line.startswith((" ", "E:"))]
            message = "its packages are broken (%s); see `apt-get --fix-broken install` there"
            yield "PACKAGES_BROKEN", message % ("; ".join(said[:3]) or "apt-get check fails")

    def _wait(self, patience):
        deadline = time.monotonic() + patience
        while True:
            holder = next(filter(None, map(self._holder, self._locks)), "")
            if not holder or time.monotonic() >= deadline:
                return holder
            time.sleep(1)

    @staticmethod
    def _holder(path):
        """Who holds the lock, in words."""
        try:
            with open(path, "rb") as handle:
                asked = struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
                found = struct.unpack(FLOCK, fcntl.fcntl(handle, fcntl.F_GETLK, asked))
        except OSError:
            return ""
        kind, pid = found[0], found[4]
        if kind == fcntl.F_UNLCK:
            return ""
        try:
            with open("/proc/%d/comm" % pid, encoding="utf-8", errors="replace") as handle:
                return "%s (process %d)" % (handle.read().strip(), pid)
        except OSError:
            return "process %d" % pid


def check(host, reasons):
    """Raises LivchatError with the first reason's code, and all reasons."""
    told = [{"code": code, "message": message} for code, message in reasons]
    if told:
        message = "%s will not do: %s" % (host, "; and ".join(one["message"] for one in told))
        raise LivchatError(told[0]["code"], message, {"host": host, "reasons": told})


def main():
    words = {"type": "list", "elements": "str", "default": []}
    module = AnsibleModule(
        argument_spec={
            "host": {"type": "str", "required": True},
            "systems": {**words, "default": ["Debian 12", "Debian 13", "Ubuntu 22.04", "Ubuntu 24.04"]},
            "min_memory_mb": {"type": "int", "default": 0},
            "min_disk_gb": {"type": "int", "default": 0},
            "ports": words,
            "stacks": words,
            "packages": {"type": "bool", "default": False},
            "lock_patience": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    params = module.params
    facts = gather(module)
    try:
        # Nothing else is looked at on a system that nobody knows.
        check(params["host"], (("SERVER_UNSUITABLE", one) for one in machine_reasons(facts, params)))
        reasons = []
        if params["ports"] or params["stacks"]:
            docker = Docker(EngineClient(SOCKET))
            reasons += docker.reasons(params["stacks"])
            reasons += port_reasons(params["ports"], params["stacks"], Listeners(), docker)
        if params["packages"]:
            reasons += Packages(module).reasons(params["lock_patience"])
        check(params["host"], reasons)
    except LivchatError as error:
        fail(module, error)
    module.exit_json(
        changed=False,
        ansible_facts=facts,
        resources=resources(facts),
        ssh_port=ssh_port(),
        nftables=bool(module.get_bin_path("nft")),
        time_daemon=any(map(module.get_bin_path, TIME_DAEMONS)),
    )


if __name__ == "__main__":
    main()
