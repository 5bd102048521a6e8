"""A VPS of the lab: a container that boots systemd, sshd and cloud-init like a provider's machine does.

    python -m tests.lab.vps create NAME [--image debian-13] [--ssh-key FILE] [--user-data FILE]
    python -m tests.lab.vps delete NAME

makes and removes one that no cloud knows of, as an operator brings along; `create` prints its address as JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import re
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import base_image
from .config import LabConfig, load
from .engine import LabError, docker, docker_environment

# Every capability Docker 20.10 knows but CAP_SYS_RESOURCE, which the machine itself may lack; so no --privileged.
CAPABILITIES = [
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "SYSLOG",
    "WAKE_ALARM",
]

# Hetzner's images let root in by key; Debian's cloud-init does not unless told.
VENDOR_DATA: dict[str, object] = {
    "disable_root": False,
    "ssh_pwauth": False,
    "manage_resolv_conf": False,
    "manage_etc_hosts": False,
}
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9.-]{0,62}")
# How the first process of a container ends when it asks the kernel for a reboot (by SIGHUP), not for a halt.
REBOOT = 129
SHUT_DOWN_SECONDS = 20


@dataclass(frozen=True)
class Machine:
    """What a machine is made with."""

    name: str
    hostname: str
    release: str = "debian-13"
    public_keys: tuple[str, ...] = ()
    user_data: str = ""
    root_password: str | None = None
    instance_id: str = "i-lab"
    # None takes whatever address is free when it starts.
    address: str | None = None
    # What it is to whoever made it, under the lab's own label: {"server-id": "1001"}.
    labels: dict[str, str] = field(default_factory=dict)


class VpsHost:
    """Makes, powers and removes the machines of one lab.

    Raises:
        LabError: from every method, when the engine refuses.
    """

    def __init__(self, config: LabConfig) -> None:
        self._config = config

    def releases(self) -> list[str]:
        """The systems a machine can have."""
        return list(base_image.SUITES)

    def create(self, machine: Machine) -> None:
        """Makes the machine, powered off. What was made of one that fails is removed."""
        base_image.make_vps(self._config, machine.release)
        label = self._config.label
        options = ["--name", machine.name, "--hostname", machine.hostname, "--label", label]
        options += [
            option for name, value in machine.labels.items() for option in ("--label", f"{label}.{name}={value}")
        ]
        options += [option for name in CAPABILITIES for option in ("--cap-add", name)]
        for security in ("seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined"):
            options += ["--security-opt", security]
        options += ["--device-cgroup-rule", "a *:* rwm", "--cgroupns", "private", "--stop-signal", "SIGRTMIN+3"]
        options += ["--tmpfs", "/run", "--tmpfs", "/tmp:exec", "--tmpfs", "/run/lock"]
        # overlay2 does not stack on overlay2.
        options += ["--volume", f"{_volume(machine.name)}:/var/lib/docker", "--network", self._config.network]
        if machine.address:
            options += ["--ip", machine.address]
        if base_image.needs_legacy_cgroups(machine.release):
            flags = "systemd.unified_cgroup_hierarchy=0 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"
            options += ["--env", f"SYSTEMD_PROC_CMDLINE={flags}"]
        if self.exists(machine.name):
            raise LabError(f"there is a machine {machine.name} already")
        try:
            docker("volume", "create", "--label", label, _volume(machine.name))
            docker("create", *options, base_image.vps_tag(machine.release), "sh", "-c", self._boot_command())
            docker("cp", "-", f"{machine.name}:/var/lib", stdin=_seed(machine))
        except LabError:
            self.remove(machine.name)
            raise

    def start(self, name: str, address: str | None = None) -> None:
        """Powers the machine on, with that address from now on if one is given."""
        if address and self._setting(name, "IPAMConfig").get("IPv4Address") != address:
            docker("network", "disconnect", "--force", self._config.network, name)
            docker("network", "connect", "--ip", address, self._config.network, name)
        docker("start", name)

    def shut_down(self, name: str) -> None:
        """Asks the machine to end, and waits; one that does not is powered off."""
        docker("stop", "--time", str(SHUT_DOWN_SECONDS), name)

    def power_off(self, name: str) -> None:
        if self.runs(name):
            docker("kill", name)

    def remove(self, name: str) -> None:
        """The machine and its data; nothing happens if there is none."""
        docker("rm", "--force", "--volumes", name, check=False)
        docker("volume", "rm", "--force", _volume(name), check=False)
        if self.exists(name):
            raise LabError(f"machine {name} could not be removed")

    def address(self, name: str) -> str:
        """The machine's IPv4 address on the lab's network.

        Raises:
            LabError: the machine is off or does not exist.
        """
        address = self._network(name)["IPAddress"]
        if not address:
            raise LabError(f"{name} has no address: it is off")
        return str(address)

    def taken_addresses(self) -> set[str]:
        """Of whatever runs on the lab's network."""
        holders = json.loads(docker("network", "inspect", "--format", "{{json .Containers}}", self._config.network))
        return {one["IPv4Address"].partition("/")[0] for one in (holders or {}).values()}

    def exists(self, name: str) -> bool:
        return bool(docker("ps", "--all", "--quiet", "--filter", f"name=^/{re.escape(name)}$"))

    def runs(self, name: str) -> bool:
        with contextlib.suppress(LabError):
            return docker("inspect", "--format", "{{.State.Running}}", name) == "true"
        return False

    def set_root_password(self, name: str, password: str) -> None:
        docker("exec", "--interactive", name, "chpasswd", stdin=f"root:{password}\n".encode())

    def watch(self, ended: Callable[[str, bool], None]) -> Callable[[], None]:
        """Tells the name of each machine that ends, and whether it wants to boot again; until the result is called.

        A machine that reboots from inside ends, as a container does: who watches starts it again.
        """
        form = "{{.Actor.Attributes.name}} {{.Actor.Attributes.exitCode}}"
        events = subprocess.Popen(
            ["docker", "events", "--filter", f"label={self._config.label}", "--filter", "event=die", "--format", form],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=docker_environment(),
        )

        def follow() -> None:
            for line in events.stdout or ():
                name, _, code = line.strip().rpartition(" ")
                ended(name, code == str(REBOOT))

        threading.Thread(target=follow, daemon=True).start()

        def stop() -> None:
            events.terminate()
            events.wait()

        return stop

    def _network(self, name: str) -> dict[str, Any]:
        networks = json.loads(docker("inspect", "--format", "{{json .NetworkSettings.Networks}}", name))
        network: dict[str, Any] = networks[self._config.network]
        return network

    def _setting(self, name: str, key: str) -> dict[str, Any]:
        return self._network(name).get(key) or {}

    def _boot_command(self) -> str:
        # Docker's own resolver at 127.0.0.11 cannot be used by containers inside the machine.
        return (
            f"echo nameserver {self._config.gateway} > /etc/resolv.conf; "
            # Docker mounts a file of its own there, which older releases of hostnamectl cannot replace.
            "umount /etc/hostname; [ -s /etc/hostname ] || hostname > /etc/hostname; "
            "mount -o remount,rw,bind /sys; mount -o remount,bind,rw /sys/fs/cgroup; "
            'for d in /sys/fs/cgroup/*; do [ -d "$d" ] && mount -o remount,bind,rw "$d" 2>/dev/null; done; '
            "exec /lib/systemd/systemd"
        )


def _volume(name: str) -> str:
    return f"{name}-docker"


def _vendor_data(machine: Machine) -> str:
    data = dict(VENDOR_DATA)
    if machine.root_password:
        # Hetzner sets one when no key is given; it must be changed at the first login.
        root = {"name": "root", "password": machine.root_password, "type": "text"}
        data |= {"ssh_pwauth": True, "chpasswd": {"expire": True, "users": [root]}}
    return "#cloud-config\n" + json.dumps(data) + "\n"


def _seed(machine: Machine) -> bytes:
    """The NoCloud seed as a tar archive relative to /var/lib."""
    metadata = {
        "instance-id": machine.instance_id,
        "local-hostname": machine.hostname,
        "public-keys": list(machine.public_keys),
    }
    files = {
        "meta-data": json.dumps(metadata),
        "user-data": machine.user_data or "#cloud-config\n{}\n",
        "vendor-data": _vendor_data(machine),
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(str(Path("cloud/seed/nocloud") / name))
            member.size = len(text.encode())
            member.mode = 0o600
            archive.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def _machine_name(config: LabConfig, name: str) -> str:
    """With `_`, which no name of a cloud server has, so that it can never be one of those."""
    if not NAME.fullmatch(name):
        raise LabError(f"name {name!r}: letters, digits, dashes and dots, at most 63")
    return f"{config.network}_adopted_{name}"


def create_plain(
    config: LabConfig, name: str, release: str = "debian-13", public_key: str = "", user_data: str = ""
) -> str:
    """A running machine that no cloud knows of; its address.

    Raises:
        LabError: the name or the release is not allowed, or the engine refuses.
    """
    host = VpsHost(config)
    if release not in host.releases():
        raise LabError(f"image {release!r}: there are {', '.join(host.releases())}")
    keys = tuple(line for line in public_key.splitlines() if line.strip())
    unique = f"{name}-{time.time_ns()}"
    machine = Machine(_machine_name(config, name), name, release, keys, user_data, instance_id=unique)
    host.create(machine)
    try:
        host.start(machine.name)
        return host.address(machine.name)
    except LabError:
        host.remove(machine.name)
        raise


def delete_plain(config: LabConfig, name: str) -> None:
    VpsHost(config).remove(_machine_name(config, name))


def _arguments(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.vps")
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create")
    create.add_argument("name")
    create.add_argument("--image", default="debian-13")
    create.add_argument("--ssh-key", type=Path, help="public key file, for root")
    create.add_argument("--user-data", type=Path, help="cloud-init user data file")
    commands.add_parser("delete").add_argument("name")
    return parser.parse_args(given)


def main(given: list[str]) -> int:
    wanted = _arguments(given)
    config = load()
    try:
        if wanted.command == "delete":
            delete_plain(config, wanted.name)
            return 0
        key = wanted.ssh_key.read_text() if wanted.ssh_key else ""
        user_data = wanted.user_data.read_text() if wanted.user_data else ""
        address = create_plain(config, wanted.name, wanted.image, key, user_data)
    except (LabError, OSError) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    print(json.dumps({"name": wanted.name, "image": wanted.image, "address": address, "user": "root"}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
