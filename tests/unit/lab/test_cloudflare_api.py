"""The stand-in for Cloudflare, used by Cloudflare's own SDK, and the DNS answers that follow from it."""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import Any

import cloudflare
import httpx
import pytest
from cloudflare import Cloudflare

from tests.lab.cloudflare.access import RateLimit
from tests.lab.cloudflare.loopback import TOKEN, CloudflareLab
from tests.lab.dns_server import Upstream


@pytest.fixture
def sdk(lab: CloudflareLab) -> Cloudflare:
    return Cloudflare(api_token=TOKEN, base_url=lab.url, max_retries=0)


def create(sdk: Cloudflare, lab: CloudflareLab, **record: Any) -> Any:
    return sdk.dns.records.create(zone_id=lab.zone_id, **{"ttl": 1, **record})


def codes(error: pytest.ExceptionInfo[cloudflare.APIStatusError]) -> tuple[int, list[int]]:
    return error.value.status_code, [entry.code for entry in error.value.errors]


def test_token_and_zone(sdk: Cloudflare, lab: CloudflareLab) -> None:
    verified = sdk.user.tokens.verify()
    assert verified and verified.status == "active"
    (zone,) = list(sdk.zones.list(name="lab.test", per_page=50))
    assert (zone.id, zone.status, zone.name_servers) == (lab.zone_id, "active", ["ns1.lab.test"])
    assert list(sdk.zones.list(name="other.test")) == []
    assert list(sdk.zones.list(status="pending")) == []
    got = sdk.zones.get(zone_id=zone.id)
    assert got and got.name == "lab.test"
    ips = sdk.ips.list()
    assert ips and ips.ipv4_cidrs  # type: ignore[union-attr]


def test_dns_answers_follow_every_change_at_once(sdk: Cloudflare, lab: CloudflareLab) -> None:
    record = create(sdk, lab, name="app", type="A", content="192.0.2.1", comment="c")
    assert (record.name, record.proxied, record.proxiable, record.comment) == ("app.lab.test", False, True, "c")
    assert lab.values("app.lab.test") == ["192.0.2.1"]
    sdk.dns.records.edit(record.id, zone_id=lab.zone_id, name="app", type="A", ttl=120, content="192.0.2.2")
    assert lab.values("app.lab.test") == ["192.0.2.2"]
    assert sdk.dns.records.get(record.id, zone_id=lab.zone_id).comment == "c"  # type: ignore[union-attr]
    # A PUT replaces: what it leaves out is gone.
    sdk.dns.records.update(record.id, zone_id=lab.zone_id, name="app", type="A", ttl=1, content="192.0.2.3")
    assert sdk.dns.records.get(record.id, zone_id=lab.zone_id).comment is None  # type: ignore[union-attr]
    assert lab.values("app.lab.test") == ["192.0.2.3"]
    sdk.dns.records.delete(record.id, zone_id=lab.zone_id)
    assert lab.values("app.lab.test") == []


def test_what_lego_asks_for(lab: CloudflareLab) -> None:
    """Traefik's DNS-01: find the zone, write the TXT record with quotes, remove it."""
    status, zones = lab.request("GET", "/client/v4/zones?name=lab.test&per_page=50")
    assert status == 200
    path = f"/client/v4/zones/{zones['result'][0]['id']}/dns_records"
    body = {"type": "TXT", "name": "_acme-challenge.lab.test", "content": '"token"', "ttl": 120}
    status, created = lab.request("POST", path, body)
    assert (status, created["success"]) == (200, True)
    # The wildcard and the name itself are proven under the same name.
    assert lab.request("POST", path, {**body, "content": '"second"'})[0] == 200
    assert lab.values("_acme-challenge.lab.test", "TXT") == ['"second"', '"token"']
    assert lab.ask("_acme-challenge.lab.test", "CNAME").authority
    assert lab.request("DELETE", f"{path}/{created['result']['id']}")[0] == 200
    assert lab.values("_acme-challenge.lab.test", "TXT") == ['"second"']


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"name": "bad", "type": "A", "content": "999.1.1.1"}, 9005),
        ({"name": "bad", "type": "AAAA", "content": "192.0.2.1"}, 9005),
        ({"name": "bad name!", "type": "A", "content": "192.0.2.1"}, 9000),
        ({"name": "a..b", "type": "A", "content": "192.0.2.1"}, 9000),
        ({"name": "bad", "type": "A", "content": "192.0.2.1", "ttl": 5}, 9021),
        ({"name": "bad", "type": "TXT", "content": "x", "proxied": True}, 9004),
        ({"name": "bad", "type": "MX", "content": "mail.lab.test"}, 1004),
        ({"name": "taken", "type": "A", "content": "192.0.2.1"}, 81058),
        ({"name": "taken", "type": "CNAME", "content": "x.lab.test"}, 81053),
        ({"name": "alias", "type": "A", "content": "192.0.2.1"}, 81054),
        ({"name": "alias", "type": "CNAME", "content": "other.lab.test"}, 81053),
        ({"name": "text", "type": "TXT", "content": "hello"}, 81058),
    ],
)
def test_records_that_are_refused(sdk: Cloudflare, lab: CloudflareLab, record: dict[str, Any], expected: int) -> None:
    create(sdk, lab, name="taken", type="A", content="192.0.2.1")
    create(sdk, lab, name="alias", type="CNAME", content="taken.lab.test")
    create(sdk, lab, name="text", type="TXT", content='"hello"')
    with pytest.raises(cloudflare.BadRequestError) as error:
        create(sdk, lab, **record)
    assert codes(error) == (400, [expected])
    assert len(lab.records()) == 3


def test_addresses_that_do_not_exist(sdk: Cloudflare, lab: CloudflareLab) -> None:
    with pytest.raises(cloudflare.NotFoundError) as error:
        sdk.dns.records.delete("f" * 32, zone_id=lab.zone_id)
    assert codes(error) == (404, [81044])
    with pytest.raises(cloudflare.NotFoundError) as error:
        sdk.dns.records.list(zone_id="nonsense")
    assert codes(error) == (404, [7003, 7000])
    assert lab.request("GET", "/client/v4/nothing")[1]["errors"][0]["code"] == 7003
    with pytest.raises(cloudflare.PermissionDeniedError) as error:
        sdk.dns.records.list(zone_id="f" * 32)
    assert codes(error) == (403, [10000])


def test_lists_are_filtered_ordered_and_paged(sdk: Cloudflare, lab: CloudflareLab) -> None:
    for number in range(7):
        create(sdk, lab, name=f"n{number}", type="A", content=f"192.0.2.{number}", comment=f"c{number}", tags=["t:1"])
    create(sdk, lab, name="n0", type="TXT", content="text")

    def names(**query: Any) -> list[str]:
        return [record.name.partition(".")[0] for record in sdk.dns.records.list(zone_id=lab.zone_id, **query)]

    assert names(type="A", per_page=3) == [f"n{number}" for number in range(7)]  # the SDK reads all the pages
    page = sdk.dns.records.list(zone_id=lab.zone_id, per_page=3, page=3)
    assert page.result_info and (page.result_info.count, page.result_info.total_count) == (2, 8)  # type: ignore[attr-defined]
    assert names(name={"exact": "n0.lab.test"}) == ["n0", "n0"]
    assert names(content={"exact": "192.0.2.4"}) == ["n4"]
    assert names(comment={"startswith": "c5"}) == ["n5"]
    assert names(comment={"absent": "true"}) == ["n0"]
    assert names(tag={"present": "t"}, name={"contains": "n6"}) == ["n6"]
    assert names(type="TXT", content={"exact": "192.0.2.4"}) == []
    assert sorted(names(type="TXT", content={"exact": "192.0.2.4"}, match="any")) == ["n0", "n4"]
    assert names(type="A", order="content", direction="desc")[0] == "n6"


def test_a_batch_is_done_as_a_whole(sdk: Cloudflare, lab: CloudflareLab) -> None:
    old = create(sdk, lab, name="app", type="CNAME", content="x.lab.test")
    text = create(sdk, lab, name="text", type="TXT", content='"one"')
    batch = sdk.dns.records.batch(
        zone_id=lab.zone_id,
        deletes=[{"id": old.id}],
        patches=[{"id": text.id, "content": '"two"', "type": "TXT", "name": "text.lab.test", "ttl": 1}],
        posts=[{"name": "app.lab.test", "type": "A", "content": "192.0.2.5", "ttl": 1}],
    )
    assert batch and batch.posts and batch.deletes
    assert lab.values("app.lab.test") == ["192.0.2.5"]
    assert lab.values("text.lab.test", "TXT") == ['"two"']
    with pytest.raises(cloudflare.BadRequestError):
        sdk.dns.records.batch(
            zone_id=lab.zone_id,
            deletes=[{"id": text.id}],
            posts=[{"name": "app.lab.test", "type": "A", "content": "192.0.2.5", "ttl": 1}],
        )
    assert lab.values("text.lab.test", "TXT") == ['"two"']


def test_tokens_reach_no_further_than_they_should(lab: CloudflareLab) -> None:
    lab.request("POST", "/_lab/zones", {"name": "other.test"})
    records = f"/client/v4/zones/{lab.zone_id}/dns_records"
    body = {"name": "x", "type": "A", "content": "192.0.2.1", "ttl": 1}

    def outcome(method: str, path: str, token: str | None) -> tuple[int, int]:
        status, answer = lab.request(method, path, body if method == "POST" else None, token)
        return status, answer["errors"][0]["code"] if answer["errors"] else 0

    reader = lab.token(permissions=["Zone.Read", "DNS.Read"])
    assert outcome("GET", records, reader) == (200, 0)
    assert outcome("POST", records, reader) == (403, 10000)
    foreign = lab.token(zones=["other.test"])
    assert outcome("GET", records, foreign) == (403, 10000)
    assert outcome("GET", f"/client/v4/zones/{lab.zone_id}", foreign) == (403, 9109)
    listed = lab.request("GET", "/client/v4/zones", token=foreign)[1]["result"]
    assert [zone["name"] for zone in listed] == ["other.test"]
    assert outcome("GET", "/client/v4/zones", lab.token(permissions=["DNS.Edit"])) == (403, 0)
    for token, expected in (("wrong", (403, 9109)), ("wr ong", (400, 6003)), (None, (400, 9106))):
        assert outcome("GET", "/client/v4/zones", token) == expected
    assert outcome("GET", "/client/v4/user/tokens/verify", "wrong") == (401, 1000)
    assert outcome("GET", "/client/v4/zones", lab.token(status="disabled")) == (403, 9109)
    assert TOKEN not in str(lab.request("GET", "/_lab/tokens"))


def test_too_many_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVCHAT_LAB_DIR", str(tmp_path / "lab"))
    lab = CloudflareLab(Upstream("127.0.0.1", tmp_path, tmp_path), RateLimit(requests=3, window=120))
    lab.start()
    try:
        for _ in range(3):
            assert lab.request("GET", "/client/v4/zones")[0] == 200
        answer = httpx.get(f"{lab.url}/zones", headers={"Authorization": f"Bearer {TOKEN}"})
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (429, 971)
        assert 100 < int(answer.headers["Retry-After"]) <= 120
        assert lab.request("GET", "/client/v4/zones", token=lab.token())[0] == 200
    finally:
        lab.stop()


def test_faults(sdk: Cloudflare, lab: CloudflareLab) -> None:
    lab.faults(rate_limited=1)
    with pytest.raises(cloudflare.RateLimitError) as limited:
        sdk.zones.list()
    assert limited.value.response.headers["Retry-After"] == "1"
    lab.faults(server_error=1)
    with pytest.raises(cloudflare.InternalServerError):
        sdk.zones.list()
    lab.faults(cut_after=1)
    assert list(sdk.zones.list())  # reads are not cut
    with pytest.raises(cloudflare.APIConnectionError):
        create(sdk, lab, name="cut", type="A", content="192.0.2.1")
    assert lab.values("cut.lab.test") == ["192.0.2.1"]  # carried out all the same
    create(sdk, lab, name="next", type="A", content="192.0.2.1")
    assert lab.request("PUT", "/_lab/faults", {"nonsense": 1})[0] == 400
    lab.faults(slow=5)
    assert lab.request("DELETE", "/_lab/faults")[1]["slow"] == 0


def test_broken_bodies(lab: CloudflareLab) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", lab.port)
    for body in (b"{", b"[]", b""):
        path = f"/client/v4/zones/{lab.zone_id}/dns_records"
        connection.request("POST", path, body, {"Authorization": f"Bearer {TOKEN}"})
        answer = connection.getresponse()
        assert answer.status == 400
        assert b"9207" in answer.read()
