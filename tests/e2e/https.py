"""An HTTPS request to a chosen address, verified against a chosen root."""

from __future__ import annotations

import http.client
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    subject: str
    issuer: str


def get(host: str, address: str, root_file: Path, path: str = "/", timeout: float = 30) -> Answer:
    """GET https://HOST/PATH from ADDRESS.

    Raises:
        ssl.SSLCertVerificationError: the certificate does not stand for the host or is not signed by the root.
        OSError: no connection.
    """
    context = ssl.create_default_context(cafile=str(root_file))
    with (
        socket.create_connection((address, 443), timeout) as plain,
        context.wrap_socket(plain, server_hostname=host) as secure,
    ):
        certificate: dict[str, Any] = dict(secure.getpeercert() or {})
        connection = http.client.HTTPConnection(host)
        connection.sock = secure
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
    names = [str(value) for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"]
    issuer = {key: value for part in certificate.get("issuer", ()) for key, value in part}
    return Answer(response.status, body, ", ".join(names), str(issuer.get("commonName", "")))
