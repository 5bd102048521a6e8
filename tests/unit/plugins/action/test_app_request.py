"""What post_install sends and how it reads the answer, against a real HTTPS server; secrets come from a real vault."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.livchat.setup.plugins.action.app_request import ActionModule
from ansible_collections.livchat.setup.plugins.module_utils._errors import LivchatError
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home
from ansible_collections.livchat.setup.plugins.plugin_utils._https import Outside
from ansible_collections.livchat.setup.plugins.plugin_utils._vault import Vault

from tests.unit.plugins.plugin_utils.test_https import HOST, certificate

PASSWORD = "pass&word=1 ü+%"


class Wizard(http.server.BaseHTTPRequestHandler):
    """A setup page of its time: it answers 200 whatever happens, and says in words what did."""

    fields: dict[str, str]
    received: list[tuple[str, str]]

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"])).decode()
        kind = str(self.headers["Content-Type"])
        self.received.append((kind, content))
        given = json.loads(content) if kind == "application/json" else dict(urllib.parse.parse_qsl(content))
        if self.fields:
            text = "You have installed it already"
        elif given.get("password"):
            self.fields.update(given)
            text = "It has been installed"
        else:
            text = "Please provide a password"
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


Send = Callable[[dict[str, Any]], bool]


@pytest.fixture
def wizard(tmp_path: Path) -> Iterator[tuple[Outside, type[Wizard]]]:
    public, private = certificate(tmp_path, HOST)
    handler = type("Handler", (Wizard,), {"fields": {}, "received": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield Outside("127.0.0.1", str(public), port=server.server_port, timeout=5), handler
    server.shutdown()
    server.server_close()


@pytest.fixture
def send(wizard: tuple[Outside, type[Wizard]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Send:
    monkeypatch.setenv("LIVCHAT_VAULT_PASSWORD", "a password")
    action = ActionModule(None, None, None, None, None, None)
    action.vault = Vault(Home(str(tmp_path / "home")))
    action.vault.set("servers/prod/apps/mine/owner", PASSWORD)
    entry = {"instance": "mine", "app": "mine", "secrets": [{"name": "owner"}], "closed": False}

    def run(content: dict[str, Any]) -> bool:
        request = {
            "name": "Set up",
            "host": HOST,
            "path": "/setup?step=2",
            "method": "POST",
            "vault_path": "servers/prod/apps/mine",
            "status": [200],
            **content,
        }
        return bool(action._send(wizard[0], entry, request))

    return run


WORDED = {"contains": "has been installed", "done": {"status": 200, "contains": "installed it already"}}


def test_a_form_is_sent_as_a_browser_sends_it(send: Send, wizard: tuple[Outside, type[Wizard]]) -> None:
    form = {"title": "Mine & yours", "password": "${secrets.owner}", "public": 1, "weak": True}
    assert send({"form": form})
    ((kind, _content),) = wizard[1].received
    assert kind == "application/x-www-form-urlencoded"
    assert wizard[1].fields == {"title": "Mine & yours", "password": PASSWORD, "public": "1", "weak": "true"}


def test_a_body_is_sent_as_json(send: Send, wizard: tuple[Outside, type[Wizard]]) -> None:
    assert send({"body": {"password": "${secrets.owner}", "public": 1}})
    assert wizard[1].received[0][0] == "application/json"
    assert wizard[1].fields == {"password": PASSWORD, "public": 1}


def test_words_tell_what_one_status_for_all_does_not(send: Send) -> None:
    assert send({"form": {"password": "${secrets.owner}"}, **WORDED})
    assert not send({"form": {"password": "${secrets.owner}"}, **WORDED})


def test_a_refusal_with_the_right_status_is_an_error_without_what_was_sent(send: Send) -> None:
    with pytest.raises(LivchatError) as caught:
        send({"form": {"wrong": "${secrets.owner}"}, **WORDED})
    assert caught.value.code == "POST_INSTALL_FAILED"
    assert caught.value.message.endswith("/setup?step=2 answered 200 without 'has been installed'")
    assert PASSWORD not in str(caught.value.to_dict())
