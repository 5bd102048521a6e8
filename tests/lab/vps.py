"""A VPS of the lab: a container that boots systemd, sshd and cloud-init like a provider's machine does."""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path

from . import base_image
from .config import LabConfig
from .engine import LabError, docker

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
VENDOR_DATA = (
    "#cloud-config\ndisable_root: false\nssh_pwauth: false\nmanage_resolv_conf: false\nmanage_etc_hosts: false\n"
)


@dataclass(frozen=True)
class Machine:
    """What a machine is made with."""

    name: str
    hostname: str
    release: str = "debian-13"
    public_keys: tuple[str, ...] = ()
    user_data: str = ""
    instance_id: str = "i-lab"


class VpsHost:
    """Makes, powers and removes the machines of one lab.

    Raises:
        LabError: from every method, when the engine refuses.
    """

    def __init__(self, config: LabConfig) -> None:
        self._config = config

    def create(self, machine: Machine) -> None:
        """Makes the machine, powered off; its address is known once it runs."""
        base_image.make_vps(self._config, machine.release)
        options = ["--name", machine.name, "--hostname", machine.hostname, "--label", self._config.label]
        options += [option for name in CAPABILITIES for option in ("--cap-add", name)]
        for security in ("seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined"):
            options += ["--security-opt", security]
        options += ["--device-cgroup-rule", "a *:* rwm", "--cgroupns", "private", "--stop-signal", "SIGRTMIN+3"]
        options += ["--tmpfs", "/run", "--tmpfs", "/tmp:exec", "--tmpfs", "/run/lock"]
        docker("volume", "create", "--label", self._config.label, _volume(machine.name))
        # overlay2 does not stack on overlay2.
        options += ["--volume", f"{_volume(machine.name)}:/var/lib/docker", "--network", self._config.network]
        if base_image.needs_legacy_cgroups(machine.release):
            flags = "systemd.unified_cgroup_hierarchy=0 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"
            options += ["--env", f"SYSTEMD_PROC_CMDLINE={flags}"]
        image = base_image.vps_tag(machine.release)
        docker("create", *options, image, "sh", "-c", self._boot_command())
        docker("cp", "-", f"{machine.name}:/var/lib", stdin=_seed(machine))

    def start(self, name: str) -> None:
        docker("start", name)

    def shut_down(self, name: str) -> None:
        docker("stop", "--time", "20", name)

    def power_off(self, name: str) -> None:
        docker("kill", name, check=False)

    def remove(self, name: str) -> None:
        docker("rm", "--force", "--volumes", name, check=False)
        docker("volume", "rm", "--force", _volume(name), check=False)

    def address(self, name: str) -> str:
        """The machine's IPv4 address on the lab's network.

        Raises:
            LabError: the machine is off or does not exist.
        """
        networks = json.loads(docker("inspect", "--format", "{{json .NetworkSettings.Networks}}", name))
        address = networks[self._config.network]["IPAddress"]
        if not address:
            raise LabError(f"{name} has no address: it is off")
        return str(address)

    def runs(self, name: str) -> bool:
        with contextlib.suppress(LabError):
            return docker("inspect", "--format", "{{.State.Running}}", name) == "true"
        return False

    def _boot_command(self) -> str:
        # Docker's own resolver at 127.0.0.11 cannot be used by containers inside the machine.
        return (
            f"echo nameserver {self._config.gateway} > /etc/resolv.conf; "
            "mount -o remount,rw,bind /sys; mount -o remount,bind,rw /sys/fs/cgroup; "
            'for d in /sys/fs/cgroup/*; do [ -d "$d" ] && mount -o remount,bind,rw "$d" 2>/dev/null; done; '
            "exec /lib/systemd/systemd"
        )


def _volume(name: str) -> str:
    return f"{name}-docker"


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
        "vendor-data": VENDOR_DATA,
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(str(Path("cloud/seed/nocloud") / name))
            member.size = len(text.encode())
            member.mode = 0o600
            archive.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()
