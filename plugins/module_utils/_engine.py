# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""The Docker engine's HTTP API over its local socket."""

from __future__ import annotations

import http.client
import json
import socket
import typing as t
import urllib.parse

from ._errors import LivchatError

SOCKET = "/var/run/docker.sock"


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class EngineClient:
    """Calls the engine. Its errors come as LivchatError ENGINE_ERROR, its absence as ENGINE_UNREACHABLE."""

    def __init__(self, path: str = SOCKET, timeout: float = 60) -> None:
        self._path = path
        self._timeout = timeout

    def get(self, path: str, **query: t.Any) -> t.Any:
        return self.call("GET", path, query)

    def call(self, method: str, path: str, query: t.Mapping[str, t.Any] | None = None, body: t.Any = None) -> t.Any:
        """The answer's JSON, or None for an empty one. Filters given as a mapping are sent as JSON."""
        words = {
            key: json.dumps(value) if isinstance(value, (dict, bool)) else value for key, value in (query or {}).items()
        }
        url = path + ("?" + urllib.parse.urlencode(words) if words else "")
        connection = _SocketConnection(self._path, self._timeout)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, url, body=content, headers={"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or error
            message = f"the Docker engine at {self._path} does not answer ({reason}); the setup of the server starts it"
            raise LivchatError("ENGINE_UNREACHABLE", message) from error
        finally:
            connection.close()
        if response.status >= 400:
            try:
                message = json.loads(text)["message"]
            except (ValueError, KeyError, TypeError):
                message = text.decode(errors="replace")
            details = {"status": response.status, "path": path}
            raise LivchatError("ENGINE_ERROR", f"{method} {path}: {message.strip()}", details)
        return json.loads(text) if text.strip() else None
