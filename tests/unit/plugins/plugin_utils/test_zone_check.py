"""What is found wrong with a zone: against the lab's API and its DNS server."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.livchat.setup.plugins.module_utils._cloudflare import CloudflareClient
from ansible_collections.livchat.setup.plugins.module_utils._errors import LivchatError
from ansible_collections.livchat.setup.plugins.plugin_utils import _record_check
from ansible_collections.livchat.setup.plugins.plugin_utils._check import Check, report
from ansible_collections.livchat.setup.plugins.plugin_utils._dns import Resolver
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home
from ansible_collections.livchat.setup.plugins.plugin_utils._settings import Settings
from ansible_collections.livchat.setup.plugins.plugin_utils._vault import Vault
from ansible_collections.livchat.setup.plugins.plugin_utils._zone import ZoneAccess
from ansible_collections.livchat.setup.plugins.plugin_utils._zone_check import ZoneCheck

from tests.lab.cloudflare.loopback import TOKEN, CloudflareLab
from tests.lab.dns_server import DnsServer, Record, Upstream, ZoneStore

from .test_dns import put

PROD = {"prod": {"name": "prod", "ip_address": "192.0.2.1", "metadata": {"domain": "prod.lab.test"}}}


@pytest.fixture(autouse=True)
def _top(lab: CloudflareLab) -> None:
    """The domain above the zone, which has no CAA records."""
    lab.store.create_zone("test", "127.0.0.1")


def owned(owner: str) -> dict[str, str]:
    return {"comment": f"managed by livchat.setup: {owner}"}


def look(
    lab: CloudflareLab,
    *,
    servers: dict[str, Any] | None = None,
    applications: dict[str, Any] | None = None,
    token: str = TOKEN,
    dns: DnsServer | None = None,
    **more: Any,
) -> dict[str, Check]:
    check = ZoneCheck(
        CloudflareClient(token, lab.url, patience=20, sleep=lambda _seconds: None),
        "lab.test",
        Resolver([f"127.0.0.1:{(dns or lab.dns).port}"], 2),
        state={"servers": servers or {}, "applications": applications or {}},
        **more,
    )
    checks = check.checks()
    assert len({one.check for one in checks}) == len(checks)
    assert all(one.cure for one in checks if one.status != "ok")
    return {one.check: one for one in checks}


@pytest.fixture
def elsewhere(lab: CloudflareLab, tmp_path: Path) -> Iterator[tuple[DnsServer, ZoneStore]]:
    """Another DNS server, whose zone is the lab's as it was when this fixture was made."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIVCHAT_LAB_DIR", str(folder))
        store = ZoneStore(lab.config)
    server = DnsServer(store, "127.0.0.1", 0, Upstream("127.0.0.1", tmp_path / "none", tmp_path / "none"))
    server.start()
    yield server, store
    server.stop()


def test_a_zone_in_order(lab: CloudflareLab) -> None:
    put(lab, name="prod.lab.test", type="A", content="192.0.2.1", **owned("prod"))
    put(lab, name="*.prod.lab.test", type="CNAME", content="prod.lab.test", **owned("prod/n8n"))
    put(lab, name="lab.test", type="TXT", content='"v=spf1 -all"', **owned("operator/dns"))
    put(lab, name="theirs.lab.test", type="A", content="203.0.113.9")
    applications = {"prod/n8n": {"domain": "n8n.prod.lab.test"}, "prod/redis": {"domain": None}}
    found = look(lab, servers=PROD, applications=applications)
    assert {one.status for one in found.values()} == {"ok"}, found
    assert found["dns records"].found == "3 of 3 resolve as Cloudflare says"
    assert found["dns server prod"].found == "1 names lead to 192.0.2.1"
    assert report(list(found.values()))["healthy"]


@pytest.mark.parametrize(
    ("permissions", "name", "code"),
    [
        (["Zone.Read", "DNS.Read"], "dns token", "DNS_TOKEN_FORBIDDEN"),
        (["DNS.Edit"], "dns zone", "DNS_TOKEN_FORBIDDEN"),
    ],
)
def test_a_token_without_its_rights(lab: CloudflareLab, permissions: list[str], name: str, code: str) -> None:
    found = look(lab, token=lab.token(permissions=permissions))
    assert (found[name].status, found[name].found) == ("failed", code)
    assert "DNS Edit" in found[name].cure


def test_a_zone_that_waits_for_its_delegation(lab: CloudflareLab) -> None:
    lab.store._zones[lab.zone_id].status = "pending"
    found = look(lab)
    assert found["dns zone"].status == "failed" and "pending" in found["dns zone"].found
    assert "ns1.lab.test" in found["dns zone"].cure


def test_a_zone_that_is_delegated_elsewhere(lab: CloudflareLab, elsewhere: tuple[DnsServer, ZoneStore]) -> None:
    server, store = elsewhere
    (zone,) = store.zones()
    (record,) = (one for one in zone.records.values() if one.type == "NS")
    store.put_record(zone.id, dataclasses.replace(record, content="ns.other.test"))
    found = look(lab, dns=server)["dns delegation"]
    assert found.status == "failed" and "ns.other.test" in found.found and "ns1.lab.test" in found.cure
    store.delete_record(zone.id, record.id)
    assert "no name servers" in look(lab, dns=server)["dns delegation"].found


def test_nobody_answers(lab: CloudflareLab) -> None:
    lab.dns.stop()
    found = look(lab)
    assert found["dns delegation"].found == found["dns records"].found == "DNS_RESOLVER_UNREACHABLE"


@pytest.mark.parametrize(
    ("records", "status"),
    [
        (["0 issue letsencrypt.org"], "ok"),
        (["0 iodef mailto:me@lab.test"], "ok"),
        (["0 issue other.org", "0 issue letsencrypt.org; accounturi=https://a/1"], "ok"),
        (["0 issue letsencrypt.org; validationmethods=http-01,dns-01"], "ok"),
        (["0 issue letsencrypt.org; validationmethods=http-01"], "failed"),
        (["0 issue other.org"], "failed"),
        (["0 issue ;"], "failed"),
        (["0 issue letsencrypt.org", "0 issuewild ;"], "failed"),
        (["0 issue letsencrypt.org", "128 unheard yes"], "failed"),
    ],
)
def test_caa_records_that_let_the_authority_issue_or_not(lab: CloudflareLab, records: list[str], status: str) -> None:
    for one in records:
        flags, tag, value = one.split(" ", 2)
        put(lab, name="lab.test", type="CAA", content=f'{flags} {tag} "{value}"')
    found = look(lab, servers=PROD)["dns caa"]
    assert found.status == status, found
    if status == "failed":
        assert found.found.startswith("lab.test ") and "*.prod.lab.test" in found.found
    if records == ["0 issue letsencrypt.org", "0 issuewild ;"]:
        # The first half lets it issue for the domain itself.
        assert " prod.lab.test" not in found.found and "issuewild" in found.cure
        assert look(lab, servers=PROD, challenge="http-01")["dns caa"].status == "ok"


def test_the_nearest_caa_records_hold(lab: CloudflareLab) -> None:
    put(lab, name="lab.test", type="CAA", content='0 issue "other.org"')
    put(lab, name="prod.lab.test", type="CAA", content='0 issue "letsencrypt.org"')
    assert look(lab, servers=PROD)["dns caa"].status == "ok"
    assert look(lab)["dns caa"].status == "failed"
    unknown = look(lab, authority="https://acme.other.org/dir")["dns caa"]
    assert unknown.status == "warning" and "acme.other.org" in unknown.cure


def test_a_name_that_is_answered_otherwise(
    lab: CloudflareLab, elsewhere: tuple[DnsServer, ZoneStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, store = elsewhere
    put(lab, name="new.lab.test", type="A", content="192.0.2.1", **owned("operator/dns"))
    put(lab, name="*.wild.lab.test", type="A", content="192.0.2.1", **owned("operator/dns"))
    store.put_record(store.zones()[0].id, Record("x.wild.lab.test", "A", "192.0.2.1"))
    store.put_record(store.zones()[0].id, Record("*.wild.lab.test", "A", "192.0.2.9"))
    found = look(lab, dns=server)
    assert found["dns records"].found == "0 of 2 resolve as Cloudflare says"
    new, wild = found["dns record new.lab.test A"], found["dns record *.wild.lab.test A"]
    assert (new.status, wild.status) == ("warning", "warning")
    assert "resolves to nothing, Cloudflare says 192.0.2.1" in new.found and "30 minutes" in new.cure
    assert "resolves to 192.0.2.9, Cloudflare says 192.0.2.1" in wild.found
    # Once no resolver can remember what was there before, it is wrong.
    monkeypatch.setattr(_record_check, "NEGATIVE_TTL", 0)
    monkeypatch.setattr(_record_check, "AUTOMATIC_TTL", 0)
    assert look(lab, dns=server)["dns record new.lab.test A"].status == "failed"


def test_proxied_names_need_only_an_address(lab: CloudflareLab, elsewhere: tuple[DnsServer, ZoneStore]) -> None:
    server, store = elsewhere
    put(lab, name="www.lab.test", type="A", content="192.0.2.1", proxied=True, **owned("operator/dns"))
    assert look(lab, dns=server)["dns record www.lab.test A"].status != "ok"
    store.put_record(store.zones()[0].id, Record("www.lab.test", "A", "104.16.0.1"))
    assert look(lab, dns=server)["dns records"].found == "1 of 1 resolve as Cloudflare says"


def test_names_of_servers_that_lead_astray_or_are_missing(lab: CloudflareLab) -> None:
    put(lab, name="n8n.prod.lab.test", type="A", content="192.0.2.7", **owned("prod"))
    put(lab, name="portainer.gone.lab.test", type="A", content="192.0.2.8", **owned("gone"))
    applications = {"prod/wordpress": {"domain": "wordpress.prod.lab.test"}}
    found = look(lab, servers=PROD, applications=applications)
    astray = found["dns server prod"]
    assert astray.status == "failed" and "n8n.prod.lab.test (192.0.2.7)" in astray.found and "192.0.2.1" in astray.cure
    missing = found["dns record wordpress.prod.lab.test"]
    assert missing.cure == "livchat-setup dns set wordpress.prod.lab.test A 192.0.2.1"
    left = found["dns server gone"]
    assert left.status == "warning" and "portainer.gone.lab.test" in left.found and "no other home" in left.cure


def test_one_name_is_looked_at_whoever_made_it(lab: CloudflareLab) -> None:
    put(lab, name="app.lab.test", type="A", content="192.0.2.1", comment="by hand")
    put(lab, name="deep.app.lab.test", type="A", content="192.0.2.1", **owned("gone"))
    put(lab, name="other.lab.test", type="A", content="192.0.2.1", **owned("other"))
    found = look(lab, name="app.lab.test")
    assert found["dns record app.lab.test A"].found == "192.0.2.1, made by someone else (comment: by hand)"
    assert "dns record deep.app.lab.test A" in found and "dns server gone" in found
    assert "dns server other" not in found and "dns records" not in found
    nothing = look(lab, name="none.lab.test")["dns record none.lab.test"]
    assert nothing.status == "failed" and "dns set none.lab.test A" in nothing.cure
    put(lab, name="*.lab.test", type="A", content="192.0.2.5")
    assert "192.0.2.5" in look(lab, name="none.lab.test")["dns record none.lab.test"].found
    with pytest.raises(LivchatError, match="inside the zone lab"):
        look(lab, name="app.other.test")


def test_a_bad_day_of_the_api_is_lived_through(lab: CloudflareLab) -> None:
    before = copy.deepcopy(lab.records())
    lab.faults(server_error=1)
    assert look(lab)["dns token"].status == "ok"
    assert lab.records() == before


@pytest.mark.parametrize(
    ("settings", "token", "zone", "code"),
    [
        ({"dns.provider": "none", "dns.zone": "lab.test"}, "x", "", "DNS_NOT_MANAGED"),
        ({}, "x", "", "DNS_ZONE_UNKNOWN"),
        ({"dns.zone": "lab.test"}, "", "", "DNS_TOKEN_MISSING"),
        ({"dns.zone": "lab.test"}, "x", "Other.test.", ""),
    ],
)
def test_which_zone_and_whether_it_is_managed_at_all(  # noqa: PLR0917  # pytest passes them by name
    home: Home, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], token: str, zone: str, code: str
) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", token)
    Settings(home).update(settings)
    if not code:
        access = ZoneAccess.of(Settings(home), Vault(home), zone)
        assert access.zone == "other.test" and token not in repr(access).partition("token")[2]
        return
    with pytest.raises(LivchatError) as caught:
        ZoneAccess.of(Settings(home), Vault(home), zone)
    assert caught.value.code == code
