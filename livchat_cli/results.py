"""What operations answer with, as types: for documentation, and for tests; nothing is checked at run time.

A row of a list has `KEY`, the fields that tell it from the others, by which a list is sorted and paged, and `FILTERS`,
the fields that a reader may ask a value of.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

Moment = Annotated[str, Field(description="Time in UTC, ISO 8601", examples=["2026-01-02T03:04:05+00:00"])]
NoMoment = Annotated[str | None, Field(description="Time in UTC, ISO 8601; null: not yet", examples=[None])]


class Result(BaseModel):
    model_config = ConfigDict(extra="forbid", defer_build=True)


class Row(Result):
    KEY: ClassVar[tuple[str, ...]]
    FILTERS: ClassVar[tuple[str, ...]] = ()


class APIError(Result):
    """What went wrong: the one shape of an error."""

    code: Annotated[str, Field(description="For programs", examples=["SERVER_UNKNOWN"])]
    message: Annotated[
        str, Field(description="What happened, to what, and what to do next", examples=["there is no server prod"])
    ]
    details: Annotated[dict[str, Any], Field(description="Names and numbers of the message", examples=[{}])]
    retry_after: Annotated[
        int | None, Field(description="Seconds after which it may work; null: not by waiting", examples=[None])
    ]


class Resources(Result):
    """Null where nobody has said."""

    cpu_cores: int | None
    memory_mb: int | None
    disk_gb: int | None


class Server(Row):
    KEY = ("name",)
    FILTERS = ("provider", "status")

    id: Annotated[str, Field(description="The provider's number of it", examples=["42"])]
    name: Annotated[str, Field(examples=["prod"])]
    provider: Annotated[str, Field(examples=["hetzner"])]
    ip_address: Annotated[str, Field(examples=["192.0.2.7"])]
    status: Annotated[
        str,
        Field(
            description="In the index `created`, `ready` (set up) or `adopted`; live: as the provider says it",
            examples=["ready"],
        ),
    ]
    resources: Annotated[Resources, Field(examples=[{"cpu_cores": 2, "memory_mb": 4096, "disk_gb": 40}])]
    created_at: Annotated[str, Field(description="Empty where it is not known", examples=["2026-01-02T03:04:05+00:00"])]
    ssh_key_id: Annotated[str, Field(examples=["7"])]
    applications: Annotated[list[str], Field(description="Instances", examples=[["n8n", "postgres", "redis"]])]
    metadata: Annotated[
        dict[str, Any],
        Field(
            description="`user`, `port`, `location`, `server_type`, `image`, `labels`, `domain`, `private_key`",
            examples=[{"user": "root", "port": 22, "location": "nbg1", "domain": "prod.example.com"}],
        ),
    ]


class Instance(Row):
    """The numbers of services are null where the index answers: only the server knows what runs."""

    KEY: ClassVar[tuple[str, ...]] = ("instance",)
    FILTERS = ("app",)

    instance: Annotated[str, Field(examples=["n8n"])]
    app: Annotated[str, Field(examples=["n8n"])]
    version: Annotated[str, Field(examples=["1.123.81"])]
    services: int | None
    running: Annotated[int | None, Field(description="Tasks that run")]
    wanted: Annotated[int | None, Field(description="Tasks that should run")]
    volumes: Annotated[list[str], Field(examples=[["n8n_data"]])]
    domains: Annotated[list[str], Field(description="Host names", examples=[["n8n.prod.example.com"]])]
    dependencies: Annotated[list[str], Field(description="Instances it needs", examples=[["postgres", "redis"]])]


class InstalledApp(Instance):
    KEY = ("server", "instance")

    server: Annotated[str, Field(examples=["prod"])]


class Setup(Result):
    state: Annotated[
        Literal["done", "unfinished", "none"],
        Field(description="Only the server itself knows of one that was interrupted", examples=["done"]),
    ]
    at: Annotated[str, Field(description="When, or empty", examples=["2026-01-02T03:04:05+00:00"])]


class ServerDetails(Server):
    """What only the server itself knows is null or empty where the index answers."""

    domain: Annotated[str, Field(description="Base domain", examples=["prod.example.com"])]
    reachable: Annotated[bool | None, Field(description="Whether it answers over SSH; null: it was not asked")]
    unreachable: Annotated[str, Field(description="Why it does not answer", examples=[""])]
    setup: Setup
    facts: Annotated[dict[str, Any], Field(description="System, memory, disk", examples=[{"memory_free_mb": 2048}])]
    docker: Annotated[dict[str, Any], Field(description="Version and Swarm", examples=[{"version": "28.3.2"}])]
    installed: list[Instance]


class CatalogEntry(Row):
    KEY = ("category", "name")

    name: Annotated[str, Field(examples=["n8n"])]
    title: str
    description: str
    category: Annotated[str, Field(examples=["automation"])]
    homepage: str
    license: str
    version: Annotated[str, Field(examples=["1.123.81"])]
    dependencies: Annotated[list[str], Field(examples=[["postgres", "redis"]])]
    requirements: dict[str, float]
    domains: Annotated[list[str], Field(examples=[["editor", "webhook"]])]
    variables: dict[str, dict[str, Any]]


class Offer(Result):
    """A server as the provider sells it."""

    server_type: Annotated[str, Field(examples=["cx23"])]
    location: Annotated[str, Field(examples=["nbg1"])]
    image: Annotated[str, Field(description="What a new server gets when no other is named", examples=["debian-13"])]
    available: Annotated[bool, Field(description="Whether it can be had there now")]
    locations: Annotated[list[str], Field(description="Where it can be had now", examples=[["fsn1", "nbg1"]])]
    resources: Annotated[Resources, Field(examples=[{"cpu_cores": 2, "memory_mb": 4096, "disk_gb": 40}])]
    monthly: Annotated[
        str,
        Field(description="What it costs a month with its address, tax included; empty: not told", examples=["5.49"]),
    ]
    currency: Annotated[str, Field(examples=["EUR"])]


class Deployment(Row):
    KEY = ("id",)

    id: Annotated[str, Field(examples=["20260102T030405-a1b2c3"])]
    server: Annotated[str, Field(examples=["prod"])]
    operation: Annotated[str, Field(examples=["app.install"])]
    apps: Annotated[list[str], Field(description="Instances that it changed", examples=[["n8n", "postgres"]])]
    status: Literal["running", "successful", "failed", "interrupted"]
    started_at: Moment | None
    finished_at: Moment | None


class Job(Row):
    KEY = ("id",)

    id: Annotated[str, Field(examples=["20260102T030405-a1b2c3"])]
    operation: Annotated[str, Field(examples=["app.install"])]
    effect: Annotated[Literal["read", "write", "destroy"], Field(examples=["write"])]
    servers: Annotated[list[str], Field(description="Servers that it changes", examples=[["prod"]])]
    parameters: Annotated[
        dict[str, Any],
        Field(description="Without what may be secret", examples=[{"apps": ["n8n"], "target": ["prod"]}]),
    ]
    principal: Annotated[str, Field(description="Who asked for it", examples=["token:ci"])]
    token: Annotated[str, Field(description="Identifier of the token it was asked with; empty for none")]
    family: Annotated[str, Field(description="Identifier of the token that this one descends from, or is")]
    request_id: Annotated[str, Field(examples=["3f1c9a"])]
    creates: Annotated[int, Field(description="New servers that it was to make", examples=[0])]
    status: Literal["waiting", "running", "successful", "failed", "cancelled", "killed"]
    created_at: Moment
    started_at: NoMoment
    finished_at: NoMoment
    error: Annotated[APIError | None, Field(examples=[None])]
    pid: Annotated[int | None, Field(description="Number of its process")] = None
    idempotency: Annotated[str | None, Field(description="Hash of who asked and of the key it was asked with")] = None


class JobWithResult(Job):
    result: Annotated[Any, Field(description="What its playbook handed over; null until it has ended well")]


class LogLines(Result):
    job: Annotated[str, Field(examples=["20260102T030405-a1b2c3"])]
    total: Annotated[int, Field(description="How many lines there are")]
    lines: Annotated[list[str], Field(description="Those asked for, the newest last", examples=[["PLAY RECAP"]])]


class Token(Row):
    KEY = ("created_at", "id")

    id: Annotated[str, Field(examples=["1a2b3c4d"])]
    name: Annotated[str, Field(examples=["ci"])]
    scopes: Annotated[list[str], Field(examples=[["deploy"]])]
    servers: Annotated[list[str], Field(description="Servers it is limited to; none for all", examples=[["prod"]])]
    created_at: Moment
    expires_at: NoMoment
    last_used_at: NoMoment
    family: Annotated[
        str, Field(description="Identifier of the token it descends from; empty for one that an operator made")
    ]


class NewToken(Token):
    key: Annotated[str, Field(description="The key, shown this once")]


class Recorded(Result):
    event: Annotated[str, Field(examples=["health.down"])]
    told: Annotated[int, Field(description="How many hooks and webhooks are being told of it")]


Servers = list[Server]
InstalledApps = list[InstalledApp]
CatalogEntries = list[CatalogEntry]
# See apps/app.schema.json.
Definition = dict[str, Any]
Order = list[str]
Deployments = list[Deployment]
Jobs = list[Job]
Tokens = list[Token]
SecretNames = list[str]
