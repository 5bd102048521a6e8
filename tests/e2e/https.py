"""HTTPS requests to a chosen address, verified against a chosen root."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    subject: str
    issuer: str
    headers: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)


def get(host: str, address: str, root_file: Path, path: str = "/", timeout: float = 30) -> Answer:
    """GET https://HOST/PATH from ADDRESS. Raises what `ask` does."""
    return ask(host, address, root_file, path, timeout=timeout)


def ask(
    host: str,
    address: str,
    root_file: Path,
    path: str = "/",
    *,
    method: str = "",
    form: Mapping[str, str] | None = None,
    body: Any = None,
    cookies: Mapping[str, str] | None = None,
    timeout: float = 30,
) -> Answer:
    """GET https://HOST/PATH from ADDRESS, or POST with a form, or with a body as JSON; no redirect is followed.

    Raises:
        ssl.SSLCertVerificationError: the certificate does not stand for the host or is not signed by the root.
        OSError: no connection.
    """
    context = ssl.create_default_context(cafile=str(root_file))
    sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())} if cookies else {}
    content = None
    if form is not None:
        content = urllib.parse.urlencode(form)
        sent["Content-Type"] = "application/x-www-form-urlencoded"
    elif body is not None:
        content = json.dumps(body)
        sent["Content-Type"] = "application/json"
    with (
        socket.create_connection((address, 443), timeout) as plain,
        context.wrap_socket(plain, server_hostname=host) as secure,
    ):
        certificate: dict[str, Any] = dict(secure.getpeercert() or {})
        connection = http.client.HTTPConnection(host)
        connection.sock = secure
        connection.request(method or ("GET" if content is None else "POST"), path, content, sent)
        response = connection.getresponse()
        answered = response.read()
    names = [str(value) for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"]
    issuer = {key: value for part in certificate.get("issuer", ()) for key, value in part}
    received = SimpleCookie("; ".join(value.partition(";")[0] for value in response.headers.get_all("Set-Cookie", [])))
    return Answer(
        response.status,
        answered,
        ", ".join(names),
        str(issuer.get("commonName", "")),
        dict(response.headers),
        {name: morsel.coded_value for name, morsel in received.items()},
    )
