"""`doctor`: everything that has to be right before an operation can succeed, looked at in one go."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

from livchat_cli import collection, probes
from livchat_cli.errors import LivchatError

collection.activate()

from ansible_collections.livchat.setup.plugins.plugin_utils._check import (  # noqa: E402
    Check,
    Look,
    examine,
    report,
)
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._settings import Settings  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._state import State  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._vault import Vault  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._zone_check import ZoneCheck  # noqa: E402


class Doctor:
    """Examines one home. Looks only, and changes nothing."""

    def __init__(self, home: Path) -> None:
        self._path = home
        self._home = Home(str(home))
        self._settings = Settings(self._home)
        self._vault = Vault(self._home)

    def examine(self) -> dict[str, Any]:
        """`checks`, whether all is well (`healthy`), and what to do `next`."""
        state = self._state()
        servers: dict[str, Any] = state["servers"]
        looks: list[tuple[str, Look]] = [
            ("python", self._python),
            ("ansible", self._ansible),
            ("ssh", self._ssh),
            ("home", self._permissions),
            ("settings", self._read_settings),
            ("vault", self._open_vault),
            ("hetzner token", self._hetzner),
            ("dns zone", partial(self._zone, state)),
            ("certificates", self._acme),
            ("stack backend", self._backend),
            *((f"server {name}", partial(self._server, one)) for name, one in servers.items()),
        ]
        checks = examine(looks)
        return {**report(checks), "next": self._next(checks, servers)}

    @staticmethod
    def _next(checks: list[Check], servers: dict[str, Any]) -> str:
        bad = next((one for one in checks if one.status == "failed"), None)
        if bad:
            return f"{bad.check}: {bad.cure}"
        if not servers:
            return "livchat-setup server create NAME --domain DOMAIN"
        waiting = [name for name, one in servers.items() if one.get("status") != "ready"]
        if waiting:
            return f"livchat-setup server setup {' '.join(waiting)}"
        return f"livchat-setup app install APP --target {next(iter(servers))}"

    # --- this machine
    @staticmethod
    def _python() -> Check:
        found = ".".join(map(str, sys.version_info[:3]))
        if sys.version_info < (3, 11):  # noqa: UP036  # what is looked at may be older than what is demanded
            return Check("python", "failed", found, "install Python 3.11 or newer")
        return Check("python", "ok", found)

    @staticmethod
    def _ansible() -> Check:
        found = importlib.metadata.version("ansible-core")
        beside = Path(sys.executable).parent / "ansible-playbook"
        if not beside.exists() and not shutil.which("ansible-playbook"):
            return Check("ansible", "failed", f"{found}, no ansible-playbook", "install livchat-setup again")
        return Check("ansible", "ok", f"ansible-core {found}")

    @staticmethod
    def _ssh() -> Check:
        path = shutil.which("ssh")
        if not path:
            return Check("ssh", "failed", "not found", "install openssh-client")
        ran = subprocess.run([path, "-V"], capture_output=True, text=True, check=False)
        return Check("ssh", "ok", (ran.stderr or ran.stdout).strip().partition(",")[0])

    # --- the home
    def _permissions(self) -> Check:
        if not self._path.is_dir():
            return Check("home", "failed", f"{self._path} is not there", "livchat-setup init")
        files = [self._path, *(self._path / name for name in ("credentials.vault", "state.json", "ssh_keys"))]
        files += [one for one in (self._path / "ssh_keys").glob("*") if one.suffix != ".pub"]
        loose = [one for one in files if one.exists() and one.stat().st_mode & 0o077]
        if loose:
            return Check("home", "failed", f"others can read {loose[0]}", f"chmod go= {' '.join(map(str, loose))}")
        return Check("home", "ok", str(self._path))

    def _read_settings(self) -> Check:
        return Check("settings", "ok", f"{len(self._settings.all())} set")

    def _open_vault(self) -> Check:
        if not self._vault.exists():
            return Check("vault", "failed", "not there", "livchat-setup init")
        self._vault.get("tokens/hetzner")
        return Check("vault", "ok", "opens")

    # --- the outside
    def _hetzner(self) -> Check:
        token = self._vault.get("tokens/hetzner")
        if not token:
            return Check("hetzner token", "warning", "none", "only adopted servers can be used; livchat-setup init")
        return Check("hetzner token", "ok", probes.hetzner(token, self._settings.get("providers.hetzner.api_endpoint")))

    def _zone(self, state: dict[str, Any]) -> Check | list[Check]:
        if self._settings.get("dns.provider") == "none":
            return Check("dns zone", "warning", "not managed", "make the records of your applications yourself")
        return ZoneCheck.of(self._settings, self._vault, state).checks()

    def _acme(self) -> Check:
        if not self._settings.get("acme.email"):
            return Check("certificates", "failed", "no e-mail address", "livchat-setup init --acme-email ADDRESS")
        address = probes.acme(self._settings.get("acme.server"), self._settings.get("acme.ca_file"))
        return Check("certificates", "ok", address)

    def _backend(self) -> Check:
        """Portainer deploys nothing on servers whose access token the vault does not hold."""
        chosen = self._settings.get("general.stack_backend")
        if chosen == "portainer":
            ready = [name for name, one in self._state()["servers"].items() if one.get("status") == "ready"]
            lacking = [name for name in ready if not self._vault.get(f"servers/{name}/portainer/token")]
            if lacking:
                cure = f"livchat-setup server setup {' '.join(lacking)} --full"
                return Check("stack backend", "failed", f"no access token for {', '.join(lacking)}", cure)
        return Check("stack backend", "ok", chosen)

    def _state(self) -> dict[str, Any]:
        try:
            return dict(State(self._home).load())
        except LivchatError:
            # Nothing is known then; an operation that needs the index says what is wrong with it.
            return {"servers": {}, "applications": {}}

    @staticmethod
    def _server(server: dict[str, Any]) -> Check:
        name, address = f"server {server.get('name', '')}", str(server.get("ip_address") or "")
        number = int((server.get("metadata") or {}).get("port") or 22)
        try:
            probes.port(address, number)
        except LivchatError as error:
            return Check(name, "failed", error.message, "livchat-setup server show, or the provider's console")
        return Check(name, "ok", f"{address}:{number}, {server.get('status', 'unknown')}")
