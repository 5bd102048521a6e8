# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""Asks DNS servers: chosen ones, or the system's."""

from __future__ import annotations

import ipaddress
import re
import socket
import typing as t

from ..module_utils._errors import LivchatError

# A quoted text of a zone file is made of these, and they of escapes and everything else.
_PIECE = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED = re.compile(rb"\\([0-9]{3}|.)", re.DOTALL)


class NoAnswerError(LivchatError):
    """The servers were asked and did not say what the name has, which may be anything."""


class Resolver:
    """Asks these servers (`ADDRESS` or `ADDRESS:PORT`), or the system's when none is named."""

    def __init__(self, servers: t.Sequence[str] = (), timeout: float = 15) -> None:
        self._servers = tuple(servers)
        self._timeout = timeout

    def addresses(self, host: str) -> list[str]:
        """The host's addresses; none when nobody answers. The system's are those that every program here sees."""
        if self._servers:
            try:
                return sorted(record.to_text() for record in self.records(host, "A"))
            except NoAnswerError:
                return []
        try:
            return sorted({str(one[4][0]) for one in socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)})
        except OSError:
            return []

    def records(self, name: str, kind: str) -> list[t.Any]:
        """The data (of dnspython) that a name has of a type, aliases followed; empty when it has none.

        Raises:
            LivchatError: DNS_RESOLVER_UNREACHABLE, DNS_LOOKUP_FAILED or PYTHON_LIBRARY_MISSING.
        """
        resolver = self._resolver()
        import dns.exception  # noqa: PLC0415
        import dns.rcode  # noqa: PLC0415
        import dns.resolver  # noqa: PLC0415

        details = {"name": name, "type": kind}
        who = ", ".join(self._servers) or "the system's DNS servers"
        try:
            answer = resolver.resolve(name, kind, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN:
            return []
        except dns.resolver.NoNameservers as error:
            # For each server that was asked: its address, over TCP, its port, what went wrong, what it answered.
            said = sorted({dns.rcode.to_text(one[4].rcode()) for one in error.kwargs.get("errors", ()) if one[4]})
            if said:
                message = f"{who} could not find out about {name} {kind}: {', '.join(said)}"
                raise NoAnswerError("DNS_LOOKUP_FAILED", message, {**details, "answers": said}) from error
            message = f"{who} did not answer about {name} {kind}"
            raise NoAnswerError("DNS_RESOLVER_UNREACHABLE", message, details) from error
        except dns.exception.Timeout as error:
            message = f"no answer from {who} about {name} {kind} in {self._timeout:g} s"
            raise NoAnswerError("DNS_RESOLVER_UNREACHABLE", message, details) from error
        except dns.exception.DNSException as error:
            message = f"{name} {kind} cannot be asked for: {error}"
            raise NoAnswerError("DNS_LOOKUP_FAILED", message, details) from error
        return list(answer.rrset or ())

    def _resolver(self) -> t.Any:
        try:
            # Only who asks chosen servers, or for more than addresses, needs the library.
            import dns.nameserver  # noqa: PLC0415
            import dns.resolver  # noqa: PLC0415
        except ImportError as error:
            message = "asking DNS servers needs the Python package dnspython on this machine: pip install dnspython"
            raise LivchatError("PYTHON_LIBRARY_MISSING", message, {"package": "dnspython"}) from error
        if self._servers:
            resolver = dns.resolver.Resolver(configure=False)
            resolver.nameservers = [dns.nameserver.Do53Nameserver(*_place(server)) for server in self._servers]
        else:
            try:
                resolver = dns.resolver.Resolver()
            except dns.resolver.NoResolverConfiguration as error:
                message = "this machine names no DNS servers: set dns.resolvers in config.yaml"
                raise NoAnswerError("DNS_RESOLVER_UNREACHABLE", message) from error
        resolver.lifetime = self._timeout
        return resolver


def _place(server: str) -> tuple[str, int]:
    """Address and port of `ADDRESS`, `ADDRESS:PORT` or `[ADDRESS]:PORT`."""
    address, port = server, "53"
    if server.startswith("[") or server.count(":") == 1:
        address, _colon, port = server.rpartition(":")
    try:
        return str(ipaddress.ip_address(address.strip("[]"))), int(port)
    except ValueError as error:
        message = f"dns.resolvers: {server!r} is not allowed; allowed: an IP address, or ADDRESS:PORT"
        raise LivchatError("SETTING_INVALID", message, {"key": "dns.resolvers"}) from error


def facts(records: t.Iterable[t.Any]) -> set[str]:
    """Data of dnspython as texts that are the same when it says the same."""
    # A text is one, in however many pieces it travels.
    return {_text(record.strings) if hasattr(record, "strings") else record.to_text().lower() for record in records}


def promised(record: dict[str, t.Any]) -> str:
    """The fact that DNS servers answer for a record of Cloudflare's API.

    Raises:
        LivchatError: DNS_RECORD_INVALID, when it cannot be read.
    """
    import dns.exception  # noqa: PLC0415
    import dns.rdata  # noqa: PLC0415
    import dns.rdataclass  # noqa: PLC0415

    kind, content = record["type"], record["content"]
    if kind == "TXT":
        raw = content.encode()
        pieces = _PIECE.findall(raw) if raw.startswith(b'"') else None
        return _text([raw] if pieces is None else [_ESCAPED.sub(_unescaped, piece) for piece in pieces])
    if kind in ("CNAME", "MX"):
        content = content.rstrip(".") + "."
    if kind == "MX":
        content = f"{record['priority']} {content}"
    try:
        (fact,) = facts([dns.rdata.from_text(dns.rdataclass.IN, kind, content)])
    except dns.exception.DNSException as error:
        message = f"the record {record['name']} {kind} {record['content']} cannot be read: {error}"
        raise LivchatError("DNS_RECORD_INVALID", message, {"name": record["name"]}) from error
    return fact


def _text(strings: t.Iterable[bytes]) -> str:
    return b"".join(strings).decode(errors="replace")


def _unescaped(match: re.Match[bytes]) -> bytes:
    r"""What \X and \DDD stand for in a quoted text of a zone file."""
    what = match.group(1)
    return bytes([int(what)]) if what.isdigit() and int(what) < 256 else what
