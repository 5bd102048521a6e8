"""What requests may carry. Types are checked strictly, as Hetzner does; unknown fields are ignored, as Hetzner does."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

_LABEL_KEY = re.compile(
    r"([a-zA-Z0-9]([a-zA-Z0-9.-]{0,251}[a-zA-Z0-9])?/)?[a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?"
)
_LABEL_VALUE = re.compile(r"([a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?)?")
_HOST_NAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*")
_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")
LARGEST_ID = 2**53 - 1
USER_DATA_LIMIT = 32 * 1024


def _labels(labels: dict[str, str]) -> dict[str, str]:
    for key, value in labels.items():
        if not _LABEL_KEY.fullmatch(key):
            raise ValueError(f"label key {key!r} is not allowed")
        if not _LABEL_VALUE.fullmatch(value):
            raise ValueError(f"label value {value!r} is not allowed")
    return labels


def _host_name(name: str) -> str:
    if len(name) > 63 or not _HOST_NAME.fullmatch(name):
        raise ValueError("must be a host name: letters, digits, dashes and dots, at most 63")
    return name


def _small(text: str) -> str:
    if len(text.encode()) > USER_DATA_LIMIT:
        raise ValueError(f"is longer than {USER_DATA_LIMIT} bytes")
    return text


def _networks(ranges: list[str]) -> list[str]:
    for one in ranges:
        _network(one)
    return ranges


def _network(text: str) -> str:
    if "/" not in text:
        raise ValueError(f"{text!r} is not in CIDR notation")
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a network: {error}") from error
    return text


def _network4(text: str) -> str:
    if ipaddress.ip_network(_network(text)).version != 4:
        raise ValueError(f"{text!r} is not an IPv4 network")
    return text


def _address(text: str) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not an IP address") from error
    return text


Labels = Annotated[dict[str, str], AfterValidator(_labels)]
Name = Annotated[str, Field(min_length=1, max_length=128)]
HostName = Annotated[str, AfterValidator(_host_name)]
Id = Annotated[int, Field(ge=1, le=LARGEST_ID)]
IdOrName = Id | Annotated[str, Field(min_length=1)]
Network4 = Annotated[str, AfterValidator(_network4)]
Address = Annotated[str, AfterValidator(_address)]


class Body(BaseModel):
    model_config = ConfigDict(strict=True)


class Nothing(Body):
    """For actions that need no input."""


class Update(Body):
    name: Name | None = None
    labels: Labels | None = None


class UpdateServer(Body):
    name: HostName | None = None
    labels: Labels | None = None


class UpdateNetwork(Update):
    expose_routes_to_vswitch: bool | None = None


class UpdatePrimaryIp(Update):
    auto_delete: bool | None = None


class CreateSshKey(Body):
    name: Name
    public_key: str
    labels: Labels = {}


class FirewallOfServer(Body):
    firewall: Id


class PublicNet(Body):
    enable_ipv4: bool = True
    enable_ipv6: bool = True
    ipv4: Id | None = None
    ipv6: Id | None = None


class CreateServer(Body):
    name: HostName
    server_type: IdOrName
    image: IdOrName
    location: IdOrName | None = None
    ssh_keys: list[IdOrName] = []
    user_data: Annotated[str, AfterValidator(_small)] | None = None
    labels: Labels = {}
    firewalls: list[FirewallOfServer] = []
    networks: list[Id] = []
    volumes: list[Id] = []
    automount: bool = False
    placement_group: Id | None = None
    public_net: PublicNet | None = None
    start_after_create: bool = True


class ChangeType(Body):
    server_type: IdOrName
    upgrade_disk: bool


class Rebuild(Body):
    image: IdOrName
    user_data: Annotated[str, AfterValidator(_small)] | None = None


class EnableRescue(Body):
    type: Literal["linux64"] = "linux64"
    ssh_keys: list[Id] = []


class ServerProtection(Body):
    delete: bool | None = None
    rebuild: bool | None = None


class Protection(Body):
    delete: bool | None = None


class DnsPtr(Body):
    ip: Address
    dns_ptr: str | None


class AttachToNetwork(Body):
    network: Id
    ip: Address | None = None
    alias_ips: list[Address] = []


class AliasIps(Body):
    network: Id
    alias_ips: list[Address]


class DetachFromNetwork(Body):
    network: Id


class AddToPlacementGroup(Body):
    placement_group: Id


class AttachIso(Body):
    iso: IdOrName


class Rule(Body):
    direction: Literal["in", "out"]
    protocol: Literal["tcp", "udp", "icmp", "esp", "gre"]
    port: str | None = None
    source_ips: Annotated[list[str], AfterValidator(_networks)] = []
    destination_ips: Annotated[list[str], AfterValidator(_networks)] = []
    description: Annotated[str, Field(max_length=255)] | None = None

    @model_validator(mode="after")
    def _whole(self) -> Rule:
        if self.protocol in ("tcp", "udp"):
            self._check_port()
        elif self.port is not None:
            raise ValueError(f"port is not allowed for {self.protocol}")
        side = "source_ips" if self.direction == "in" else "destination_ips"
        if not getattr(self, side):
            raise ValueError(f"{side} is needed for direction {self.direction}")
        return self

    def _check_port(self) -> None:
        if self.port == "any":
            return
        found = _PORT.fullmatch(self.port or "")
        if not found or not 1 <= int(found[1]) <= int(found[2] or found[1]) <= 65535:
            raise ValueError("port must be a port, a range of ports such as 80-85, or any")


class ServerReference(Body):
    id: Id


class SelectorReference(Body):
    selector: str


class Target(Body):
    type: Literal["server", "label_selector"]
    server: ServerReference | None = None
    label_selector: SelectorReference | None = None

    @model_validator(mode="after")
    def _whole(self) -> Target:
        if getattr(self, self.type) is None:
            raise ValueError(f"{self.type} is missing")
        return self

    def stored(self) -> dict[str, Any]:
        """As a firewall holds it."""
        return {"type": self.type, self.type: getattr(self, self.type).model_dump()}


class CreateFirewall(Body):
    name: Name
    labels: Labels = {}
    rules: list[Rule] = Field(default=[], max_length=50)
    apply_to: list[Target] = []


class SetRules(Body):
    rules: list[Rule] = Field(max_length=50)


class ApplyTo(Body):
    apply_to: list[Target]


class RemoveFrom(Body):
    remove_from: list[Target]


class Subnet(Body):
    type: Literal["cloud", "server", "vswitch"]
    network_zone: str
    ip_range: Network4 | None = None
    vswitch_id: Id | None = None


class Route(Body):
    destination: Network4
    gateway: Address


class IpRange(Body):
    ip_range: Network4


class CreateNetwork(Body):
    name: Name
    ip_range: Network4
    labels: Labels = {}
    subnets: list[Subnet] = []
    routes: list[Route] = []
    expose_routes_to_vswitch: bool = False


class CreatePrimaryIp(Body):
    name: Name
    type: Literal["ipv4", "ipv6"]
    assignee_type: Literal["server"] = "server"
    assignee_id: Id | None = None
    location: IdOrName | None = None
    auto_delete: bool = False
    labels: Labels = {}


class Assign(Body):
    assignee_id: Id
    assignee_type: Literal["server"]


class CreatePlacementGroup(Body):
    name: Name
    type: Literal["spread"]
    labels: Labels = {}
