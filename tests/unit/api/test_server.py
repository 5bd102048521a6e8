"""Starting and stopping: where it listens, what it needs for that, and what it waits for."""

from __future__ import annotations

import datetime
import json
import re
import signal
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home
from ansible_collections.livchat.setup.plugins.plugin_utils._vault import Vault
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from livchat_cli.api.server import Options
from livchat_cli.deliveries import WAITS, WEBHOOK_TIMEOUT
from livchat_cli.errors import LivchatError
from livchat_cli.jobs import Jobs
from livchat_cli.operations import OPERATIONS
from tests.throwaway import Tree
from tests.unit.api.running import PASSWORD, Running
from tests.unit.api.test_jobs import nap


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """For localhost, signed by itself; and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_elsewhere_it_listens_with_tls_or_behind_a_proxy_only(host: str, certificate: tuple[Path, Path]) -> None:
    with pytest.raises(LivchatError, match="--behind-proxy"):
        Options(host=host)
    with pytest.raises(LivchatError, match="--dev is for this machine alone"):
        Options(host=host, behind_proxy=True, dev=True)
    Options(host=host, behind_proxy=True)
    Options(host=host, tls_cert=certificate[0], tls_key=certificate[1])


def test_what_is_given_must_be_whole(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    for host in ("127.0.0.1", "127.0.0.2", "::1", "localhost"):
        assert Options(host=host).loopback
    with pytest.raises(LivchatError, match="go together"):
        Options(tls_cert=certificate[0])
    with pytest.raises(LivchatError, match="cannot be read"):
        Options(tls_cert=certificate[0], tls_key=tmp_path / "nothing")


def test_the_command_refuses_in_one_line(tree: Tree, tmp_path: Path) -> None:
    done = subprocess.run(
        tree.command("start", "--host", "0.0.0.0"),
        env=tree.environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error INPUT_INVALID: 0.0.0.0 is not this machine alone")
    assert len(done.stderr.splitlines()) == 1


def test_a_vault_that_does_not_open_is_said_before_anybody_calls(
    another: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    api = another()
    monkeypatch.setenv("LIVCHAT_VAULT_PASSWORD", PASSWORD)
    Vault(Home(str(api.home))).set("tokens/hetzner", "x" * 64)
    with pytest.raises(RuntimeError, match="VAULT_LOCKED"):
        api.start(environment={"LIVCHAT_VAULT_PASSWORD": "wrong"})
    api.start()
    busy = another(folder="busy")
    with pytest.raises(RuntimeError, match="PORT_UNAVAILABLE"):
        busy.start("--port", api.url.rpartition(":")[2])


def test_it_speaks_tls(another: Callable[..., Running], certificate: tuple[Path, Path]) -> None:
    api = another()
    api.start(*("--tls-cert", str(certificate[0]), "--tls-key", str(certificate[1])), "--host-name", "api.example.com")
    port = api.url.rpartition(":")[2]
    context = ssl.create_default_context(cafile=str(certificate[0]))
    with httpx.Client(base_url=f"https://localhost:{port}", verify=context) as client:
        assert client.get("/health").status_code == 200
        assert client.get("/health", headers={"Host": "api.example.com"}).status_code == 200
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://localhost:{port}/health")


def test_behind_a_proxy_it_knows_whom_it_speaks_to(another: Callable[..., Running]) -> None:
    api = another()
    api.start("--host", "0.0.0.0", "--behind-proxy", "--host-name", "api.example.com")
    headers = {"Host": "api.example.com", "X-Forwarded-For": "198.51.100.7"}
    assert httpx.get(f"{api.url}/health", headers=headers).status_code == 200
    api.stop()
    api.start("--host", "0.0.0.0", "--behind-proxy", "--trusted-proxy", "127.0.0.1")
    assert httpx.get(f"{api.url}/health", headers={"X-Forwarded-For": "198.51.100.8"}).status_code == 200
    time.sleep(0.5)
    # Only a proxy that is named is believed.
    assert [call["client"] for call in api.calls()] == ["127.0.0.1", "198.51.100.8"]


def test_a_container_is_told_by_its_environment_what_it_is_called_and_whom_to_believe(
    another: Callable[..., Running],
) -> None:
    api = another()
    given = {"LIVCHAT_API_HOST_NAMES": "api.example.com api", "LIVCHAT_API_TRUSTED_PROXIES": "192.0.2.1 127.0.0.0/8"}
    command = ("--host", "0.0.0.0", "--behind-proxy")
    api.start(*command, environment=given)
    headers = {"X-Forwarded-For": "198.51.100.8"}
    for name, status in (("api.example.com", 200), ("api", 200), ("example.com", 421)):
        assert httpx.get(f"{api.url}/health", headers={"Host": name, **headers}).status_code == status
    api.stop()
    api.start(*command, environment=dict.fromkeys(given, ""))
    assert httpx.get(f"{api.url}/health", headers={"Host": "api", **headers}).status_code == 421
    assert httpx.get(f"{api.url}/health", headers=headers).status_code == 200
    time.sleep(0.5)
    assert [call["client"] for call in api.calls()] == ["198.51.100.8"] * 3 + ["127.0.0.1"] * 2


def test_a_container_is_given_the_time_that_a_job_may_take_and_tell_of() -> None:
    compose = Path(__file__).parents[3] / "docker/compose.yml"
    found = re.search(r"stop_grace_period: \$\{\w+:-(\d+)m\}", compose.read_text())
    assert found
    told = sum(WAITS) + (len(WAITS) + 1) * WEBHOOK_TIMEOUT
    assert int(found[1]) * 60 > max(one.timeout for one in OPERATIONS) + told


def test_with_drain_it_stays_until_the_jobs_have_ended(another: Callable[..., Running]) -> None:
    api = another()
    api.start("--drain")
    with api.client() as client:
        job = client.post("/v1/server/nap", json=nap("6")).json()["id"]
        while client.get(f"/v1/jobs/{job}").json()["status"] != "running":
            time.sleep(0.1)
    assert api.stop(signal.SIGTERM) == 0
    assert Jobs(api.home).get(job).record()["status"] == "successful"


def test_dev_describes_itself_and_starts_anew_when_the_code_changes(
    tree: Tree, another: Callable[..., Running]
) -> None:
    api = another()
    api.start("--dev", "--port", "0", environment={"LIVCHAT_VAULT_PASSWORD_FILE": ""})

    def health() -> int:
        try:
            return httpx.get(f"{api.url}/health", timeout=10).status_code
        except httpx.TransportError:
            return 0

    assert health() == 200
    assert "/v1/openapi.json" in httpx.get(f"{api.url}/docs").text
    assert httpx.get(f"{api.url}/v1/openapi.json").json()["openapi"] == "3.1.0"
    source = tree.path / "livchat_cli" / "api" / "app.py"
    text = source.read_text()
    try:
        source.write_text(text.replace('{"status": "ok"}', '{"status": "changed"}'))
        deadline = time.monotonic() + 60
        while "changed" not in (httpx.get(f"{api.url}/health").text if health() else ""):
            assert time.monotonic() < deadline
            time.sleep(0.5)
    finally:
        source.write_text(text)
    children = Path(f"/proc/{api.process.pid}/task/{api.process.pid}/children").read_text().split()
    assert children
    for pid in (str(api.process.pid), *children):
        if pid != str(api.process.pid):
            # The one that was asked has it in its environment; those that it starts have not.
            assert PASSWORD.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
    assert api.stop() == 0


def test_nothing_secret_is_seen_of_the_process(api: Running) -> None:
    shown = Path(f"/proc/{api.process.pid}/cmdline").read_bytes()
    assert b"password" not in shown.lower()
    assert all(json.loads(line) for line in api.log if line.startswith("{"))
    assert PASSWORD not in "".join(api.log)
