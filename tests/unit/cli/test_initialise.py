"""`init` and `doctor` against small HTTP servers that answer as the APIs do."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home
from ansible_collections.livchat.setup.plugins.plugin_utils._state import State
from ansible_collections.livchat.setup.plugins.plugin_utils._vault import Vault

from livchat_cli import probes
from livchat_cli.doctor import Doctor
from livchat_cli.errors import LivchatError
from livchat_cli.initialise import Answers, Initialiser
from tests.lab.cloudflare.loopback import TOKEN, CloudflareLab

ZONE = {"id": "z1", "name": "example.com", "status": "active", "name_servers": ["a.ns.example"]}


class Handler(BaseHTTPRequestHandler):
    """Hetzner and Cloudflare on one port: `good` may write, `reader` may only read, others are unknown."""

    def answer(self, status: int, body: dict[str, Any]) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def handle_any(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        token = self.headers["Authorization"].removeprefix("Bearer ")
        cloudflare = self.path.startswith("/cf")
        if token not in ("good", "reader"):
            self.answer(
                403 if cloudflare else 401, {"success": False, "errors": [{"code": 9109, "message": "Invalid"}]}
            )
        elif self.command == "POST" and token == "reader":
            errors = [{"code": 10000, "message": "Authentication error"}]
            self.answer(403, {"success": False, "errors": errors, "error": {"code": "token_readonly"}})
        elif not cloudflare:
            self.answer(422 if self.command == "POST" else 200, {"servers": []})
        else:
            found = [ZONE] if "/zones?" in self.path and "other.example" not in self.path else []
            self.answer(200, {"success": True, "result": found, "result_info": {"total_pages": 1}})

    do_GET = do_POST = handle_any  # noqa: N815  # names that http.server prescribes

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def api() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LIVCHAT_VAULT_PASSWORD", "LIVCHAT_VAULT_PASSWORD_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HCLOUD_TOKEN", "good")
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "good")
    monkeypatch.setattr(probes, "acme", lambda server, _: server)


def initialise(tmp_path: Path, api: str, **settings: Any) -> dict[str, Any]:
    given = {
        "dns.zone": "example.com",
        "acme.email": "me@example.com",
        "providers.hetzner.api_endpoint": f"{api}/hz",
        "dns.api_endpoint": f"{api}/cf",
        **settings,
    }
    answers = Answers(settings=given, vault_password_file=str(tmp_path / "password"))
    return Initialiser(tmp_path / "home", answers, asking=False).run()


def test_a_home_is_made_closed_and_with_tokens_only_in_the_vault(tmp_path: Path, api: str) -> None:
    assert initialise(tmp_path, api)["changed"]
    home = tmp_path / "home"
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "password").stat().st_mode) == 0o600
    assert (home / "credentials.vault").read_text().startswith("$ANSIBLE_VAULT;")
    assert "good" not in (home / "config.yaml").read_text()


def test_repeating_it_changes_nothing(tmp_path: Path, api: str) -> None:
    initialise(tmp_path, api)
    password = (tmp_path / "password").read_text()
    assert not initialise(tmp_path, api)["changed"]
    assert (tmp_path / "password").read_text() == password


@pytest.mark.parametrize(
    ("variable", "token", "code"),
    [
        ("HCLOUD_TOKEN", "wrong", "PROVIDER_TOKEN_INVALID"),
        ("HCLOUD_TOKEN", "reader", "PROVIDER_TOKEN_READONLY"),
        ("HCLOUD_TOKEN", "", "API_TOKEN_MISSING"),
        ("CLOUDFLARE_API_TOKEN", "wrong", "DNS_TOKEN_INVALID"),
        ("CLOUDFLARE_API_TOKEN", "reader", "DNS_TOKEN_FORBIDDEN"),
    ],
)
def test_a_token_without_its_rights_is_refused_and_not_kept(  # noqa: PLR0917  # pytest passes them by name
    tmp_path: Path, api: str, monkeypatch: pytest.MonkeyPatch, variable: str, token: str, code: str
) -> None:
    monkeypatch.setenv(variable, token)
    with pytest.raises(LivchatError) as caught:
        initialise(tmp_path, api)
    assert caught.value.code == code
    assert not (tmp_path / "home" / "credentials.vault").exists()
    # Of the settings too only where the vault's password is, which nothing refused.
    kept = yaml.safe_load((tmp_path / "home" / "config.yaml").read_text())
    assert kept == {"vault": {"password_file": str(tmp_path / "password")}}


def test_what_is_kept_survives_an_answer_that_is_refused(tmp_path: Path, api: str) -> None:
    initialise(tmp_path, api)
    config = tmp_path / "home" / "config.yaml"
    before = config.read_text()
    with pytest.raises(LivchatError) as caught:
        initialise(tmp_path, api, **{"dns.zone": "other.example"})
    assert caught.value.code == "DNS_ZONE_NOT_FOUND"
    assert config.read_text() == before


def test_a_person_is_asked_again_until_the_answer_is_right(
    tmp_path: Path, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN")
    answers = {
        "DNS zone": ["no zone", "other.example", "example.com"],
        "E-mail address for the certificate authority": ["nobody", "me@example.com"],
        "Cloudflare API token (Zone Read and DNS Edit on the zone)": ["wrong", "good"],
    }
    monkeypatch.setattr("typer.prompt", lambda question, **_: answers[question].pop(0))
    addresses = {"providers.hetzner.api_endpoint": f"{api}/hz", "dns.api_endpoint": f"{api}/cf"}
    given = Answers(settings=addresses, vault_password_file=str(tmp_path / "password"))
    Initialiser(tmp_path / "home", given, asking=True).run()
    assert not any(answers.values())
    kept = yaml.safe_load((tmp_path / "home" / "config.yaml").read_text())
    assert (kept["dns"]["zone"], kept["acme"]["email"]) == ("example.com", "me@example.com")


@pytest.mark.parametrize(
    ("key", "value"),
    [("dns.zone", "no zone"), ("acme.email", "nobody"), ("docker.source", "somewhere")],
)
def test_a_wrong_setting_is_named(tmp_path: Path, api: str, key: str, value: str) -> None:
    with pytest.raises(LivchatError) as caught:
        initialise(tmp_path, api, **{key: value})
    assert caught.value.code == "SETTING_INVALID"
    assert key in caught.value.message and value in caught.value.message


def test_doctor_is_content_with_what_init_made(
    tmp_path: Path, api: str, lab: CloudflareLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", TOKEN)
    lab.store.create_zone("test", "127.0.0.1")
    dns = {"dns.api_endpoint": lab.url, "dns.zone": "lab.test", "dns.resolvers": [f"127.0.0.1:{lab.dns.port}"]}
    initialise(tmp_path, api, **dns)
    monkeypatch.delenv("HCLOUD_TOKEN")
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN")
    found = Doctor(tmp_path / "home").examine()
    assert found["healthy"], found
    assert {"dns zone", "dns token", "dns delegation", "dns caa"} <= {one["check"] for one in found["checks"]}
    assert "server create" in found["next"]


def test_doctor_of_a_home_that_manages_no_dns(tmp_path: Path, api: str) -> None:
    initialise(tmp_path, api, **{"dns.provider": "none"})
    found = {one["check"]: one["status"] for one in Doctor(tmp_path / "home").examine()["checks"]}
    assert [name for name in found if name.startswith("dns")] == ["dns zone"]
    assert found["dns zone"] == "warning"


def test_doctor_names_what_is_wrong_and_the_cure(tmp_path: Path, api: str) -> None:
    initialise(tmp_path, api)
    (tmp_path / "home" / "credentials.vault").chmod(0o644)
    (tmp_path / "password").write_text("another")
    found = Doctor(tmp_path / "home").examine()
    status = {one["check"]: one for one in found["checks"]}
    assert not found["healthy"]
    assert status["home"]["status"] == "failed" and "chmod" in status["home"]["cure"]
    assert status["vault"]["found"] == "VAULT_LOCKED"


def test_doctor_misses_the_token_that_portainer_deploys_with(tmp_path: Path, api: str) -> None:
    initialise(tmp_path, api, **{"general.stack_backend": "portainer"})
    home = Home(str(tmp_path / "home"))
    State(home).put("servers", "prod", {"name": "prod", "status": "ready", "ip_address": "127.0.0.1"})

    def found() -> dict[str, str]:
        checks = Doctor(tmp_path / "home").examine()["checks"]
        return next(one for one in checks if one["check"] == "stack backend")

    assert (found()["status"], found()["cure"]) == ("failed", "livchat-setup server setup prod --full")
    Vault(home).set("servers/prod/portainer/token", "ptr_x")
    assert found()["status"] == "ok"


def test_doctor_of_nothing_points_to_init(tmp_path: Path) -> None:
    found = Doctor(tmp_path / "nothing").examine()
    assert not found["healthy"] and "init" in found["next"]
    assert not (tmp_path / "nothing").exists()
