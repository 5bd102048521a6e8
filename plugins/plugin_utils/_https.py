# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""HTTPS to a named host at a known address, as a stranger sees it: its DNS name, its certificate, its answer."""

from __future__ import annotations

import dataclasses
import functools
import http.client
import json
import os
import socket
import ssl
import time
import typing as t
import urllib.parse

from ..module_utils._errors import LivchatError
from ._dns import Resolver


@functools.lru_cache(maxsize=8)
def trusting(ca_file: str) -> ssl.SSLContext:
    """TLS that trusts the authorities in the file, or the system's when none is named.

    Raises:
        LivchatError: CA_FILE_INVALID
    """
    try:
        return ssl.create_default_context(cafile=os.path.expanduser(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as error:
        message = f"{ca_file} is no readable PEM file of a certificate authority: {error.strerror or error}"
        raise LivchatError("CA_FILE_INVALID", message, {"file": ca_file}) from error


def read_authority(ca_file: str) -> str:
    """The certificates in the file, which other machines can trust with them; empty when none is named.

    Raises:
        LivchatError: CA_FILE_INVALID
    """
    if not ca_file:
        return ""
    trusting(ca_file)
    with open(os.path.expanduser(ca_file), encoding="ascii", errors="replace") as handle:
        return handle.read()


@dataclasses.dataclass(frozen=True)
class Answer:
    status: int
    body: str
    issuer: str
    expires: str


@dataclasses.dataclass(frozen=True)
class Outside:
    """Where requests go, and what is trusted.

    `resolvers` are asked for names instead of the system's; `ca_file` is trusted instead of the system's authorities.
    """

    address: str
    ca_file: str = ""
    resolvers: tuple[str, ...] = ()
    timeout: float = 15
    port: int = 443

    def check_name(self, host: str) -> None:
        """Raises LivchatError DNS_NOT_RESOLVING unless the name leads to the address."""
        found = Resolver(self.resolvers, self.timeout).addresses(host)
        if self.address not in found:
            message = f"{host} resolves to {', '.join(found) or 'nothing'}, not to {self.address}; check the DNS record"
            raise LivchatError("DNS_NOT_RESOLVING", message, {"host": host, "found": found})

    def request(
        self,
        host: str,
        path: str,
        method: str = "GET",
        body: t.Any = None,
        *,
        headers: t.Mapping[str, str] | None = None,
        form: t.Mapping[str, str] | None = None,
    ) -> Answer:
        """One request; a body is sent as JSON, a form as a browser sends one.

        Raises:
            LivchatError: HOST_UNREACHABLE or TLS_NOT_TRUSTED.
        """
        trusted = trusting(self.ca_file)
        try:
            plain = socket.create_connection((self.address, self.port), self.timeout)
            with plain, trusted.wrap_socket(plain, server_hostname=host) as secure:
                connection = http.client.HTTPConnection(host, timeout=self.timeout)
                connection.sock = secure
                content, kind = _encoded(body, form)
                sent = {"Accept": "application/json, */*", "Content-Type": kind, **(headers or {})}
                connection.request(method, path, body=content, headers=sent)
                response = connection.getresponse()
                certificate = secure.getpeercert() or {}
                text = response.read(1_000_000).decode(errors="replace")
        except ssl.SSLCertVerificationError as error:
            message = f"the certificate of {host} at {self.address} is not trusted: {error.verify_message}"
            raise LivchatError("TLS_NOT_TRUSTED", message, {"host": host}) from error
        except (OSError, http.client.HTTPException) as error:
            message = f"{host} at {self.address} does not answer: {error or type(error).__name__}"
            raise LivchatError("HOST_UNREACHABLE", message, {"host": host}) from error
        parts: t.Any = certificate.get("issuer", ())
        issuer = {str(key): str(value) for part in parts for key, value in part}
        return Answer(response.status, text, issuer.get("commonName", ""), str(certificate.get("notAfter", "")))

    def wait(
        self,
        host: str,
        path: str,
        status: t.Sequence[int],
        patience: float,
        interval: float = 0.5,
        *,
        headers: t.Mapping[str, str] | None = None,
    ) -> Answer:
        """The first answer with one of these statuses.

        Raises:
            LivchatError: what was still wrong when patience (in seconds) ran out; CA_FILE_INVALID at once.
        """
        trusting(self.ca_file)
        deadline = time.monotonic() + patience
        while True:
            try:
                self.check_name(host)
                answer = self.request(host, path, headers=headers)
                if answer.status in status:
                    return answer
                wanted = " or ".join(map(str, status))
                message = f"https://{host}{path} answers {answer.status}, not {wanted}"
                problem = LivchatError("HTTP_STATUS", message, {"host": host, "status": answer.status})
            except LivchatError as error:
                problem = error
            if time.monotonic() > deadline:
                raise problem
            time.sleep(interval)


def _encoded(body: t.Any, form: t.Mapping[str, str] | None) -> tuple[str | None, str]:
    """The content of a request, and its type."""
    if form is not None:
        return urllib.parse.urlencode(form), "application/x-www-form-urlencoded"
    return None if body is None else json.dumps(body), "application/json"
