"""The lab's DNS: serves the zones that the stand-in for Cloudflare edits, and forwards everything else.

The simulated VPSs have this as their only resolver, so it also answers for the world outside the lab.
"""

from __future__ import annotations

import contextlib
import copy
import ipaddress
import json
import re
import secrets
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.query
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from tests.lab.config import LabConfig

# What Cloudflare serves for a record whose TTL is "automatic" (1).
AUTOMATIC_TTL = 300
# Low, so that "the name does not exist yet" is not remembered while a test creates it.
NEGATIVE_TTL = 5
MAX_CNAME_CHAIN = 8
UDP_LIMIT = 1232


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass
class Record:
    """One DNS record, with the fields that Cloudflare keeps for it."""

    name: str
    type: str
    content: str
    ttl: int = 1
    priority: int | None = None
    proxied: bool = False
    comment: str | None = None
    tags: list[str] = field(default_factory=list)
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    created_on: str = field(default_factory=now)
    modified_on: str = field(default_factory=now)

    def rdata(self) -> dns.rdata.Rdata:
        text = self.content
        if self.type == "TXT":
            text = quote_text(text)
        elif self.type == "MX":
            text = f"{self.priority or 0} {_absolute(text)}"
        elif self.type in {"CNAME", "NS"}:
            text = _absolute(text)
        elif self.type == "SRV" and self.priority is not None:
            weight, port, target = text.split()
            text = f"{self.priority} {weight} {port} {_absolute(target)}"
        return dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(self.type), text)


@dataclass
class Zone:
    name: str
    name_servers: list[str]
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    status: str = "active"
    serial: int = 1
    created_on: str = field(default_factory=now)
    modified_on: str = field(default_factory=now)
    records: dict[str, Record] = field(default_factory=dict)


def quote_text(content: str) -> str:
    """TXT content as master files write it; Cloudflare takes it with and without the quotes."""
    if content.startswith('"') and content.endswith('"') and len(content) > 1:
        return content
    raw = content.encode()
    chunks = [raw[start : start + 255] for start in range(0, len(raw), 255)] or [b""]
    return " ".join('"' + "".join(_escape(byte) for byte in chunk) + '"' for chunk in chunks)


def _escape(byte: int) -> str:
    if byte in b'"\\':
        return "\\" + chr(byte)
    return chr(byte) if 32 <= byte < 127 else f"\\{byte:03d}"


def _absolute(name: str) -> str:
    return name if name.endswith(".") else name + "."


class ZoneStore:
    """Zones and their records, safe to use from several threads and written to disk at every change."""

    def __init__(self, config: LabConfig) -> None:
        self._path = config.folder / "zones.json"
        self._lock = threading.RLock()
        self._zones: dict[str, Zone] = {}
        self._changing = False
        if self._path.exists():
            self._load()
        if self.zone_named(config.zone) is None:
            self.create_zone(config.zone, config.gateway)

    def create_zone(self, name: str, name_server_address: str) -> Zone:
        """A new zone whose name server is this one."""
        name = name.lower().rstrip(".")
        host = f"ns1.{name}"
        with self.changing():
            if self.zone_named(name):
                raise ValueError(f"zone {name} exists already")
            zone = Zone(name=name, name_servers=[host])
            for record in (Record(name, "NS", host, ttl=86400), Record(host, "A", name_server_address, ttl=86400)):
                zone.records[record.id] = record
            self._zones[zone.id] = zone
        return zone

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Changes inside belong together: they are seen and written as one, or not at all when one of them fails."""
        with self._lock:
            if self._changing:  # part of a larger change
                yield
                return
            before = copy.deepcopy(self._zones)
            self._changing = True
            try:
                yield
                self._save()
            except BaseException:
                self._zones = before
                raise
            finally:
                self._changing = False

    def zones(self) -> list[Zone]:
        with self._lock:
            return sorted(copy.deepcopy(list(self._zones.values())), key=lambda zone: zone.name)

    def zone(self, zone_id: str) -> Zone | None:
        with self._lock:
            return copy.deepcopy(self._zones.get(zone_id))

    def zone_named(self, name: str) -> Zone | None:
        with self._lock:
            return next((copy.deepcopy(zone) for zone in self._zones.values() if zone.name == name), None)

    def put_record(self, zone_id: str, record: Record) -> Record:
        """Stores a new record, or a new version of one with the same id."""
        record.name = record.name.lower().rstrip(".")
        record.modified_on = now()
        with self.changing():
            self._touch(zone_id).records[record.id] = copy.deepcopy(record)
        return record

    def delete_record(self, zone_id: str, record_id: str) -> None:
        with self.changing():
            del self._touch(zone_id).records[record_id]

    def zone_of(self, name: str) -> Zone | None:
        """The zone a name belongs to: the one with the longest matching suffix."""
        with self._lock:
            found = [zone for zone in self._zones.values() if name == zone.name or name.endswith("." + zone.name)]
            return copy.copy(max(found, key=lambda zone: len(zone.name))) if found else None

    def _touch(self, zone_id: str) -> Zone:
        zone = self._zones[zone_id]
        # A reader may hold a shallow copy: it keeps the old dictionary, untouched.
        zone.records = dict(zone.records)
        zone.serial += 1
        zone.modified_on = now()
        return zone

    def _load(self) -> None:
        for entry in json.loads(self._path.read_text()):
            records = {record["id"]: Record(**record) for record in entry.pop("records")}
            self._zones[entry["id"]] = Zone(**entry, records=records)

    def _save(self) -> None:
        entries = [
            {**asdict(zone), "records": [asdict(r) for r in zone.records.values()]} for zone in self._zones.values()
        ]
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text(json.dumps(entries, indent=2) + "\n")
        temporary.replace(self._path)


class Upstream:
    """Names outside the lab, as the machine itself would resolve them: its hosts file first, then its resolvers."""

    def __init__(
        self,
        own_address: str,
        resolv_conf: Path = Path("/etc/resolv.conf"),
        hosts: Path = Path("/etc/hosts"),
        timeout: float = 2.0,
    ) -> None:
        self._own_address = own_address
        self._resolv_conf = resolv_conf
        self._hosts = hosts
        self._timeout = timeout

    def answer(self, query: dns.message.Message) -> dns.message.Message:
        if local := self._from_hosts(query):
            return local
        for server in self._servers():
            try:
                answer, _ = dns.query.udp_with_fallback(query, server, timeout=self._timeout)
            except (dns.exception.DNSException, OSError):
                continue
            return answer
        response = dns.message.make_response(query, recursion_available=True)
        response.set_rcode(dns.rcode.SERVFAIL)
        return response

    def _servers(self) -> list[str]:
        """At most two, so that a client has its answer, or its failure, before it gives up itself."""
        found = re.findall(r"^\s*nameserver\s+(\S+)", _text(self._resolv_conf), re.MULTILINE)
        return [server for server in found if server != self._own_address][:2]

    def _from_hosts(self, query: dns.message.Message) -> dns.message.Message | None:
        question = query.question[0]
        if question.rdtype not in (dns.rdatatype.A, dns.rdatatype.AAAA):
            return None
        name = question.name.to_text(omit_final_dot=True).lower()
        addresses = []
        for line in _text(self._hosts).splitlines():
            words = line.partition("#")[0].lower().split()
            if name not in words[1:]:
                continue
            with contextlib.suppress(ValueError):
                address = ipaddress.ip_address(words[0])
                # A loopback address means the machine, not the host that asks.
                if not address.is_loopback:
                    addresses.append(address)
        if not addresses:
            return None
        response = dns.message.make_response(query, recursion_available=True)
        version = 4 if question.rdtype == dns.rdatatype.A else 6
        if texts := [str(address) for address in addresses if address.version == version]:
            response.answer.append(dns.rrset.from_text_list(question.name, 60, "IN", question.rdtype, texts))
        return response


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


class Resolver:
    """Turns a query into a response."""

    def __init__(self, store: ZoneStore, upstream: Upstream) -> None:
        self._store = store
        self._upstream = upstream

    def answer(self, query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query, recursion_available=True, our_payload=UDP_LIMIT)
        if query.edns > 0:
            response.set_rcode(dns.rcode.BADVERS)
        elif query.opcode() != dns.opcode.QUERY:
            response.set_rcode(dns.rcode.NOTIMP)
        elif len(query.question) != 1:
            response.set_rcode(dns.rcode.FORMERR)
        elif query.question[0].rdclass != dns.rdataclass.IN:
            response.set_rcode(dns.rcode.REFUSED)
        elif self._store.zone_of(_key(query.question[0].name)) is None:
            return self._forward(query, response)
        else:
            response.flags |= dns.flags.AA
            self._follow(query.question[0].name, query.question[0].rdtype, response)
        return response

    def _forward(self, query: dns.message.Message, response: dns.message.Message) -> dns.message.Message:
        if not query.flags & dns.flags.RD:
            response.set_rcode(dns.rcode.REFUSED)
            return response
        question = query.question[0]
        outside = self._upstream.answer(dns.message.make_query(question.name, question.rdtype, use_edns=0))
        response.set_rcode(outside.rcode())
        response.answer = outside.answer
        response.authority = outside.authority
        return response

    def _follow(self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType, response: dns.message.Message) -> None:
        for _ in range(MAX_CNAME_CHAIN):
            zone = self._store.zone_of(_key(name))
            if zone is None:
                outside = self._upstream.answer(dns.message.make_query(name, rdtype, use_edns=0))
                response.answer.extend(outside.answer)
                response.set_rcode(outside.rcode())
                return
            records = self._records(zone, _key(name))
            if records is None:
                response.set_rcode(dns.rcode.NXDOMAIN)
                response.authority.append(_soa(zone, NEGATIVE_TTL))
                return
            before = len(response.answer)
            if _key(name) == zone.name and rdtype in (dns.rdatatype.SOA, dns.rdatatype.ANY):
                response.answer.append(_soa(zone, 3600))
            alias = next((record for record in records if record.type == "CNAME"), None)
            if alias and rdtype not in (dns.rdatatype.CNAME, dns.rdatatype.ANY):
                if _key(name) == zone.name:
                    self._flatten(name, rdtype, alias, records, response)
                else:
                    response.answer.append(_rrset(name, [alias]))
                    name = dns.name.from_text(alias.content)
                    continue
            else:
                for kind in sorted({record.type for record in records}):
                    if rdtype in (dns.rdatatype.from_text(kind), dns.rdatatype.ANY):
                        response.answer.append(_rrset(name, [record for record in records if record.type == kind]))
            if len(response.answer) == before:
                response.authority.append(_soa(zone, NEGATIVE_TTL))
            return
        response.set_rcode(dns.rcode.SERVFAIL)  # the CNAMEs go round in a circle

    def _flatten(
        self,
        name: dns.name.Name,
        rdtype: dns.rdatatype.RdataType,
        alias: Record,
        records: list[Record],
        response: dns.message.Message,
    ) -> None:
        """A CNAME at a zone's top is answered as the addresses behind it, as Cloudflare does."""
        if rdtype not in (dns.rdatatype.A, dns.rdatatype.AAAA):
            same = [record for record in records if dns.rdatatype.from_text(record.type) == rdtype]
            if same:
                response.answer.append(_rrset(name, same))
            return
        behind = self.answer(dns.message.make_query(alias.content, rdtype))
        for rrset in behind.answer:
            if rrset.rdtype == rdtype:
                response.answer.append(dns.rrset.from_rdata_list(name, rrset.ttl, list(rrset)))

    @staticmethod
    def _records(zone: Zone, name: str) -> list[Record] | None:
        """The records at a name, those of the wildcard that covers it, or None when the name does not exist."""
        records = list(zone.records.values())
        names = {record.name for record in records} | {zone.name}

        def exists(candidate: str) -> bool:
            return candidate in names or any(other.endswith("." + candidate) for other in names)

        if exists(name):
            return [record for record in records if record.name == name]
        encloser = name
        while not exists(encloser):
            encloser = encloser.partition(".")[2]
        return [record for record in records if record.name == f"*.{encloser}"] or None


def _key(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()


def _rrset(name: dns.name.Name, records: list[Record]) -> dns.rrset.RRset:
    ttl = min(AUTOMATIC_TTL if record.ttl == 1 else record.ttl for record in records)
    return dns.rrset.from_rdata_list(name, ttl, [record.rdata() for record in records])


def _soa(zone: Zone, ttl: int) -> dns.rrset.RRset:
    server = _absolute(zone.name_servers[0])
    text = f"{server} dns.{_absolute(zone.name)} {zone.serial} 10000 2400 604800 {NEGATIVE_TTL}"
    return dns.rrset.from_text(_absolute(zone.name), ttl, "IN", "SOA", text)


Answer = Callable[[dns.message.Message], dns.message.Message]


def _respond(answer: Answer, wire: bytes, limit: int | None) -> bytes | None:
    """The response as bytes, cut to what the transport allows; None for bytes that are no query at all."""
    try:
        query = dns.message.from_wire(wire)
    except dns.exception.DNSException:
        # The id is enough to say that the rest makes no sense; a response must never be answered.
        if len(wire) < 12 or wire[2] & 0x80:
            return None
        return wire[:2] + b"\x80\x01" + bytes(8)
    if query.flags & dns.flags.QR:
        return None
    try:
        response = answer(query)
    except Exception:  # one name that cannot be answered must not look like a dead server
        response = dns.message.make_response(query)
        response.set_rcode(dns.rcode.SERVFAIL)
    if limit is None:
        return response.to_wire(max_size=65535)
    limit = min(max(query.payload if query.edns >= 0 else 512, 512), limit)
    try:
        return response.to_wire(max_size=limit)
    except dns.exception.TooBig:
        response.answer, response.authority, response.additional = [], [], []
        response.flags |= dns.flags.TC
        return response.to_wire(max_size=limit)


class _UdpHandler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        wire, sock = self.request
        if reply := _respond(self.server.answer, wire, UDP_LIMIT):  # type: ignore[attr-defined]
            with contextlib.suppress(OSError):
                sock.sendto(reply, self.client_address)


class _TcpHandler(socketserver.StreamRequestHandler):
    timeout = 5  # seconds an idle connection is kept

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while len(length := self.rfile.read(2)) == 2:
                wire = self.rfile.read(struct.unpack("!H", length)[0])
                reply = _respond(self.server.answer, wire, None)  # type: ignore[attr-defined]
                if reply is None:
                    return
                self.wfile.write(struct.pack("!H", len(reply)) + reply)


class _UdpServer(socketserver.ThreadingUDPServer):
    daemon_threads = True
    block_on_close = False
    max_packet_size = 65535
    answer: Answer


class _TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 64
    answer: Answer


class DnsServer:
    """Serves a store over UDP and TCP on one address. Port 0 takes a free one; `port` then tells which."""

    def __init__(self, store: ZoneStore, host: str, port: int, upstream: Upstream | None = None) -> None:
        self._resolver = Resolver(store, upstream or Upstream(host))
        self._host = host
        self.port = port
        self._servers: list[_UdpServer | _TcpServer] = []

    def start(self) -> None:
        """Listens and returns; the queries are answered in threads of their own."""
        udp, tcp = self._bind()
        self.port = tcp.server_address[1]
        self._servers = [udp, tcp]
        for server in self._servers:
            server.answer = self._resolver.answer
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def stop(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()
        self._servers = []

    def _bind(self) -> tuple[_UdpServer, _TcpServer]:
        for attempt in range(5):
            tcp = _TcpServer((self._host, self.port), _TcpHandler)
            try:
                return _UdpServer((self._host, tcp.server_address[1]), _UdpHandler), tcp
            except OSError:
                tcp.server_close()
                # A free TCP port need not be a free UDP port: take another, unless a certain one was asked for.
                if self.port or attempt == 4:
                    raise
        raise OSError("no port is free for both UDP and TCP")
