"""The main story, told once: a home, a server, its setup, an application. The demo prints it, tests assert on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home
from ansible_collections.livchat.setup.plugins.plugin_utils._vault import Vault

from tests.lab.config import LabConfig


class StepError(Exception):
    """A command of the story ended with an error; the message is what it printed, `error` the error's object."""

    def __init__(self, message: str, error: dict[str, Any]) -> None:
        super().__init__(message)
        self.error = error


@dataclass
class Story:
    """Runs the command line against one lab with a home of its own."""

    lab: LabConfig
    home: Path
    say: Callable[[str], None] = print
    timings: dict[str, float] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """The operator's; the tokens are in the vault from `init` on."""
        return {**os.environ, "LIVCHAT_HOME": str(self.home)}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        self.say(f"==> {name}")
        started = time.monotonic()
        yield
        self.timings[name] = time.monotonic() - started
        self.say(f"    {self.timings[name]:.1f} s")

    def run(self, *arguments: str, extra: Mapping[str, str] | None = None) -> Any:
        """The result object of `livchat-setup ARGUMENTS --json`; `extra` adds to its environment.

        Raises:
            StepError: with the error's code and message.
        """
        process = self.start(*arguments, extra=extra)
        output, _ = process.communicate()
        if process.returncode != 0:
            said = f"livchat-setup {' '.join(arguments)} ended with {process.returncode}:\n{output}"
            raise StepError(said, json.loads(output) if output.startswith("{") else {})
        return json.loads(output)

    def start(self, *arguments: str, extra: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """The command, running, in a session of its own."""
        # What follows two dashes belongs to the command that is to run on a server.
        end = arguments.index("--") if "--" in arguments else len(arguments)
        return subprocess.Popen(
            [sys.executable, "-m", "livchat_cli", *arguments[:end], "--json", *arguments[end:]],
            env={**self.environment(), **(extra or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def bare(self, playbook: str, variables: Mapping[str, Any], *options: str) -> subprocess.CompletedProcess[str]:
        """`ansible-playbook livchat.setup.PLAYBOOK` without our command line, and what it printed."""
        inventory = self.home / "livchat.yml"
        inventory.write_text("plugin: livchat.setup.hetzner\n", encoding="utf-8")
        given = ["-i", str(inventory), "-e", json.dumps(variables)]
        command = ["ansible-playbook", f"livchat.setup.{playbook}", *given, *options]
        return subprocess.run(command, env=self.environment(), capture_output=True, text=True, check=False)

    def index(self) -> dict[str, Any]:
        """What the home remembers: servers, applications, deployments."""
        found: dict[str, Any] = json.loads((self.home / "state.json").read_text(encoding="utf-8"))
        return found

    def init(self, extra: Mapping[str, str] | None = None) -> None:
        lab = self.lab
        tokens = {"HCLOUD_TOKEN": lab.hetzner_token, "CLOUDFLARE_API_TOKEN": lab.cloudflare_token}
        self.run(
            "init",
            "--non-interactive",
            *("--hetzner-endpoint", lab.hetzner_url),
            *("--dns-endpoint", lab.cloudflare_url),
            *("--zone", lab.zone),
            *("--acme-email", f"admin@{lab.zone}"),
            *("--acme-server", lab.acme_url),
            *("--acme-ca-file", str(lab.ca_file)),
            *("--acme-root-file", str(lab.acme_root_file)),
            *("--dns-resolver", lab.gateway),
            *("--registry-mirror", f"http://{lab.registry}"),
            *("--insecure-registry", lab.registry),
            *("--docker-source", "distribution"),
            *("--vault-password-file", str(self.home.parent / "vault-password")),
            extra={**tokens, **(extra or {})},
        )

    def create(self, name: str) -> Any:
        return self.run("server", "create", name, "--domain", f"{name}.{self.lab.zone}")

    def setup(self, name: str) -> Any:
        return self.run("server", "setup", name)

    def leave(self) -> None:
        """Destroys all servers of the home; the list would name those of others in the lab's project as well."""
        # A server's key is made before the server is.
        keys = {path.stem for path in (self.home / "ssh_keys").glob("*")}
        for name in keys & {server["name"] for server in self.run("server", "list")}:
            self.run("server", "destroy", name, "--yes")

    def install(self, server: str, *apps: str) -> Any:
        return self.run("app", "install", *apps, "--target", server, "--yes")

    def secret(self, path: str) -> str:
        """What the home's vault holds there."""
        value = Vault(Home(str(self.home))).get(path)
        assert value, path
        return str(value)
