"""A stand-in for Cloudflare and its DNS server on loopback, for tests."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from typing import Any

import dns.message
import dns.query
import dns.rdatatype
import uvicorn

from tests.lab.cloudflare.access import RateLimit
from tests.lab.cloudflare.api import create_app
from tests.lab.config import LabConfig
from tests.lab.dns_server import DnsServer, Upstream, ZoneStore

TOKEN = "unit-test-token-0123456789abcdefghijklmn"


class CloudflareLab:
    """Both servers in this process, on free ports. The zone is lab.test."""

    def __init__(self, upstream: Upstream, rate_limit: RateLimit | None = None) -> None:
        self.config = LabConfig(hetzner_token="unused", cloudflare_token=TOKEN)
        self.store = ZoneStore(self.config)
        self.dns = DnsServer(self.store, "127.0.0.1", 0, upstream)
        self._rate_limit = rate_limit
        self._server: uvicorn.Server | None = None
        self.port = 0

    def start(self) -> None:
        self.dns.start()
        app = create_app(self.config, self.store, self._rate_limit)
        self._server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical"))
        threading.Thread(target=self._server.run, daemon=True).start()
        while not self._server.started:
            time.sleep(0.01)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]

    def stop(self) -> None:
        self.dns.stop()
        if self._server:
            self._server.should_exit = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/client/v4"

    @property
    def zone_id(self) -> str:
        zone = self.store.zone_named("lab.test")
        assert zone
        return zone.id

    def request(self, method: str, path: str, body: Any = None, token: str | None = TOKEN) -> tuple[int, Any]:
        """Status and decoded body of a request to any path of the server."""
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def faults(self, **faults: float) -> None:
        assert self.request("PUT", "/_lab/faults", faults)[0] == 200

    def token(self, **data: Any) -> str:
        status, answer = self.request("POST", "/_lab/tokens", data)
        assert status == 201
        return str(answer["value"])

    def ask(self, name: str, kind: str = "A", tcp: bool = False, **options: Any) -> dns.message.Message:
        query = dns.message.make_query(name, kind, **options)
        send = dns.query.tcp if tcp else dns.query.udp
        return send(query, "127.0.0.1", port=self.dns.port, timeout=5)

    def values(self, name: str, kind: str = "A") -> list[str]:
        wanted = dns.rdatatype.from_text(kind)
        return sorted(r.to_text() for rrset in self.ask(name, kind).answer if rrset.rdtype == wanted for r in rrset)

    def records(self) -> list[dict[str, Any]]:
        status, answer = self.request("GET", f"/client/v4/zones/{self.zone_id}/dns_records?per_page=1000")
        assert status == 200
        found: list[dict[str, Any]] = answer["result"]
        return found
