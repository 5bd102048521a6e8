"""The gateway over a remote REST API, beside what `test_jobs.py` tries in both ways."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from livchat_cli.access import IMPLIED, Principal, Tokens, end_in
from livchat_cli.errors import LivchatError
from livchat_cli.jobs import JobFolder, Jobs, now
from livchat_cli.operations import Scope, get
from livchat_mcp.backend_local import LocalBackend
from livchat_mcp.backend_remote import RemoteBackend
from tests.throwaway import Tree
from tests.unit.api.running import Running, state
from tests.unit.mcp.running import over_stdio
from tests.unit.mcp.scripted import ANYBODY, asker, gateway
from tests.unit.mcp.test_jobs import nap, said


@pytest.fixture(scope="module")
def api(tree: Tree, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tree, tmp_path_factory.mktemp("api") / "home")
    known = state(servers=120)
    known["applications"]["s1/gone"] = {**known["applications"]["s1/n8n"], "instance": "gone", "status": "uninstalled"}
    running.write_state(known)
    running.start()
    yield running
    running.stop()


def remote(api: Running, principal: Principal | None = None) -> RemoteBackend:
    backend = RemoteBackend(api.url, api.key())
    return backend.of(principal) if principal else backend


@pytest.mark.anyio
async def test_the_same_tools_work_over_an_api(tree: Tree, api: Running, home: Path) -> None:
    environment = {"LIVCHAT_API_URL": api.url, "LIVCHAT_API_TOKEN": api.key()}
    told: list[str | None] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        told.append(message)

    async with Client(over_stdio(tree, home, environment=environment)) as client:
        servers = said(await client.call_tool("listar-servidores", {}))
        assert servers["itens"][0]["name"] == "s0" and "de 120" in servers["proximo"]
        one = said(await client.call_tool("listar-servidores", {"acao": "show", "name": "s1"}))
        assert one["resultado"]["ip_address"] == "192.0.2.1"
        result = await client.call_tool("operacao", nap("s1", seconds="1"), progress_callback=note)
        done = said(result)
        assert done["resultado"]["rested"] == "s1", done
        assert {"localhost: Sleep", "localhost: Talk"} <= set(told)
        # It ran on the other side, and nothing of it is here.
        assert Jobs(api.home).get(done["trabalho"]).record()["principal"] == "token:admin"
        assert Jobs(home).all() == []
        shown = said(await client.call_tool("trabalhos", {"acao": "show", "job": done["trabalho"]}))
        assert shown["resultado"]["result"] == done["resultado"]
        failed = await client.call_tool("operacao", nap("s1", fails="yes"))
        assert failed.is_error and said(failed)["erro"]["details"]["task"] == "Fail"


def test_a_caller_that_is_limited_here_is_limited_there(api: Running) -> None:
    backend = remote(api, Principal("token:x", frozenset(Scope), frozenset({"s1"})))
    assert list(backend.index().servers) == ["s1"]
    with pytest.raises(LivchatError, match="ACCESS_FORBIDDEN"):
        backend.look(get("server.show"), {"name": "s0"})
    with pytest.raises(LivchatError, match="ACCESS_FORBIDDEN"):
        backend.start(get("server.setup"), {"target": ["s0"]}, "mcp-1", None)


def test_an_index_comes_whole_though_it_comes_in_pages(api: Running) -> None:
    index = remote(api).index()
    assert (len(index.servers), len(index.applications)) == (120, 240)
    assert set(index.on("s7")) == {"n8n", "postgres"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """Paths and queries that the API was asked for."""
    found: list[tuple[str, Any]] = []
    send = RemoteBackend._send

    def noting(self: RemoteBackend, method: str, path: str, **more: Any) -> Any:
        found.append((path, more.get("params")))
        return send(self, method, path, **more)

    monkeypatch.setattr(RemoteBackend, "_send", noting)
    return found


def test_of_an_index_only_what_is_asked_for_is_read_and_kept_for_a_moment(
    api: Running, asked: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = remote(api)
    for _time in range(3):
        # Another caller's as well.
        assert len(backend.of(Principal("token:x", frozenset(Scope))).index(applications=False).servers) == 120
    assert asked == [("/v1/servers", {"limit": "1000"})]
    # What is named is what a plan depends on.
    for _time in range(2):
        assert set(backend.index({"s1"}).applications) == {"s1/n8n", "s1/postgres"}
    assert [path for path, _query in asked[1:]] == ["/v1/servers/s1", "/v1/instances?target=s1"] * 2
    moment = time.monotonic() + 6
    monkeypatch.setattr(time, "monotonic", lambda: moment)
    backend.index()
    assert [path for path, _query in asked[5:]] == ["/v1/servers", "/v1/instances"]


def test_a_list_that_is_longer_than_is_read_is_an_error(api: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livchat_mcp.backend_remote.MOST", 30)
    assert len(remote(api).index(applications=False).servers) == 120
    monkeypatch.setattr("livchat_mcp.backend_remote._PAGES", 3)
    with pytest.raises(LivchatError, match="LIST_TOO_LONG"):
        remote(api).index(applications=False)
    monkeypatch.setattr("livchat_mcp.backend_remote._PAGES", 4)
    assert len(remote(api).index(applications=False).servers) == 120


def test_who_sees_few_jobs_finds_them_behind_those_of_others(
    api: Running, asked: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(server: str) -> str:
        folder = JobFolder.make(Jobs(api.home).folder)
        kept = {"operation": "server.setup", "effect": "write", "servers": [server], "status": "successful"}
        times = dict.fromkeys(("created_at", "started_at", "finished_at"), now())
        folder.update(**kept, **times, parameters={}, principal="token:x", token="x", request_id="", error=None)
        return folder.id

    mine = sorted((ended("s7") for _one in range(3)), reverse=True)
    # So that they are newer.
    time.sleep(1.1)
    for _one in range(60):
        ended("s0")
    backend, jobs = remote(api, Principal("token:y", frozenset(Scope), frozenset({"s7"}))), get("jobs.list")
    assert [one["id"] for one in backend.call(jobs, {}, "")] == mine
    assert [one["id"] for one in backend.call(jobs, {"limit": 2}, "")] == mine[:2]
    assert [one["id"] for one in backend.call(jobs, {"limit": 1, "before": mine[0]}, "")] == mine[1:2]
    assert backend.call(jobs, {"before": mine[-1], "server": "s7"}, "") == []
    # However many others there are, it ends.
    asked.clear()
    monkeypatch.setattr("livchat_mcp.backend_remote._MOST_JOBS", 2)
    monkeypatch.setattr("livchat_mcp.backend_remote._PAGES", 4)
    assert backend.call(jobs, {"limit": 1}, "") == []
    assert len(asked) == 4


def test_nobody_gets_more_by_a_token_of_the_gateways_api_than_they_may(api: Running) -> None:
    there = RemoteBackend(api.url, Tokens(api.home).create("gateway", ["admin", "exec"])[1])
    admin = there.of(Principal("token:a", frozenset(IMPLIED[Scope.ADMIN])))
    on_one = there.of(Principal("token:b", frozenset(Scope), frozenset({"s1"})))
    for_a_day = there.of(Principal("token:c", frozenset(Scope), expires_at=str(end_in(1))))
    create, rotate = get("token.create"), get("token.rotate")
    before = Tokens(api.home).all()
    for backend, values in (
        (admin, {"scopes": ["exec"]}),
        (on_one, {"scopes": ["read"]}),
        (on_one, {"scopes": ["read"], "servers": ["s1", "s2"]}),
        (for_a_day, {"scopes": ["read"]}),
        (for_a_day, {"scopes": ["read"], "days": 2}),
    ):
        with pytest.raises(LivchatError, match="ACCESS_FORBIDDEN"):
            backend.call(create, {"name": "more", **values}, "mcp-more")
    strong, key = Tokens(api.home).create("strong", ["exec"])
    for backend in (admin, on_one, for_a_day):
        with pytest.raises(LivchatError, match="ACCESS_FORBIDDEN"):
            backend.call(rotate, {"token": strong.id}, "mcp-rotate")
    assert {one.id for one in Tokens(api.home).all()} == {*(one.id for one in before), strong.id}
    assert Tokens(api.home).principal(key).token == strong.id
    with pytest.raises(LivchatError, match="TOKEN_UNKNOWN"):
        admin.call(rotate, {"token": "00000000"}, "mcp-none")
    made = admin.call(create, {"name": "weak", "scopes": ["deploy"]}, "mcp-weak")
    assert admin.call(rotate, {"token": made["id"]}, "mcp-again")["key"] != made["key"]


@pytest.mark.parametrize("limited", [frozenset(), frozenset({"s1", "gone"})])
def test_an_index_is_the_same_here_and_there(api: Running, limited: frozenset[str]) -> None:
    who = Principal("token:x", frozenset(Scope), limited)
    here, there = LocalBackend(api.home, who), remote(api, who)
    for servers in ((), {"s1"}, {"s0", "s1", "gone"}, {"gone"}):
        for applications in (True, False):
            local = here.index(servers, applications=applications)
            assert replace(local, left={}) == there.index(servers, applications=applications)
    assert set(here.index({"s1"}).applications) == {"s1/n8n", "s1/postgres"}
    # A plan to drop its data needs to know of it.
    assert set(here.index({"s1"}).left) == {"s1/gone"}


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["servidores", "servidores/s1", "apps", "apps/depois/s0/n8n"])
async def test_a_resource_is_the_same_here_and_there(api: Running, path: str) -> None:
    texts = []
    for backend in (LocalBackend(api.home, ANYBODY), remote(api, ANYBODY)):
        async with asker(gateway(api.home, backend)) as client:
            (content,) = (await client.client.read_resource(f"livchat://{path}")).contents
            texts.append(json.loads(str(getattr(content, "text", ""))))
    assert texts[0] == texts[1]
    assert "gone" not in json.dumps(texts)


@pytest.mark.parametrize(
    ("url", "code"), [("http://127.0.0.1:1", "API_UNREACHABLE"), ("the API with a wrong token", "ACCESS_DENIED")]
)
def test_what_the_api_does_not_do_is_an_error_of_the_usual_form(api: Running, url: str, code: str) -> None:
    backend = RemoteBackend(url if "://" in url else api.url, "livchat_key_00000000_" + "x" * 43)
    with pytest.raises(LivchatError, match=code) as caught:
        backend.look(get("server.list"), {})
    assert "x" * 43 not in str(caught.value.to_dict())


def test_how_long_a_job_may_take_is_said_to_the_api(api: Running) -> None:
    # The throwaway one, which only the API knows.
    rest = replace(get("app.install"), name="server.nap", target="server", route="", more_routes=(), timeout=60)
    backend, values = remote(api), {"target": ["s3"], "apps": ["nap"], "variables": {"nap": {"seconds": "600"}}}
    # Longer than the operation may is what the API would refuse.
    longest = backend.start(rest, values, "mcp-long", rest.timeout + 1)["id"]
    Jobs(api.home).cancel(longest)
    short = backend.start(rest, values, "mcp-short", 1)["id"]
    backend.follow(short, lambda _event: None, lambda: False)
    assert backend.show(short)["error"]["code"] == "JOB_TIMEOUT"


def test_a_request_that_is_sent_twice_is_done_once(api: Running) -> None:
    backend, wanted = remote(api), {"target": ["s2"]}
    first = backend.start(get("server.setup"), wanted, "mcp-once", None)
    assert backend.start(get("server.setup"), wanted, "mcp-once", None)["id"] == first["id"]
    Jobs(api.home).cancel(first["id"])


def test_a_job_is_its_owners_to_end_though_for_the_api_it_is_the_gateways(api: Running) -> None:
    gateways = remote(api)
    mine, other = (
        gateways.of(Principal("token:ci", frozenset(IMPLIED[Scope.DEPLOY]), token=token)) for token in ("1", "2")
    )
    # The throwaway one, which for this gateway takes the scope deploy.
    nap = replace(get("app.install"), name="server.nap", route="", more_routes=(), timeout=60)
    values = {"target": ["s4"], "apps": ["nap"], "variables": {"nap": {"seconds": "600"}}}
    job = mine.start(nap, values, "mcp-mine", None)["id"]
    with pytest.raises(LivchatError, match="ACCESS_FORBIDDEN"):
        other.call(get("jobs.cancel"), {"job": job}, "mcp-others")
    mine.call(get("jobs.cancel"), {"job": job}, "mcp-own")
    mine.follow(job, lambda _event: None, lambda: False)
    assert mine.show(job)["status"] == "cancelled"
