"""Every operation, once: its playbook, its parameters with their types, and whether it reads, writes or destroys.

All front doors derive from this list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SERVER_NAME = r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"
DOMAIN = r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$"
APP = r"^[a-z][a-z0-9-]{0,40}(:[a-z0-9][a-z0-9-]{0,40})?$"
INSTANCE = r"^[a-z][a-z0-9-]{0,40}$"

Name = Annotated[str, Field(pattern=SERVER_NAME, description="Name of the server", examples=["prod"])]
App = Annotated[str, Field(pattern=APP)]
Target = Annotated[
    str,
    Field(
        pattern=r"^[a-z][a-z0-9-]*(,[a-z][a-z0-9-]*)*$", description="Servers, separated by commas", examples=["prod"]
    ),
]
Instance = Annotated[str, Field(pattern=INSTANCE, description="Name of the instance", examples=["n8n"])]


class Parameters(BaseModel):
    """Parameters of an operation. The names are those of the playbook's extra-vars."""

    model_config = ConfigDict(extra="forbid")


class Nothing(Parameters):
    pass


class ServerCreate(Parameters):
    name: Name
    domain: Annotated[
        str, Field(pattern=DOMAIN, description="Base domain of the server", examples=["prod.example.com"])
    ]
    server_type: Annotated[str, Field(pattern=r"^[a-z0-9]*$", description="Type; the setting's when empty")] = ""
    location: Annotated[str, Field(pattern=r"^[a-z0-9]*$", description="Location; the setting's when empty")] = ""
    image: Annotated[str, Field(pattern=r"^[a-z0-9.-]*$", description="Image; the setting's when empty")] = ""


class ServerDestroy(Parameters):
    name: Name
    confirm_name: Annotated[str, Field(description="The name once more")] = ""


class OnServers(Parameters):
    target: Target


class MaybeServers(Parameters):
    target: Annotated[str, Field(pattern=r"^[a-z][a-z0-9,-]*$", description="Servers; all when left out")] = "livchat"


class Apps(Parameters):
    apps: Annotated[list[App], Field(min_length=1, description="Apps, as `n8n` or `n8n:cliente1`", examples=[["n8n"]])]
    target: Target


class AppUninstall(Parameters):
    instance: Instance
    target: Target
    drop_data: Annotated[bool, Field(description="Remove its databases too, with their data")] = False


class Logs(Parameters):
    instance: Instance
    target: Target
    service: Annotated[str, Field(pattern=r"^([a-z][a-z0-9_-]{0,40})?$", description="One service; all when empty")] = (
        ""
    )
    lines: Annotated[int, Field(ge=1, le=10000, description="Lines of each service")] = 100


class Exec(Parameters):
    target: Target
    command: Annotated[list[str], Field(min_length=1, description="Program and arguments; no shell is involved")]


@dataclass(frozen=True)
class Operation:
    """One thing livchat.setup can do."""

    name: str
    playbook: str
    summary: str
    parameters: type[Parameters]
    effect: Literal["read", "write", "destroy"]

    def extra_vars(self, values: dict[str, Any]) -> dict[str, Any]:
        """Checked parameters as the playbook takes them.

        Raises:
            pydantic.ValidationError: a value is not allowed.
        """
        return self.parameters(**values).model_dump()


OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation("server.create", "server_create", "Create a server at Hetzner", ServerCreate, "write"),
        Operation("server.setup", "setup", "Harden servers; Docker Swarm, Traefik, Portainer", OnServers, "write"),
        Operation("server.list", "server_list", "List servers", Nothing, "read"),
        Operation("server.destroy", "server_destroy", "Destroy a server with all its data", ServerDestroy, "destroy"),
        Operation("app.install", "deploy", "Install apps with all they depend on", Apps, "write"),
        Operation("app.plan", "plan", "Show what an installation would do", Apps, "read"),
        Operation("app.list", "app_list", "List installed apps", MaybeServers, "read"),
        Operation("app.uninstall", "uninstall", "Remove an app; its data only if asked", AppUninstall, "destroy"),
        Operation("status", "status", "Servers and what runs on them", MaybeServers, "read"),
        Operation("logs", "logs", "Logs of an app", Logs, "read"),
        Operation("exec", "exec", "Run a command on servers", Exec, "write"),
    )
}
