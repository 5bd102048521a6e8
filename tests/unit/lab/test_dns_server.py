"""The lab's DNS server, asked over real sockets."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rrset
import pytest

from tests.lab.config import LabConfig
from tests.lab.dns_server import DnsServer, Record, Upstream, ZoneStore

CONFIG = LabConfig(hetzner_token="unused", cloudflare_token="unused")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ZoneStore:
    monkeypatch.setenv("LIVCHAT_LAB_DIR", str(tmp_path / "lab"))
    return ZoneStore(CONFIG)


@pytest.fixture
def hosts(tmp_path: Path) -> Path:
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 machine\n203.0.113.80 mirror.example  Mirror # apt\n")
    return path


@pytest.fixture
def server(store: ZoneStore, tmp_path: Path, hosts: Path) -> Iterator[DnsServer]:
    (tmp_path / "resolv.conf").write_text("search x\n")
    upstream = Upstream("127.0.0.1", tmp_path / "resolv.conf", hosts, timeout=0.2)
    running = DnsServer(store, "127.0.0.1", 0, upstream)
    running.start()
    yield running
    running.stop()


def put(store: ZoneStore, name: str, kind: str, content: str, **more: object) -> None:
    zone = store.zone_of(name)
    assert zone
    store.put_record(zone.id, Record(name, kind, content, **more))  # type: ignore[arg-type]


def ask(server: DnsServer, name: str, kind: str = "A", **options: object) -> dns.message.Message:
    return dns.query.udp(dns.message.make_query(name, kind, **options), "127.0.0.1", port=server.port, timeout=5)  # type: ignore[arg-type]


def texts(answer: dns.message.Message) -> list[str]:
    return sorted(rdata.to_text() for rrset in answer.answer for rdata in rrset)


def test_the_zone_is_there_from_the_start(server: DnsServer) -> None:
    soa = ask(server, "lab.test", "SOA")
    assert soa.flags & dns.flags.AA
    assert texts(soa)[0].startswith("ns1.lab.test. dns.lab.test. ")
    assert texts(ask(server, "lab.test", "NS")) == ["ns1.lab.test."]
    assert texts(ask(server, "ns1.lab.test")) == ["172.30.99.1"]


@pytest.mark.parametrize(
    ("kind", "content", "more", "shown"),
    [
        ("A", "192.0.2.1", {}, "192.0.2.1"),
        ("AAAA", "2001:db8::1", {}, "2001:db8::1"),
        ("TXT", '"quoted text"', {}, '"quoted text"'),
        ("TXT", 'bare; v="1"', {}, '"bare; v=\\"1\\""'),
        ("TXT", "x" * 300, {}, f'"{"x" * 255}" "{"x" * 45}"'),
        ("MX", "mail.example.org", {"priority": 10}, "10 mail.example.org."),
        ("CAA", '0 issue "letsencrypt.org"', {}, '0 issue "letsencrypt.org"'),
    ],
)
def test_record_types(
    server: DnsServer, store: ZoneStore, *, kind: str, content: str, more: dict[str, object], shown: str
) -> None:
    put(store, "app.lab.test", kind, content, **more)
    assert texts(ask(server, "app.lab.test", kind)) == [shown]
    assert ask(server, "APP.lab.TEST", kind).answer  # the case of a name does not matter


def test_absent_names_and_absent_types_differ(server: DnsServer, store: ZoneStore) -> None:
    put(store, "a.b.lab.test", "A", "192.0.2.1")
    nothing = ask(server, "nothing.lab.test")
    assert nothing.rcode() == dns.rcode.NXDOMAIN
    assert nothing.authority[0].to_text().startswith("lab.test. 5 IN SOA")
    no_data = ask(server, "a.b.lab.test", "TXT")
    assert (no_data.rcode(), no_data.answer) == (dns.rcode.NOERROR, [])
    assert no_data.authority
    # b.lab.test has no records but a name below it: it exists.
    assert ask(server, "b.lab.test").rcode() == dns.rcode.NOERROR


def test_wildcards_cover_only_names_that_do_not_exist(server: DnsServer, store: ZoneStore) -> None:
    put(store, "*.lab.test", "A", "192.0.2.9")
    put(store, "app.lab.test", "TXT", "here")
    assert texts(ask(server, "deep.er.lab.test")) == ["192.0.2.9"]
    assert ask(server, "other.lab.test").answer[0].name.to_text() == "other.lab.test."
    assert ask(server, "app.lab.test", "A").answer == []
    # Below a name that exists, the wildcard above it says nothing (RFC 4592).
    assert ask(server, "x.app.lab.test").rcode() == dns.rcode.NXDOMAIN


def test_cnames_are_followed_across_zones(server: DnsServer, store: ZoneStore) -> None:
    store.create_zone("other.test", "192.0.2.53")
    put(store, "www.lab.test", "CNAME", "app.other.test")
    put(store, "app.other.test", "CNAME", "real.other.test")
    put(store, "real.other.test", "A", "192.0.2.7")
    assert texts(ask(server, "www.lab.test")) == ["192.0.2.7", "app.other.test.", "real.other.test."]
    assert texts(ask(server, "www.lab.test", "CNAME")) == ["app.other.test."]
    put(store, "gone.lab.test", "CNAME", "nothing.other.test")
    assert ask(server, "gone.lab.test").rcode() == dns.rcode.NXDOMAIN
    put(store, "round.lab.test", "CNAME", "round.lab.test")
    assert ask(server, "round.lab.test").rcode() == dns.rcode.SERVFAIL


def test_a_cname_at_the_top_is_flattened(server: DnsServer, store: ZoneStore) -> None:
    put(store, "app.lab.test", "A", "192.0.2.7")
    put(store, "lab.test", "CNAME", "app.lab.test")
    answer = ask(server, "lab.test")
    assert [rrset.to_text() for rrset in answer.answer] == ["lab.test. 300 IN A 192.0.2.7"]
    assert texts(ask(server, "lab.test", "NS")) == ["ns1.lab.test."]


def test_a_long_answer_is_truncated_and_comes_over_tcp(server: DnsServer, store: ZoneStore) -> None:
    for number in range(40):
        put(store, "many.lab.test", "TXT", f"{number:02d}" + "y" * 100)
    short = ask(server, "many.lab.test", "TXT")
    assert short.flags & dns.flags.TC
    assert short.answer == []
    query = dns.message.make_query("many.lab.test", "TXT")
    whole = dns.query.tcp(query, "127.0.0.1", port=server.port, timeout=5)
    assert len(texts(whole)) == 40
    # With EDNS a client says that it takes more than 512 bytes.
    for number in range(8):
        put(store, "some.lab.test", "TXT", f"{number}" + "z" * 90)
    assert ask(server, "some.lab.test", "TXT").flags & dns.flags.TC
    assert len(texts(ask(server, "some.lab.test", "TXT", use_edns=0, payload=1232))) == 8


def test_garbage_does_not_stop_the_server(server: DnsServer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.3)
        sock.sendto(b"\x00", ("127.0.0.1", server.port))
        sock.sendto(b"\x12\x34" + b"\xff" * 3, ("127.0.0.1", server.port))
        sock.sendto(b"\x12\x34\x01\x00\x00\x01" + b"\x00" * 6, ("127.0.0.1", server.port))  # a question is promised
        reply = sock.recv(512)
        assert reply[:2] == b"\x12\x34"
        assert reply[3] & 0x0F == dns.rcode.FORMERR
        # A response is never answered: two servers would talk to each other for ever.
        response = dns.message.make_response(dns.message.make_query("lab.test", "A"))
        sock.sendto(response.to_wire(), ("127.0.0.1", server.port))
        with pytest.raises(TimeoutError):
            sock.recv(512)
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(struct.pack("!H", 500) + b"short")
    assert ask(server, "lab.test", "SOA").answer


def test_other_names_come_from_the_hosts_file_of_the_machine(server: DnsServer) -> None:
    assert texts(ask(server, "mirror.example")) == ["203.0.113.80"]
    assert texts(ask(server, "mirror")) == ["203.0.113.80"]
    assert ask(server, "mirror.example", "AAAA").rcode() == dns.rcode.NOERROR
    # Loopback would send a VPS to itself. No resolver is left, so the failure comes at once.
    assert ask(server, "machine").rcode() == dns.rcode.SERVFAIL


def test_other_names_are_forwarded(store: ZoneStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    def answer(query: dns.message.Message, server: str, timeout: float) -> tuple[dns.message.Message, bool]:
        asked.append(server)
        if server == "192.0.2.1":
            raise OSError("unreachable")
        response = dns.message.make_response(query)
        name = query.question[0].name
        response.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "198.51.100.4"))
        return response, False

    monkeypatch.setattr(dns.query, "udp_with_fallback", answer)
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n")
    upstream = Upstream("127.0.0.1", tmp_path / "resolv.conf", tmp_path / "none")
    server = DnsServer(store, "127.0.0.1", 0, upstream)
    server.start()
    try:
        reply = ask(server, "outside.example")
        assert texts(reply) == ["198.51.100.4"]
        assert reply.flags & dns.flags.RA
        assert not reply.flags & dns.flags.AA
        assert asked == ["192.0.2.1", "192.0.2.2"]  # never itself
        put(store, "cdn.lab.test", "CNAME", "outside.example")
        assert texts(ask(server, "cdn.lab.test")) == ["198.51.100.4", "outside.example."]
    finally:
        server.stop()


def test_records_and_serial_survive_a_restart(store: ZoneStore) -> None:
    before = store.zone_named("lab.test")
    put(store, "app.lab.test", "A", "192.0.2.1", comment="c", tags=["a:b"])
    again = ZoneStore(CONFIG).zone_named("lab.test")
    assert before and again
    assert (again.id, again.serial) == (before.id, before.serial + 1)
    assert [record.comment for record in again.records.values() if record.name == "app.lab.test"] == ["c"]


def test_a_change_that_fails_leaves_nothing(store: ZoneStore) -> None:
    with pytest.raises(RuntimeError), store.changing():
        put(store, "app.lab.test", "A", "192.0.2.1")
        raise RuntimeError
    for seen in (store, ZoneStore(CONFIG)):
        zone = seen.zone_named("lab.test")
        assert zone
        assert "app.lab.test" not in {record.name for record in zone.records.values()}


def test_changes_from_many_threads_are_all_kept(store: ZoneStore) -> None:
    def work(number: int) -> None:
        for count in range(5):
            put(store, f"n{number}-{count}.lab.test", "A", "192.0.2.1")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    zone = ZoneStore(CONFIG).zone_named("lab.test")
    assert zone
    assert len(zone.records) == 20 + 2
    assert zone.serial == 21
