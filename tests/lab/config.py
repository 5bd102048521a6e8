"""Names, addresses and folders of the lab, in one place: whatever part of the lab needs one takes it from here."""

from __future__ import annotations

import ipaddress
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

# Where the engine of the machine itself pushes to.
LOOPBACK = "127.0.0.1"


def _folder(variable: str, base_variable: str, base_default: str) -> Path:
    if chosen := os.environ.get(variable):
        return Path(chosen)
    base = os.environ.get(base_variable)
    return (Path(base) if base else Path.home() / base_default) / "livchat-lab"


@dataclass(frozen=True)
class LabConfig:
    """What one lab is made of. Tokens are made afresh for each lab and live in its folder (0700)."""

    hetzner_token: str
    cloudflare_token: str
    subnet: str = "172.30.99.0/24"
    network: str = "livchat-lab"
    zone: str = "lab.test"
    hetzner_port: int = 8080
    cloudflare_port: int = 8081
    packages_port: int = 8082
    dns_port: int = 53
    registry_port: int = 5000
    acme_port: int = 14000
    acme_management_port: int = 15000
    # The label on every container and volume of the lab, by which `down` finds them.
    label: str = "livchat.lab"

    @property
    def folder(self) -> Path:
        """State of the running lab: pid files, logs, tokens. Gone after `down`."""
        return folder()

    @property
    def cache(self) -> Path:
        """What is slow to build and safe to keep: root file systems, packages, registry contents."""
        return cache()

    @property
    def gateway(self) -> str:
        """The machine's own address on the lab's network, where every lab service listens."""
        return str(next(ipaddress.ip_network(self.subnet).hosts()))

    @property
    def hetzner_url(self) -> str:
        return f"http://{self.gateway}:{self.hetzner_port}/v1"

    @property
    def cloudflare_url(self) -> str:
        return f"http://{self.gateway}:{self.cloudflare_port}/client/v4"

    @property
    def acme_url(self) -> str:
        return f"https://{self.gateway}:{self.acme_port}/dir"

    @property
    def docker_repository(self) -> Path:
        """What is served as Docker's own package repository; there once it was wanted."""
        return self.cache / "docker-repository"

    @property
    def docker_repository_url(self) -> str:
        return f"http://{self.gateway}:{self.packages_port}"

    @property
    def registry(self) -> str:
        return f"{self.gateway}:{self.registry_port}"

    @property
    def ca_file(self) -> Path:
        """The authority that signs the HTTPS of the ACME server itself."""
        return self.folder / "lab-ca.pem"

    @property
    def acme_root_file(self) -> Path:
        """The root that signs the certificates the ACME server issues; new at each start of it."""
        return self.folder / "acme-root.pem"

    def save(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / "lab.json"
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(asdict(self), indent=2) + "\n")
        temporary.chmod(0o600)
        temporary.replace(path)


def folder() -> Path:
    return _folder("LIVCHAT_LAB_DIR", "XDG_STATE_HOME", ".local/state")


def cache() -> Path:
    return _folder("LIVCHAT_LAB_CACHE", "XDG_CACHE_HOME", ".cache")


def load() -> LabConfig:
    """The lab's configuration: what the running one was started with, else a new one with new tokens."""
    path = folder() / "lab.json"
    if path.exists():
        return LabConfig(**json.loads(path.read_text()))
    return LabConfig(hetzner_token=secrets.token_hex(32), cloudflare_token=secrets.token_urlsafe(30))
