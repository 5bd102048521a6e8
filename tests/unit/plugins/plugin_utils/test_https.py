"""Looking at a host from outside, against a real TLS server with a certificate of an authority of its own."""

from __future__ import annotations

import datetime
import http.server
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.livchat.setup.plugins.module_utils._errors import LivchatError
from ansible_collections.livchat.setup.plugins.plugin_utils._https import Outside
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "localhost"


class Site(http.server.BaseHTTPRequestHandler):
    answers: list[int]

    def do_GET(self) -> None:
        status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:
        pass


def certificate(folder: Path, host: str) -> tuple[Path, Path]:
    """A certificate for the host that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / f"{host}.pem", folder / f"{host}.key"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return public, private


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Outside, list[int]]]:
    public, private = certificate(tmp_path, HOST)
    answers = [200]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Site,), {"answers": answers}))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield Outside("127.0.0.1", str(public), port=server.server_port, timeout=5), answers
    server.shutdown()
    server.server_close()


def test_an_answer_tells_status_issuer_and_end(site: tuple[Outside, list[int]]) -> None:
    answer = site[0].wait(HOST, "/", [200], 5)
    assert (answer.status, answer.body, answer.issuer) == (200, "ok", "Test authority")
    assert ssl.cert_time_to_seconds(answer.expires)


def test_it_waits_until_the_app_is_ready(site: tuple[Outside, list[int]]) -> None:
    outside, answers = site
    answers[:] = [502, 503, 200]
    assert outside.wait(HOST, "/", [200], 5, 0.01).status == 200


def test_a_wrong_status_is_said_with_what_was_wanted(site: tuple[Outside, list[int]]) -> None:
    outside, answers = site
    answers[:] = [404]
    with pytest.raises(LivchatError, match="answers 404, not 200 or 302") as caught:
        outside.wait(HOST, "/", [200, 302], 0.05, 0.01)
    assert caught.value.code == "HTTP_STATUS"


def test_a_certificate_of_another_authority_is_not_trusted(site: tuple[Outside, list[int]], tmp_path: Path) -> None:
    other, _ = certificate(tmp_path, "other.example")
    with pytest.raises(LivchatError) as caught:
        Outside("127.0.0.1", str(other), port=site[0].port).request(HOST, "/")
    assert caught.value.code == "TLS_NOT_TRUSTED"


def test_a_certificate_for_another_name_is_not_trusted(site: tuple[Outside, list[int]]) -> None:
    with pytest.raises(LivchatError, match=r"other\.example") as caught:
        site[0].request("other.example", "/")
    assert caught.value.code == "TLS_NOT_TRUSTED"


def test_a_name_that_leads_elsewhere_is_an_error_though_the_server_would_answer(
    site: tuple[Outside, list[int]], tmp_path: Path
) -> None:
    outside = Outside("127.0.0.2", str(tmp_path / f"{HOST}.pem"), port=site[0].port)
    with pytest.raises(LivchatError, match=r"localhost resolves to .*127\.0\.0\.1.*, not to 127\.0\.0\.2") as caught:
        outside.wait(HOST, "/", [200], 0.01, 0.01)
    assert caught.value.code == "DNS_NOT_RESOLVING"


def test_nobody_there(site: tuple[Outside, list[int]]) -> None:
    with pytest.raises(LivchatError) as caught:
        Outside("127.0.0.1", site[0].ca_file, port=1).request(HOST, "/")
    assert caught.value.code == "HOST_UNREACHABLE"


def test_an_unreadable_authority_file_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(LivchatError) as caught:
        Outside("127.0.0.1", str(tmp_path / "none.pem")).wait(HOST, "/", [200], 60)
    assert caught.value.code == "CA_FILE_INVALID"
