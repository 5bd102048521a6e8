"""A server made and run with hand-written shell scripts: what livchat.setup is measured against."""

from __future__ import annotations

import os
import secrets
import shlex
import string
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from cloudflare import Cloudflare
from hcloud import Client

from tests.lab.config import LabConfig

SCRIPTS = Path(__file__).parent / "scripts"
SECRETS = (
    "PORTAINER_PASSWORD",
    "POSTGRES_PASSWORD",
    "REDIS_PASSWORD",
    "DATABASE_PASSWORD",
    "QUEUE_PASSWORD",
    "ENCRYPTION_KEY",
    "OWNER_PASSWORD",
)


def _password() -> str:
    return "Aa1" + "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(29))


@dataclass
class ScriptedServer:
    """One server of the lab's cloud. `folder` keeps its key."""

    lab: LabConfig
    name: str
    folder: Path
    address: str = ""
    passwords: dict[str, str] = field(default_factory=lambda: {name: _password() for name in SECRETS})

    def create(self) -> None:
        """Orders the server and waits until SSH lets us in."""
        self.folder.mkdir(parents=True, exist_ok=True)
        wanted = {
            "NAME": self.name,
            "HETZNER_URL": self.lab.hetzner_url,
            "HETZNER_TOKEN": self.lab.hetzner_token,
            "KEY": str(self.folder / self.name),
            "KNOWN_HOSTS": str(self.folder / f"{self.name}.known_hosts"),
        }
        command = ["bash", str(SCRIPTS / "create.sh")]
        done = subprocess.run(command, env={**os.environ, **wanted}, check=True, stdout=subprocess.PIPE, text=True)
        self.address = done.stdout.strip()

    def run(self, script: str) -> None:
        """Runs one of the scripts on the server, over one SSH connection; secrets go in by standard input."""
        lab = self.lab
        variables = {
            **self.passwords,
            "NAME": self.name,
            "DOMAIN": f"{self.name}.{lab.zone}",
            "ZONE": lab.zone,
            "ADDRESS": self.address,
            "REGISTRY": lab.registry,
            "ACME_URL": lab.acme_url,
            "ACME_CA": lab.ca_file.read_text(),
            "ACME_ROOT": lab.acme_root_file.read_text(),
            "CLOUDFLARE_URL": lab.cloudflare_url,
            "CLOUDFLARE_TOKEN": lab.cloudflare_token,
        }
        text = "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items())
        text += (SCRIPTS / f"{script}.sh").read_text()
        # To a file first: what a script starts must not read the script's own rest.
        inner = "umask 077; cat > /root/bench.sh; exec bash /root/bench.sh"
        options = {
            "UserKnownHostsFile": str(self.folder / f"{self.name}.known_hosts"),
            "StrictHostKeyChecking": "accept-new",
            "BatchMode": "yes",
        }
        given = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
        command = ["ssh", "-i", str(self.folder / self.name), *given, f"root@{self.address}", inner]
        subprocess.run(command, input=text, text=True, check=True)

    def destroy(self) -> None:
        """Removes what the scripts made at the providers; a benchmark need not be quick here."""
        for path in self.folder.glob(f"{self.name}*"):
            path.unlink()
        hetzner = Client(self.lab.hetzner_token, api_endpoint=self.lab.hetzner_url)
        if server := hetzner.servers.get_by_name(self.name):
            hetzner.servers.delete(server).wait_until_finished()
        for things in (hetzner.ssh_keys, hetzner.firewalls):
            if thing := things.get_by_name(self.name):
                things.delete(thing)
        cloudflare = Cloudflare(api_token=self.lab.cloudflare_token, base_url=self.lab.cloudflare_url)
        (zone,) = cloudflare.zones.list(name=self.lab.zone)
        for record in cloudflare.dns.records.list(zone_id=zone.id):
            if record.name.endswith(f".{self.name}.{self.lab.zone}"):
                cloudflare.dns.records.delete(record.id, zone_id=zone.id)
