"""What the client makes of Portainer's answers, and of those that come from something else or not at all."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils import _internal
from ansible_collections.livchat.setup.plugins.module_utils._errors import LivchatError
from ansible_collections.livchat.setup.plugins.module_utils._patience import ConnectionCutError
from ansible_collections.livchat.setup.plugins.module_utils._portainer import PortainerClient

from ..plugin_utils.test_https import certificate

TOKEN = "ptr_a-secret-token"
Answers = list[Any]


class Site(http.server.BaseHTTPRequestHandler):
    """Gives its answers one after the other: a status with an object or a text, or None to cut the connection."""

    answers: Answers
    requests: list[tuple[str, str, Any, dict[str, str]]]

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.requests.append((self.command, self.path, json.loads(body) if body else None, dict(self.headers)))
        given = self.answers.pop(0)
        if given is None:
            self.close_connection = True
            return
        status, content = given
        text = (content if isinstance(content, str) else json.dumps(content)).encode() if content is not None else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815  # http.server's names

    def log_message(self, format: str, *args: object) -> None:
        pass


Serve = Callable[..., tuple[PortainerClient, list[Any]]]


@pytest.fixture(autouse=True)
def _on_a_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_internal, "is_controller", False)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A client for a site that gives these answers, and the requests it gets."""
    servers = []

    def start(*answers: Any, tls: tuple[Path, Path] | None = None, **options: Any) -> tuple[PortainerClient, list[Any]]:
        requests: list[Any] = []
        handler = type("Bound", (Site,), {"answers": list(answers), "requests": requests})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        given = {"server": "prod", "sleep": lambda _seconds: None, **options}
        url = f"{'https' if tls else 'http'}://portainer.prod.example.com:{server.server_address[1]}"
        return PortainerClient(url, TOKEN, address="127.0.0.1", **given), requests

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_requests_carry_the_token_and_the_name_of_portainer(serve: Serve) -> None:
    client, requests = serve((200, [{"Id": 7, "Name": "app", "EndpointId": 1}, {"Id": 8, "EndpointId": 2}]))
    assert [one["Id"] for one in client.stacks(1)] == [7]
    ((method, path, _body, headers),) = requests
    assert (method, path, headers["X-Api-Key"]) == ("GET", "/api/stacks", TOKEN)
    assert headers["Host"].startswith("portainer.prod.example.com:")


def test_a_stacks_life_in_requests(serve: Serve) -> None:
    variables = [{"name": "A", "value": "1"}]
    stack = {"Id": 7, "Name": "app", "Status": 1}
    client, requests = serve((200, stack), (200, stack), (200, {"StackFileContent": "x"}), (200, stack), (204, None))
    assert client.create(3, "swarm", "app", "file", variables) == stack
    assert client.update(3, 7, "file", variables, True) == stack
    assert client.file(7) == "x"
    client.stop(3, 7)
    client.delete(3, 7)
    shown = [(method, path, body) for method, path, body, _headers in requests]
    made = {"name": "app", "swarmID": "swarm", "stackFileContent": "file", "env": variables}
    changed = {"stackFileContent": "file", "env": variables, "prune": True, "pullImage": True}
    assert shown == [
        ("POST", "/api/stacks/create/swarm/string?endpointId=3", made),
        ("PUT", "/api/stacks/7?endpointId=3", changed),
        ("GET", "/api/stacks/7/file", None),
        ("POST", "/api/stacks/7/stop?endpointId=3", None),
        ("DELETE", "/api/stacks/7?endpointId=3", None),
    ]


def test_the_environment_is_the_one_that_is_this_swarm(serve: Serve) -> None:
    environments = [
        {"Id": 1, "Type": 4, "Status": 1},  # an agent on the edge
        {"Id": 2, "Type": 1, "Status": 2},  # one that is down
        {"Id": 3, "Type": 1, "Status": 1},  # no manager
        {"Id": 4, "Type": 2, "Status": 1},  # another Swarm
        {"Id": 5, "Type": 2, "Status": 1},
    ]
    no_manager = (503, {"message": "This node is not a swarm manager"})
    client, requests = serve((200, environments), no_manager, (200, {"ID": "other"}), (200, {"ID": "mine"}))
    assert client.environment("mine") == 5
    assert [path for _method, path, _body, _headers in requests[1:]] == [
        f"/api/endpoints/{number}/docker/swarm" for number in (3, 4, 5)
    ]
    client, _ = serve((200, environments[:2]))
    with pytest.raises(LivchatError, match="no environment that is the Swarm of prod") as caught:
        client.environment("mine")
    assert caught.value.code == "PORTAINER_ENVIRONMENT_NOT_FOUND"


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        ((401, {"message": "Invalid JWT token"}), "PORTAINER_TOKEN_INVALID", "livchat-setup server setup prod --full"),
        (
            (303, {"message": "Administrator initialization timeout"}),
            "PORTAINER_LOCKED",
            "docker service update --force",
        ),
        (
            (403, {"message": "Access denied", "details": "to resource"}),
            "PORTAINER_ERROR",
            "Access denied: to resource",
        ),
        ((500, {"message": "services.a Additional property x"}), "PORTAINER_ERROR", "services.a Additional property x"),
        ((200, "<html>a page of somebody else's</html>"), "PORTAINER_ERROR", "no Portainer"),
    ],
)
def test_a_refusal_says_what_to_do(serve: Serve, answer: Any, code: str, said: str) -> None:
    client, _ = serve(answer)
    with pytest.raises(LivchatError) as caught:
        client.stacks(1)
    assert caught.value.code == code
    assert said in caught.value.message
    assert TOKEN not in json.dumps(caught.value.to_dict())


def test_what_traefik_says_in_portainers_place_is_waited_out(serve: Serve) -> None:
    stack = {"Id": 7, "Name": "app", "Status": 1}
    client, requests = serve((404, "404 page not found\n"), (503, "no available server"), (200, stack))
    # Neither got to Portainer, so that even what must not be repeated is sent again.
    assert client.create(1, "swarm", "app", "file", []) == stack
    assert len(requests) == 3
    client, _ = serve((404, "404 page not found\n"), patience=-1)
    with pytest.raises(LivchatError, match="nothing behind Traefik answers as Portainer") as caught:
        client.stacks(1)
    assert caught.value.code == "PORTAINER_UNREACHABLE"


@pytest.mark.parametrize("lost", [None, (502, "Bad Gateway"), (504, "Gateway Timeout")])
def test_a_lost_answer_repeats_what_may_be_repeated_and_nothing_else(serve: Serve, lost: Any) -> None:
    client, requests = serve(lost, (200, []))
    assert client.stacks(1) == []
    assert len(requests) == 2
    client, requests = serve(lost, (200, {}))
    with pytest.raises(ConnectionCutError):
        client.create(1, "swarm", "app", "file", [])
    assert len(requests) == 1


def test_what_is_gone_already_counts_as_removed(serve: Serve) -> None:
    missing = {"message": "Unable to find a stack with the specified identifier inside the database"}
    client, requests = serve(None, (404, missing))
    client.delete(1, 7)
    assert len(requests) == 2


def test_nobody_there_is_told_after_a_while() -> None:
    client = PortainerClient("http://portainer.example.com:1", TOKEN, address="127.0.0.1", patience=-1)
    with pytest.raises(LivchatError, match=r"does not answer GET /api/stacks: .*refused"):
        client.stacks(1)


def test_a_version_that_deploys_after_it_answered_is_waited_for(serve: Serve) -> None:
    deploying = {"Id": 7, "Name": "app", "Status": 3, "DeploymentStatus": [{"Status": 3, "Message": ""}]}
    client, requests = serve((200, deploying), (200, {**deploying, "Status": 1}))
    client.settled(deploying)
    assert [path for _method, path, _body, _headers in requests] == ["/api/stacks/7"] * 2
    failed = {
        **deploying,
        "Status": 4,
        "DeploymentStatus": [{"Status": 3}, {"Status": 4, "Message": "no such network"}],
    }
    client, _ = serve((200, failed))
    with pytest.raises(LivchatError, match="could not deploy app: no such network") as caught:
        client.settled(deploying)
    assert caught.value.code == "STACK_DEPLOY_FAILED"


def test_the_certificate_is_checked_by_name_at_another_address(serve: Serve, tmp_path: Path) -> None:
    right = certificate(tmp_path, "portainer.prod.example.com")
    client, _ = serve((200, []), tls=right, authority=right[0].read_text())
    assert client.stacks(1) == []
    # The name of the address alone does not do, nor does an authority that is not trusted.
    other = certificate(tmp_path, "127.0.0.1")
    for tls, authority in ((other, other), (right, other)):
        client, requests = serve((200, []), tls=tls, authority=authority[0].read_text())
        with pytest.raises(LivchatError, match=r"acme\.root_file") as caught:
            client.stacks(1)
        assert caught.value.code == "TLS_NOT_TRUSTED" and requests == []
    with pytest.raises(LivchatError) as caught:
        PortainerClient("https://portainer.example.com", TOKEN, authority="no certificate")
    assert caught.value.code == "CA_FILE_INVALID"


def test_no_proxy_comes_between(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    client, _ = serve((200, []))
    assert client.stacks(1) == []
