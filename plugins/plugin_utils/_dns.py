# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""Asks DNS servers: chosen ones, or the system's."""

from __future__ import annotations

import socket
import typing as t


class Resolver:
    """Asks these servers, or the system's when none is named."""

    def __init__(self, servers: t.Sequence[str] = (), timeout: float = 15) -> None:
        self._servers = tuple(servers)
        self._timeout = timeout

    def addresses(self, host: str) -> list[str]:
        """The host's addresses; none when nobody answers. The system's are those that every program here sees."""
        if not self._servers:
            try:
                return sorted({str(one[4][0]) for one in socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)})
            except OSError:
                return []
        # Only who names resolvers needs the library.
        import dns.exception  # noqa: PLC0415
        import dns.resolver  # noqa: PLC0415

        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers = list(self._servers)
        resolver.lifetime = self._timeout
        try:
            return sorted(record.to_text() for record in resolver.resolve(host, "A"))
        except dns.exception.DNSException:
            return []
