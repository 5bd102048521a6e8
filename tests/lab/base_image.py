"""What the lab is built from: a bare Debian, and a VPS (Debian with systemd, sshd and cloud-init)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from .config import LabConfig
from .engine import LabError, docker, install

# Debian 13 is the default VPS; 12 is built when asked for.
SUITES = {"debian-13": "trixie", "debian-12": "bookworm"}

VPS_PACKAGES = (
    "systemd systemd-sysv dbus openssh-server python3 python3-apt sudo iproute2 iptables nftables "
    "ca-certificates curl procps kmod cloud-init tzdata locales"
)


def base_tag(release: str) -> str:
    return f"livchat-lab/base:{SUITES[release]}"


def vps_tag(release: str) -> str:
    return f"livchat-lab/vps:{release}"


def exists(tag: str) -> bool:
    return bool(docker("images", "--quiet", tag))


def make_base(config: LabConfig, release: str = "debian-13") -> None:
    """A bare Debian as image: bootstrapped once, kept as a tarball in the cache.

    Raises:
        LabError: the bootstrap failed; the message names its log.
    """
    if exists(base_tag(release)):
        return
    suite = SUITES[release]
    tarball = config.cache / f"base-{suite}.tar"
    if not tarball.exists():
        install({"debootstrap": "debootstrap"})
        root = config.cache / f"base-{suite}.root"
        shutil.rmtree(root, ignore_errors=True)
        root.parent.mkdir(parents=True, exist_ok=True)
        log = config.cache / f"base-{suite}.log"
        with log.open("wb") as output:
            command = ["debootstrap", "--variant=minbase", "--include=ca-certificates", suite, str(root)]
            if subprocess.run(command, stdout=output, stderr=output, check=False).returncode != 0:
                raise LabError(f"debootstrap of {suite} failed; see {log}")
        # debootstrap keeps services from starting in its chroot; in a VPS they must start.
        (root / "usr/sbin/policy-rc.d").unlink(missing_ok=True)
        for package in (root / "var/cache/apt/archives").glob("*.deb"):
            package.unlink()
        unfinished = tarball.with_suffix(".part")
        subprocess.run(["tar", "-C", str(root), "-cf", str(unfinished), "."], check=True)
        unfinished.rename(tarball)
        shutil.rmtree(root)
    docker("import", str(tarball), base_tag(release))


def make_vps(config: LabConfig, release: str = "debian-13") -> None:
    """What a provider's image of that release holds, with real cloud-init reading its NoCloud seed."""
    if exists(vps_tag(release)):
        return
    make_base(config, release)
    dockerfile = f"""
FROM {base_tag(release)}
RUN apt-get update -qq \\
 && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends {VPS_PACKAGES} >/dev/null \\
 && rm -rf /var/lib/apt/lists/* /etc/ssh/ssh_host_* \\
 && touch -d 2000-01-01 /var/lib/apt/lists \\
 && : > /etc/machine-id \\
 && printf 'datasource_list: [NoCloud]\\n' > /etc/cloud/cloud.cfg.d/90-lab.cfg \\
 && printf 'network: {{config: disabled}}\\n' > /etc/cloud/cloud.cfg.d/91-network.cfg
CMD ["/lib/systemd/systemd"]
"""
    docker("build", "--quiet", "--tag", vps_tag(release), "-", stdin=dockerfile.encode())


def needs_legacy_cgroups(release: str) -> bool:
    """systemd 257 wants cgroup v2; on a cgroup v1 machine it must be told to make do."""
    return release == "debian-13" and not Path("/sys/fs/cgroup/cgroup.controllers").exists()
