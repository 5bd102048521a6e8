"""A local HTTP server for stand-ins that answer with JSON."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

TOKEN = "a-token-for-the-stand-in"


class Answering(Protocol):
    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]: ...


class Server(ThreadingHTTPServer):
    """`with Server(one) as server:` answers on `server.url`, to those who have the token."""

    def __init__(self, answering: Answering) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answering = answering
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Server:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        status, answer = 401, None
        if self.headers.get("Authorization") == f"Bearer {TOKEN}":
            query = dict(parse_qsl(parts.query))
            status, answer = self.server.answering.answer(self.command, parts.path, query, body)
        text = b"" if status == 204 else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _answer  # noqa: N815  # names that http.server prescribes

    def log_message(self, *_: Any) -> None:
        pass
