"""The typed parameters of the operations. Importing pydantic takes 0.2 s, so `operations.py` loads this when needed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Parameters(BaseModel):
    """What an operation takes. Unknown names are refused; a wrong value never appears in pydantic's own messages."""

    # Built on first use: the list is read for every `--help`, a model only when its operation runs.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, hide_input_in_errors=True)


def hints(allowed: str = "", complete: str = "", option: str = "") -> dict[str, Any]:
    """Schema entries of a parameter: what is allowed in words, what a shell may complete, its option's name."""
    given = {"x-allowed": allowed, "x-complete": complete, "x-option": option}
    return {key: value for key, value in given.items() if value}


_INSTANCE = r"^[a-z][a-z0-9-]{0,40}$"
_LABEL = r"^[a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?$"

ServerName = Annotated[
    str,
    Field(
        pattern=r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$",
        description="Name of the server",
        examples=["prod"],
        json_schema_extra=hints("a lower case letter, then letters, digits and dashes, 63 at most", "server"),
    ),
]
Domain = Annotated[
    str,
    Field(
        pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$",
        max_length=253,
        description="Base domain of the server's applications",
        examples=["prod.example.com"],
        json_schema_extra=hints("a domain in lower case, such as prod.example.com"),
    ),
]
AppRequest = Annotated[
    str,
    Field(
        pattern=r"^[a-z][a-z0-9-]{0,40}(:[a-z0-9][a-z0-9-]{0,39})?$",
        json_schema_extra=hints("`app` or `app:instance`, such as n8n or n8n:cliente1"),
    ),
]
AppRequests = Annotated[
    list[AppRequest],
    Field(
        min_length=1,
        description="`app`, or `app:instance` for one more",
        examples=[["n8n"], ["n8n:cliente1"]],
        json_schema_extra=hints(complete="app"),
    ),
]
Instance = Annotated[
    str,
    Field(
        pattern=_INSTANCE,
        description="Name of the installed application",
        examples=["n8n"],
        json_schema_extra=hints("a lower case letter, then letters, digits and dashes, 41 at most", "app"),
    ),
]
Target = Annotated[
    ServerName, Field(description="Server to work on", examples=["prod"], json_schema_extra=hints(complete="server"))
]
Targets = Annotated[
    list[ServerName],
    Field(
        min_length=1, description="Servers to work on", examples=[["prod"]], json_schema_extra=hints(complete="server")
    ),
]
AnyTargets = Annotated[
    list[ServerName],
    Field(
        description="Servers; else all",
        examples=[["prod"]],
        json_schema_extra=hints(complete="server"),
    ),
]
ConfirmName = Annotated[
    str | None,
    Field(description="The name once more, as confirmation; without it nothing is done", examples=["prod"]),
]
Word = Annotated[
    str | None,
    Field(
        pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$",
        json_schema_extra=hints("lower case letters, digits and ._-, 63 at most"),
    ),
]
Labels = dict[
    Annotated[str, Field(pattern=_LABEL)],
    Annotated[str, Field(pattern=r"^([a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?)?$")],
]
Variables = dict[
    Annotated[str, Field(pattern=_INSTANCE)],
    dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")], str],
]
KeyType = Annotated[
    Literal["ed25519", "rsa"] | None,
    Field(
        description="Kind of its SSH key; else ed25519",
        examples=["rsa"],
        json_schema_extra=hints("ed25519, rsa"),
    ),
]
AppVariables = Annotated[
    Variables,
    Field(
        description="Variables of the definitions, by instance and name",
        examples=[{"n8n": {"timezone": "America/Sao_Paulo"}}],
        json_schema_extra=hints("INSTANCE.NAME=VALUE, such as n8n.timezone=UTC", option="--var"),
    ),
]
_HOST_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
RecordName = Annotated[
    str,
    Field(
        pattern=rf"^(@|(\*\.)?({_HOST_LABEL}\.)+{_HOST_LABEL})$",
        max_length=253,
        description="Full host name in the zone; *.… for all below one; @ is the zone itself",
        examples=["blog.example.com"],
        json_schema_extra=hints("a host name in lower case, such as blog.example.com, or @"),
    ),
]
RecordType = Annotated[
    Literal["A", "AAAA", "CAA", "CNAME", "MX", "TXT"],
    Field(
        description="Type of the record",
        examples=["A"],
        json_schema_extra=hints("A, AAAA, CAA, CNAME, MX, TXT"),
    ),
]
RecordValue = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2048,
        description="Address, host name or text, as the type asks for",
        examples=["203.0.113.7", '0 issue "letsencrypt.org"'],
    ),
]
Zone = Annotated[
    Domain | None,
    Field(description="DNS zone; else that of the settings", examples=["example.org"]),
]


class NoParameters(Parameters):
    pass


class CatalogServer(Parameters):
    """What is left out comes from the settings."""

    server_type: Annotated[Word, Field(description="Size, as the provider names it", examples=["cx23"])] = None
    location: Annotated[Word, Field(description="Place, as the provider names it", examples=["nbg1"])] = None


class Machine(CatalogServer):
    """What a new server is to be; what is left out comes from the settings."""

    image: Annotated[Word, Field(description="Operating system", examples=["debian-13"])] = None
    labels: Annotated[
        Labels,
        Field(
            description="Labels of the server at the provider, KEY=VALUE",
            examples=[{"customer": "acme"}],
            json_schema_extra=hints("KEY=VALUE of letters, digits and ._-, 63 at most each", option="--label"),
        ),
    ] = {}
    key_type: KeyType = None


class ServerCreate(Machine):
    name: ServerName
    domain: Domain


class Launch(Machine):
    names: Annotated[
        list[ServerName],
        Field(min_length=1, description="Names of the servers", examples=[["prod"], ["one", "two"]]),
    ]
    domain: Annotated[
        Domain | None,
        Field(description="Domain below which each server gets NAME.DOMAIN; else the zone", examples=["example.com"]),
    ] = None
    apps: Annotated[
        list[AppRequest],
        Field(
            description="Applications to install: `app`, or `app:instance` for one more",
            examples=[["n8n"]],
            json_schema_extra=hints(complete="app", option="--app"),
        ),
    ] = []
    variables: AppVariables = {}


class ServerAdopt(Parameters):
    name: ServerName
    address: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$",
            description="IPv4 address or host name",
            examples=["203.0.113.7", "vps.example.net"],
            json_schema_extra=hints("an IPv4 address or a host name"),
        ),
    ]
    user: Annotated[
        str,
        Field(
            pattern=r"^[a-z_][a-z0-9_-]{0,31}$",
            description="User that may become root",
            json_schema_extra=hints("a Linux user name"),
        ),
    ] = "root"
    port: Annotated[int, Field(ge=1, le=65535, description="SSH port")] = 22
    private_key: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9_~./ -]{1,1024}$",
            description="File of the private SSH key; else those of the SSH agent and ~/.ssh",
            examples=["~/.ssh/id_ed25519"],
            json_schema_extra=hints("the path of a file"),
        ),
    ] = None
    domain: Annotated[
        Domain | None,
        Field(
            description="Base domain of its applications; else NAME in the zone",
            examples=["prod.example.com"],
        ),
    ] = None
    key_type: KeyType = None


class ServerSetup(Parameters):
    target: Targets
    full: Annotated[
        bool,
        Field(
            description="Go through everything, also where nothing seems to have changed",
            examples=[True],
        ),
    ] = False


class OneServer(Parameters):
    name: ServerName


class ServerDestroy(Parameters):
    name: ServerName
    confirm_name: ConfirmName = None


class AppInstall(Parameters):
    apps: AppRequests
    target: Targets
    variables: AppVariables = {}


class AppUninstall(Parameters):
    instance: Instance
    target: Target
    drop_data: Annotated[bool, Field(description="Remove its volumes, databases and secrets as well")] = False
    confirm_name: ConfirmName = None


class Watched(Parameters):
    target: AnyTargets = []


class Logs(Parameters):
    instance: Instance
    target: Target
    service: Annotated[
        str | None,
        Field(
            pattern=r"^[a-z][a-z0-9_-]{0,40}$",
            description="One service of it; else all",
            examples=["worker"],
            json_schema_extra=hints("a lower case letter, then letters, digits, dashes and underscores"),
        ),
    ] = None
    lines: Annotated[int, Field(ge=1, le=10000, description="Newest lines of each service")] = 100


class Exec(Parameters):
    command: Annotated[
        list[Annotated[str, Field(max_length=4096)]],
        Field(min_length=1, description="Command and its arguments; no shell reads them", examples=[["df", "-h"]]),
    ]
    target: Targets


JobId = Annotated[
    str,
    Field(
        pattern=r"^[0-9]{8}T[0-9]{6}-[0-9a-f]{6}$",
        description="Identifier of the job",
        examples=["20260102T030405-a1b2c3"],
        json_schema_extra=hints("an identifier as jobs list shows it", "job"),
    ),
]


class JobsList(Parameters):
    status: Annotated[
        list[Literal["waiting", "running", "successful", "failed", "cancelled", "killed"]],
        Field(
            description="Only jobs in these states",
            examples=[["running"]],
            json_schema_extra=hints("waiting, running, successful, failed, cancelled, killed"),
        ),
    ] = []
    operation: Annotated[
        str | None,
        Field(
            pattern=r"^[a-z]+([._][a-z]+)*$",
            description="Only jobs of this operation",
            examples=["app.install"],
            json_schema_extra=hints("the name of an operation, such as app.install"),
        ),
    ] = None
    server: Annotated[ServerName | None, Field(description="Only jobs that change this server", examples=["prod"])] = (
        None
    )
    limit: Annotated[int, Field(ge=1, le=200, description="How many, the newest first")] = 50
    before: Annotated[JobId | None, Field(description="Go on after this job, the last one of a page")] = None


class OneJob(Parameters):
    job: JobId


class JobLog(Parameters):
    job: JobId
    lines: Annotated[int, Field(ge=1, le=10000, description="How many, the newest")] = 200
    skip: Annotated[int, Field(ge=0, le=10**9, description="Newest lines to leave out, which were read before")] = 0


class DeploymentsList(Parameters):
    server: Annotated[ServerName | None, Field(description="Only those of this server", examples=["prod"])] = None
    status: Annotated[
        list[Literal["running", "successful", "failed", "interrupted"]],
        Field(
            description="Only those in these states",
            examples=[["failed"]],
            json_schema_extra=hints("running, successful, failed, interrupted"),
        ),
    ] = []
    limit: Annotated[int, Field(ge=1, le=200, description="How many, the newest first")] = 50
    before: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9._-]{1,64}$",
            description="Go on after this deployment, the last one of a page",
            examples=["20260102T030405-a1b2c3"],
            json_schema_extra=hints("an identifier as deployments list shows it"),
        ),
    ] = None


class SecretsList(Parameters):
    below: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$",
            max_length=500,
            description="Only those below this path",
            examples=["servers/prod"],
            json_schema_extra=hints("a path of the vault, such as servers/prod"),
        ),
    ] = None


class TokenCreate(Parameters):
    name: Annotated[
        str,
        Field(
            pattern=r"^[a-z][a-z0-9-]{0,40}$",
            description="What the token is for; the audit log names it",
            examples=["ci"],
            json_schema_extra=hints("a lower case letter, then letters, digits and dashes, 41 at most"),
        ),
    ]
    scopes: Annotated[
        list[Literal["read", "deploy", "admin", "exec", "report"]],
        Field(
            min_length=1,
            description="What it is good for; deploy and admin include what is less, exec includes read; "
            "report is for webhooks alone",
            examples=[["deploy"]],
            json_schema_extra=hints("read, deploy, admin, exec, report", option="--scope"),
        ),
    ] = ["read"]
    servers: Annotated[
        list[ServerName],
        Field(
            description="Servers it is limited to; else all",
            examples=[["prod"]],
            json_schema_extra=hints(complete="server", option="--server"),
        ),
    ] = []
    days: Annotated[
        int | None, Field(ge=1, le=3650, description="Days after which it ends; never when not given", examples=[90])
    ] = None


class OneToken(Parameters):
    token: Annotated[
        str,
        Field(
            pattern=r"^[0-9a-f]{8}$",
            description="Identifier of the token",
            examples=["1a2b3c4d"],
            json_schema_extra=hints("an identifier as token list shows it"),
        ),
    ]


Message = Annotated[
    str | None, Field(max_length=500, description="What there is to say about it", examples=["HTTP 502"])
]


class HealthReport(Parameters):
    server: ServerName
    instance: Annotated[Instance | None, Field(description="The application; the server itself when none is named")] = (
        None
    )
    status: Annotated[
        Literal["up", "down"],
        Field(description="Whether it answers", examples=["down"], json_schema_extra=hints("up or down")),
    ]
    message: Message = None


class PortainerReport(Parameters):
    server: ServerName
    event: Annotated[
        str,
        Field(
            pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$",
            description="What happened",
            examples=["stack.updated"],
            json_schema_extra=hints("lower case letters, digits and ._-, 63 at most"),
        ),
    ]
    stack: Annotated[
        str | None,
        Field(
            pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$",
            description="The stack it happened to",
            examples=["n8n"],
            json_schema_extra=hints("lower case letters, digits, dashes and underscores, 63 at most"),
        ),
    ] = None
    message: Message = None


class CatalogList(Parameters):
    category: Annotated[
        str | None,
        Field(
            pattern=_INSTANCE,
            description="Only this category",
            examples=["databases"],
            json_schema_extra=hints("a category, such as databases"),
        ),
    ] = None


class CatalogShow(Parameters):
    app: Annotated[
        str,
        Field(
            pattern=_INSTANCE,
            description="Name of the application",
            examples=["n8n"],
            json_schema_extra=hints("a name of the catalogue", "app"),
        ),
    ]


class CatalogOrder(Parameters):
    apps: AppRequests


class DnsSet(Parameters):
    name: RecordName
    type: RecordType
    value: RecordValue
    ttl: Annotated[
        int,
        Field(
            ge=1,
            le=86400,
            description="Seconds that resolvers keep it; 1 leaves them to Cloudflare",
            examples=[300],
            json_schema_extra=hints("1, or 60 to 86400"),
        ),
    ] = 1
    proxied: Annotated[bool, Field(description="Go through Cloudflare's proxy (A, AAAA, CNAME)")] = False
    priority: Annotated[
        int | None,
        Field(ge=0, le=65535, description="Preference of an MX record, which must have one", examples=[10]),
    ] = None
    add: Annotated[bool, Field(description="Keep other values of the name and type, else replaced")] = False
    adopt: Annotated[
        bool,
        Field(description="Take over what others made; never what is a server's"),
    ] = False
    zone: Zone = None


class DnsList(Parameters):
    name: Annotated[RecordName | None, Field(description="Only this name and those below it")] = None
    type: Annotated[RecordType | None, Field(description="Only records of this type", examples=["A"])] = None
    owner: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$",
            description="Only those of this server, or of operator/dns: set by hand",
            examples=["prod"],
            json_schema_extra=hints("an owner, such as prod or operator/dns", "server"),
        ),
    ] = None
    everything: Annotated[
        bool, Field(description="List also what others made", json_schema_extra=hints(option="--all"))
    ] = False
    zone: Zone = None


class DnsRemove(Parameters):
    name: RecordName
    type: RecordType
    value: Annotated[RecordValue | None, Field(description="Only this value; all of name and type without it")] = None
    zone: Zone = None
    confirm_name: ConfirmName = None


class DnsCheck(Parameters):
    name: Annotated[RecordName | None, Field(description="Only this name and those below it")] = None
    zone: Zone = None
