"""Where the lab's images come from: a public registry that answers, or the lab itself."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.lab.engine import LabError
from tests.lab.registry import public_registry

VARIABLE = "LIVCHAT_LAB_PUBLIC_REGISTRY"


class Api(http.server.BaseHTTPRequestHandler):
    """A registry's /v2/, which answers with `status`; anything else is not found."""

    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/v2/" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "*")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("status", [200, 401])
def test_one_that_answers_or_asks_for_a_token_is_mirrored(
    address: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Api, "status", status)
    for written in (address, f"{address}/"):
        monkeypatch.setenv(VARIABLE, written)
        assert public_registry() == address


@pytest.mark.parametrize("status", [403, 404, 500])
def test_what_answers_otherwise_is_no_registry_to_mirror(
    address: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Api, "status", status)
    monkeypatch.setenv(VARIABLE, address)
    assert public_registry() is None


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        # Bound but not listening: connections are refused, and nobody else gets the port meanwhile.
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv(VARIABLE, f"http://127.0.0.1:{taken.getsockname()[1]}")
        assert public_registry() is None


def test_an_empty_address_asks_for_the_labs_own_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    assert public_registry() is None


def test_an_address_that_is_no_url_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "registry.example.com")
    with pytest.raises(LabError, match=r"registry\.example\.com' must be a URL such as https://"):
        public_registry()
