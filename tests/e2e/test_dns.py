"""DNS records of the operator's own, through the command line and through Ansible alone, on the lab's Cloudflare."""

from __future__ import annotations

import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import dns.message
import dns.query
import dns.rdatatype
import pytest
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home
from ansible_collections.livchat.setup.plugins.plugin_utils._settings import Settings
from cloudflare import Cloudflare

from tests.e2e.conftest import SERVER
from tests.e2e.story import StepError, Story
from tests.lab import config

ADDRESS, OTHER = "203.0.113.7", "203.0.113.8"
SECOND_ZONE = "livchat-dns.test"


class Names:
    """Records below one name of the lab's zone, seen from outside: through the API, and through DNS."""

    def __init__(self, story: Story) -> None:
        self.top = f"dns.{SERVER}.{story.lab.zone}"
        self._lab = story.lab
        self._api = Cloudflare(api_token=story.lab.cloudflare_token, base_url=story.lab.cloudflare_url)
        (self._zone,) = (zone.id for zone in self._api.zones.list(name=story.lab.zone))

    def __call__(self, label: str) -> str:
        return f"{label}.{self.top}"

    def put(self, **record: Any) -> None:
        self._api.dns.records.create(zone_id=self._zone, **{"ttl": 1, **record})

    def all(self) -> list[tuple[str, str, str, str]]:
        return sorted((one.name, one.type, one.content, one.comment or "") for one in self._records())

    def clear(self) -> None:
        for one in self._records():
            self._api.dns.records.delete(one.id, zone_id=self._zone)

    def answered(self, name: str, kind: str = "A") -> list[str]:
        answer = dns.query.udp(
            dns.message.make_query(name, kind), self._lab.gateway, port=self._lab.dns_port, timeout=5
        )
        wanted = dns.rdatatype.from_text(kind)
        return sorted(one.to_text() for rrset in answer.answer if rrset.rdtype == wanted for one in rrset)

    def _records(self) -> list[Any]:
        found = self._api.dns.records.list(zone_id=self._zone, per_page=1000)
        return [one for one in found if one.name == self.top or one.name.endswith(f".{self.top}")]


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """A home without servers."""
    told = Story(config.load(), tmp_path_factory.mktemp("operator") / "home")
    told.init()
    return told


@pytest.fixture
def names(operator: Story) -> Iterator[Names]:
    found = Names(operator)
    found.clear()
    yield found
    found.clear()


def bare(operator: Story, playbook: str, *options: str, **extra_vars: Any) -> str:
    """What ansible-playbook prints, without our command line."""
    done = operator.bare(playbook, extra_vars, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def refused(operator: Story, *arguments: str) -> dict[str, Any]:
    with pytest.raises(StepError) as failure:
        operator.run(*arguments)
    return failure.value.error


def test_a_record_is_set_shown_changed_and_removed(operator: Story, names: Names) -> None:
    name = names("blog")
    made = operator.run("dns", "set", name, "A", ADDRESS, "--ttl", "300")
    assert made["changed"] and [one["action"] for one in made["records"]] == ["create"]
    assert names.answered(name) == [ADDRESS]
    assert operator.run("dns", "set", name, "A", ADDRESS, "--ttl", "300")["changed"] is False

    (listed,) = operator.run("dns", "list", names.top)
    assert (listed["name"], listed["value"], listed["ttl"], listed["owner"]) == (name, ADDRESS, 300, "operator/dns")
    checked = {one["check"]: one for one in operator.run("dns", "check", name)["checks"]}
    assert checked[f"dns record {name} A"]["status"] == "ok"

    (moved,) = operator.run("dns", "set", name, "A", OTHER)["records"]
    assert (moved["action"], moved["before"]) == ("update", ADDRESS)
    assert names.answered(name) == [OTHER]

    assert refused(operator, "dns", "remove", name, "A")["code"] == "CONFIRMATION_REQUIRED"
    assert operator.run("dns", "remove", name, "A", OTHER, "--confirm-name", name)["changed"]
    assert operator.run("dns", "remove", name, "A", "--yes")["changed"] is False
    assert names.answered(name) == [] and names.all() == []


def test_ansible_alone_does_the_same_and_tells_it_before(operator: Story, names: Names) -> None:
    name = names("bare")
    given = {"name": name, "type": "A", "value": ADDRESS}
    promised = bare(operator, "dns_set", "--check", "--diff", **given)
    assert "changed=1" in promised and f"+{name} A {ADDRESS} ttl=1" in promised
    assert names.all() == []
    assert "changed=1" in bare(operator, "dns_set", **given)
    assert "changed=0" in bare(operator, "dns_set", **given)
    assert names.all() == [(name, "A", ADDRESS, "managed by livchat.setup: operator/dns")]
    assert "changed=0" in bare(operator, "dns_list")
    assert "changed=0" in bare(operator, "dns_check", name=name)
    promised = bare(operator, "dns_remove", "--check", "--diff", name=name, type="A")
    assert "changed=1" in promised and f"-{name} A {ADDRESS} ttl=1" in promised
    assert names.answered(name) == [ADDRESS]
    assert "changed=1" in bare(operator, "dns_remove", name=name, type="A")
    assert "changed=0" in bare(operator, "dns_remove", name=name, type="A")
    assert names.all() == []


def test_every_type_and_several_values(operator: Story, names: Names) -> None:
    name = names.top
    for arguments in (
        ("AAAA", "2001:DB8::1", "--proxied"),
        ("TXT", "v=spf1 mx -all"),
        ("TXT", "{{ not a template }}", "--add"),
        ("MX", "mx.example.org", "--priority", "10"),
        ("CAA", '0 issue "letsencrypt.org"'),
    ):
        assert operator.run("dns", "set", name, *arguments)["changed"]
    operator.run("dns", "set", names("*"), "CNAME", name)
    assert names.answered(name, "TXT") == ['"v=spf1 mx -all"', '"{{ not a template }}"']
    assert names.answered(name, "MX") == ["10 mx.example.org."]
    assert names.answered(name, "CAA") == ['0 issue "letsencrypt.org"']
    assert names.answered(names("any"), "AAAA") == ["2001:db8::1"]
    checks = operator.run("dns", "check", name)["checks"]
    assert {one["status"] for one in checks if one["check"].startswith("dns record")} == {"ok"}


def test_what_others_made_is_left_alone(operator: Story, names: Names) -> None:
    theirs, servers = names("theirs"), names("app")
    names.put(name=theirs, type="A", content=ADDRESS, comment="made by hand")
    names.put(name=servers, type="A", content=ADDRESS, comment="managed by livchat.setup: another")
    before = names.all()
    for name, maker in ((theirs, "someone else (comment: made by hand)"), (servers, "livchat.setup for another")):
        for arguments in (("set", name, "A", OTHER), ("remove", name, "A", "--yes")):
            error = refused(operator, "dns", *arguments)
            assert error["code"] == "DNS_RECORD_CONFLICT" and maker in error["message"]
    assert refused(operator, "dns", "set", servers, "A", OTHER, "--adopt")["code"] == "DNS_RECORD_CONFLICT"
    assert names.all() == before
    listed = operator.run("dns", "list", names.top, "--all")
    assert [(one["name"], one["owner"]) for one in listed] == [(servers, "another"), (theirs, None)]
    operator.run("dns", "set", theirs, "A", OTHER, "--adopt")
    assert names.answered(theirs) == [OTHER]
    operator.run("dns", "remove", theirs, "A", "--yes")
    assert names.all() == [one for one in before if one[0] == servers]


def test_no_server_takes_the_operators_records_with_it(operator: Story, names: Names) -> None:
    operator.run("dns", "set", names("blog"), "A", ADDRESS)
    names.put(name=names("app"), type="A", content=ADDRESS, comment="managed by livchat.setup: operator")
    removed = operator.run("server", "destroy", "operator", "--yes")
    assert removed["dns_records"] == [names("app")]
    assert names.answered(names("blog")) == [ADDRESS]


@contextlib.contextmanager
def fault(operator: Story, name: str) -> Iterator[None]:
    """One request of the lab's Cloudflare goes wrong; the lab is others' as well."""
    address = operator.lab.cloudflare_url.removesuffix("/client/v4") + "/_lab/faults"

    def ask(method: str, body: bytes | None = None) -> dict[str, float]:
        with urllib.request.urlopen(urllib.request.Request(address, body, method=method)) as answer:
            left: dict[str, float] = json.load(answer)
            return left

    ask("PUT", json.dumps({name: 1}).encode())
    try:
        yield
        assert ask("GET")[name] == 0
    finally:
        ask("DELETE")


@pytest.mark.parametrize("name", ["rate_limited", "server_error", "cut_after"])
def test_a_bad_moment_of_the_api_is_lived_through(operator: Story, names: Names, name: str) -> None:
    with fault(operator, name):
        assert operator.run("dns", "set", names("blog"), "A", ADDRESS)["changed"]
    assert [one[:3] for one in names.all()] == [(names("blog"), "A", ADDRESS)]


@contextlib.contextmanager
def settings(operator: Story, **values: Any) -> Iterator[None]:
    kept = Settings(Home(str(operator.home)))
    given = {key.replace("__", "."): value for key, value in values.items()}
    before = {key: kept.get(key) for key in given}
    kept.update(given)
    try:
        yield
    finally:
        kept.update(before)


def test_a_check_finds_what_keeps_a_name_from_working(operator: Story, names: Names) -> None:
    operator.run("dns", "set", names.top, "CAA", '0 issue "other.example.org"')
    with settings(operator, acme__server="letsencrypt"):
        found = refused(operator, "dns", "check", names("missing"))
    checks = {one["check"]: one for one in found["checks"]}
    assert not found["healthy"]
    assert checks["dns zone"]["status"] == checks["dns token"]["status"] == checks["dns delegation"]["status"] == "ok"
    assert "other.example.org" in checks["dns caa"]["found"]
    assert checks["dns caa"]["cure"] == f"livchat-setup dns set {names.top} CAA '0 issue \"letsencrypt.org\"' --add"
    assert checks[f"dns record {names('missing')}"]["status"] == "failed"


def test_without_dns_there_is_nothing_to_set(operator: Story, names: Names) -> None:
    with settings(operator, dns__provider="none"):
        error = refused(operator, "dns", "set", names("blog"), "A", ADDRESS)
    assert error["code"] == "DNS_NOT_MANAGED" and "dns.provider" in error["message"]
    assert refused(operator, "dns", "set", "blog.example.com", "A", ADDRESS)["code"] == "INVALID_PARAMETER"


def test_another_zone_of_the_token(operator: Story) -> None:
    body = json.dumps({"name": SECOND_ZONE}).encode()
    address = operator.lab.cloudflare_url.removesuffix("/client/v4") + "/_lab/zones"
    # An earlier run made it.
    with contextlib.suppress(urllib.error.HTTPError):
        urllib.request.urlopen(urllib.request.Request(address, body, method="POST")).close()
    name = f"{SERVER}.{SECOND_ZONE}"
    assert operator.run("dns", "set", name, "A", ADDRESS, "--zone", SECOND_ZONE)["zone"] == SECOND_ZONE
    assert operator.run("dns", "check", "--zone", SECOND_ZONE)["healthy"]
    assert operator.run("dns", "remove", name, "A", "--zone", SECOND_ZONE, "--yes")["changed"]
    assert refused(operator, "dns", "list", "--zone", "nowhere.test")["code"] == "DNS_ZONE_NOT_FOUND"
