"""The one list of operations. All front doors derive from it: commands, routes, tools, surveys, the reference page."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from livchat_cli import collection
from livchat_cli.errors import LivchatError

collection.activate()

from ansible_collections.livchat.setup.plugins.plugin_utils._answers import allowed  # noqa: E402

if TYPE_CHECKING:
    from pydantic import ValidationError

    from livchat_cli.parameters import Parameters

__all__ = ["MAY_HOLD_SECRETS", "OPERATIONS", "PATTERN", "Effect", "Operation", "allowed", "get"]

# The parameter whose list of servers reaches the playbook as one Ansible pattern.
PATTERN = "target"
# Parameters of free text, in which somebody may write a password.
MAY_HOLD_SECRETS = ("variables", "command")


class Effect(StrEnum):
    READ = "read"
    WRITE = "write"
    DESTROY = "destroy"


class Scope(StrEnum):
    """What a token may be good for."""

    READ = "read"
    # Install and configure applications.
    DEPLOY = "deploy"
    # Servers, tokens, and all that cannot be undone.
    ADMIN = "admin"
    # Run commands on servers.
    EXEC = "exec"
    # Tell the REST API's webhooks what happened elsewhere; no operation takes it.
    REPORT = "report"


@dataclass(frozen=True)
class Operation:
    """One thing the system can do."""

    name: str
    summary: str
    summary_pt: str
    effect: Effect
    # What kind of thing it works on: server, app, catalog, dns.
    target: str
    # A class of `parameters.py`.
    parameters: str = "NoParameters"
    # `livchat.setup.<playbook>` carries it out; what only the REST API takes in has none.
    playbook: str = ""
    # `module:function` that does the same at once, for what asks nobody but the home: it gets the home's path and the
    # parameters. Starting Ansible to read a file that lies beside would cost a second for nothing.
    function: str = ""
    # Parameters a command line takes by position.
    positionals: tuple[str, ...] = ()
    # Parameters whose extra-var has another name.
    mapping: Mapping[str, str] = field(default_factory=dict)
    # The parameter that names the servers it changes: of these, one such operation at a time changes each.
    changes: str = ""
    # The operation that shows what this one would do.
    preview: str = ""
    # The parameter whose value `confirm_name` must repeat.
    confirm: str = ""
    # The field of its result that tells whether all is well, for operations that find that out.
    verdict: str = ""
    # The parameter that names the servers it makes, which cost money.
    creates: str = ""
    # `module:function` that answers from the index at once, in the shape of the playbook's result.
    index: str = ""
    # What it answers with: a name of `results.py`.
    result: str = ""
    # Its method and path in the REST API, where the general rule of `routes.py` is not right: the parameters in braces
    # come from the path, a list of one among them. `more_routes` are further ones, which may leave parameters out.
    route: str = ""
    more_routes: tuple[str, ...] = ()
    # The flag without which it leaves data alone; what destroys and has none deletes data always.
    drops: str = ""
    # Fields of its result that hold a secret, which is shown to who asked, this once.
    reveals: tuple[str, ...] = ()
    # Whether its function is told who asks, since that decides what there is, or what may be given.
    by_asker: bool = False
    # Command lines for the help, without the program's name.
    examples: tuple[str, ...] = ()
    # The scope it takes, where the general rule is not right.
    needs: Scope | None = None
    # What others are told when it succeeded, such as app.installed.
    event: str = ""
    # Seconds after which it is ended.
    timeout: int = 3600

    @property
    def scope(self) -> Scope:
        """The scope that it takes."""
        if self.needs:
            return self.needs
        if self.effect is Effect.READ:
            return Scope.READ
        return Scope.DEPLOY if self.effect is Effect.WRITE and self.target == "app" else Scope.ADMIN

    @cached_property
    def model(self) -> type[Parameters]:
        """The class of its parameters."""
        found: type[Parameters] = getattr(importlib.import_module("livchat_cli.parameters"), self.parameters)
        return found

    def parse(self, values: Mapping[str, Any], strict: bool = False) -> Parameters:
        """The typed parameters.

        What a person typed may be a text where a number is meant, and comes back in the error. `strict` is for what
        comes from a program: the types must be right, and the error, which others may read as well, quotes no value.

        Raises:
            LivchatError: INPUT_INVALID with each field, what it was given and what is allowed.
        """
        from pydantic import ValidationError  # noqa: PLC0415

        try:
            return self.model.model_validate(dict(values), strict=strict)
        except ValidationError as error:
            raise self._invalid(error, {} if strict else values) from None

    def check_confirmed(self, parameters: Parameters) -> None:
        """Raises CONFIRMATION_REQUIRED or CONFIRMATION_MISMATCH unless the name was repeated, where that is needed."""
        if not self.confirm:
            return
        wanted = getattr(parameters, self.confirm)
        given = getattr(parameters, "confirm_name", None)
        if given is None:
            message = f"{self.name} cannot be undone: repeat the name {wanted} as confirm_name to confirm"
            raise LivchatError("CONFIRMATION_REQUIRED", message, {"field": "confirm_name", "name": wanted})
        if given != wanted:
            message = f"confirm_name is not the name {wanted}; nothing was done"
            raise LivchatError("CONFIRMATION_MISMATCH", message, {"field": "confirm_name", "name": wanted})

    def deletes_data(self, parameters: Parameters) -> bool:
        """Whether data is gone for good once it is done: what others made as well, when it is taken over."""
        if getattr(parameters, "adopt", False):
            return True
        return self.effect is Effect.DESTROY and (not self.drops or bool(getattr(parameters, self.drops)))

    def servers(self, parameters: Parameters) -> tuple[str, ...]:
        """Names of the servers it changes; none for one that only reads."""
        named = getattr(parameters, self.changes) if self.changes else ()
        return (named,) if isinstance(named, str) else tuple(named)

    def named_servers(self, parameters: Parameters) -> tuple[str, ...]:
        """Names of the servers that the parameters name, to change them or to look at them."""
        by_server = ("server",)
        fields = {
            "server": ("target", "name", "names"),
            "app": ("target",),
            "deployment": by_server,
            "report": by_server,
        }
        for field_name in fields.get(self.target, ()):
            if named := getattr(parameters, field_name, None):
                return (named,) if isinstance(named, str) else tuple(named)
        return ()

    def extra_vars(self, parameters: Parameters) -> dict[str, Any]:
        """What the playbook gets. What was not given is left out, so that settings and defaults apply there."""
        result: dict[str, Any] = {}
        for name, value in parameters.model_dump(mode="json", exclude_none=True).items():
            if name == PATTERN and isinstance(value, list):
                # The names were checked against ServerName, which holds no pattern characters.
                if value:
                    result[name] = ",".join(value)
            else:
                result[self.variable(name)] = value
        return result

    def variable(self, name: str) -> str:
        """What the parameter's extra-var is called."""
        return self.mapping.get(name, name)

    def schema(self) -> dict[str, Any]:
        """The parameters' JSON schema by name, descriptions, patterns, examples and hints included."""
        return dict(self.model.model_json_schema().get("properties", {}))

    def _invalid(self, error: ValidationError, values: Mapping[str, Any]) -> LivchatError:
        fields = []
        for one in error.errors(include_url=False, include_context=False)[:_MOST_FIELDS]:
            path = [shown(part) for part in one["loc"] if part != "[key]"]
            # Those of a parameter nobody knows may be passwords as well.
            hidden = (path and path[0] in MAY_HOLD_SECRETS) or one["type"] == "extra_forbidden"
            fields.append(
                {
                    "field": ".".join(path),
                    "value": None if hidden else _value(values, one["loc"]),
                    "message": _SAID.get(one["type"], one["msg"]),
                    "allowed": self._allowed(path[0] if path else ""),
                }
            )
        sentences = [
            f"{one['field']}: "
            + ("" if one["value"] is None else f"{one['value']!r}: ")
            + str(one["message"])
            + (f"; allowed: {one['allowed']}" if one["allowed"] else "")
            for one in fields
        ]
        return LivchatError("INPUT_INVALID", ". ".join(sentences), {"operation": self.name, "fields": fields})

    def _allowed(self, name: str) -> str:
        if name not in self.model.model_fields:
            return ", ".join(self.model.model_fields) or "no parameters"
        return allowed(self.schema()[name])


# An error says what is wrong with this many parameters. What it is told as a name may be anything but one.
_MOST_FIELDS = 20
_PLAIN = re.compile(r"[A-Za-z0-9_.-]{1,64}")
# Pydantic's sentences quote patterns; the words of the parameter say it better.
_SAID = {
    "string_pattern_mismatch": "not allowed",
    "extra_forbidden": "there is no such parameter",
    "missing": "it is required",
}


def shown(part: int | str) -> str:
    """A name as an error may show it."""
    return str(part) if _PLAIN.fullmatch(str(part)) else "(no name)"


def _value(values: Any, path: tuple[int | str, ...]) -> Any:
    for part in path:
        known = isinstance(values, Mapping) and part in values
        if not known and not (isinstance(values, Sequence) and isinstance(part, int) and part < len(values)):
            return None
        values = values[part]
    return values if isinstance(values, (str, int, float, bool)) else None


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="launch",
        summary="Create servers, set them up and install applications, all in one go",
        summary_pt="Cria servidores, prepara-os e instala aplicações, tudo de uma vez",
        effect=Effect.WRITE,
        target="server",
        parameters="Launch",
        playbook="launch",
        changes="names",
        positionals=("names",),
        creates="names",
        event="server.launched",
        examples=("launch prod --app n8n", "launch one two --app n8n --app wordpress --server-type cx33"),
    ),
    Operation(
        name="server.create",
        event="server.created",
        summary="Create a server at the cloud provider",
        summary_pt="Cria um servidor no provedor de nuvem",
        effect=Effect.WRITE,
        target="server",
        parameters="ServerCreate",
        playbook="server_create",
        changes="name",
        positionals=("name",),
        creates="name",
        route="POST /servers",
        examples=(
            "server create prod --domain prod.example.com",
            "server create prod --domain prod.example.com --server-type cx33 --location fsn1 --key-type rsa",
        ),
    ),
    Operation(
        name="server.adopt",
        event="server.adopted",
        summary="Take on a server that exists already, by its address",
        summary_pt="Adota um servidor que já existe, pelo endereço",
        effect=Effect.WRITE,
        target="server",
        parameters="ServerAdopt",
        playbook="server_adopt",
        changes="name",
        positionals=("name", "address"),
        examples=("server adopt old 203.0.113.7 --user admin --private-key ~/.ssh/id_ed25519",),
    ),
    Operation(
        name="server.setup",
        event="server.ready",
        summary="Prepare servers: hardening, Docker, Swarm, Traefik, Portainer",
        summary_pt="Prepara servidores: segurança, Docker, Swarm, Traefik, Portainer",
        effect=Effect.WRITE,
        target="server",
        parameters="ServerSetup",
        playbook="setup",
        changes="target",
        positionals=("target",),
        more_routes=("POST /servers/{target}/setup",),
        examples=("server setup prod", "server setup prod staging"),
    ),
    Operation(
        name="server.list",
        summary="List the servers",
        summary_pt="Lista os servidores",
        effect=Effect.READ,
        target="server",
        playbook="server_list",
        index="livchat_cli.index:servers",
        result="Servers",
        route="GET /servers",
        examples=("server list", "server list --json"),
    ),
    Operation(
        name="server.show",
        summary="Show what is known of a server",
        summary_pt="Mostra o que se sabe de um servidor",
        effect=Effect.READ,
        target="server",
        parameters="OneServer",
        playbook="server_show",
        positionals=("name",),
        index="livchat_cli.index:server",
        result="ServerDetails",
        route="GET /servers/{name}",
        examples=("server show prod",),
    ),
    Operation(
        name="server.loss",
        summary="Show what destroying a server would lose, and destroy nothing",
        summary_pt="Mostra o que se perderia ao apagar um servidor, sem apagar nada",
        effect=Effect.READ,
        target="server",
        parameters="OneServer",
        playbook="server_loss",
        positionals=("name",),
        examples=("server loss prod", "server loss prod --json"),
    ),
    Operation(
        name="server.destroy",
        event="server.destroyed",
        summary="Delete a server with everything on it, for good",
        summary_pt="Apaga um servidor com tudo o que há nele, para sempre",
        effect=Effect.DESTROY,
        target="server",
        parameters="ServerDestroy",
        playbook="server_destroy",
        changes="name",
        positionals=("name",),
        preview="server.loss",
        confirm="name",
        route="DELETE /servers/{name}",
        examples=("server destroy prod", "server destroy prod --confirm-name prod"),
    ),
    Operation(
        name="app.install",
        event="app.installed",
        summary="Install applications with everything they depend on",
        summary_pt="Instala aplicações com tudo de que elas dependem",
        effect=Effect.WRITE,
        target="app",
        parameters="AppInstall",
        playbook="deploy",
        changes="target",
        positionals=("apps",),
        preview="app.plan",
        route="POST /deployments",
        more_routes=("POST /servers/{target}/apps",),
        examples=(
            "app install n8n --target prod",
            "app install n8n:cliente1 --target prod --var n8n-cliente1.timezone=America/Sao_Paulo",
        ),
    ),
    Operation(
        name="app.plan",
        summary="Show what an installation would do, and do nothing",
        summary_pt="Mostra o que uma instalação faria, sem fazer nada",
        effect=Effect.READ,
        target="app",
        parameters="AppInstall",
        playbook="plan",
        positionals=("apps",),
        route="POST /plans",
        examples=("app plan n8n wordpress --target prod",),
    ),
    Operation(
        name="app.list",
        summary="List the installed applications, as the servers report them",
        summary_pt="Lista as aplicações instaladas, como os servidores as informam",
        effect=Effect.READ,
        target="app",
        parameters="Watched",
        playbook="app_list",
        index="livchat_cli.index:apps",
        result="InstalledApps",
        route="GET /instances",
        more_routes=("GET /servers/{target}/apps",),
        examples=("app list", "app list --target prod"),
    ),
    Operation(
        name="app.uninstall",
        event="app.uninstalled",
        summary="Remove an application; its data stays unless told otherwise",
        summary_pt="Remove uma aplicação; os dados ficam, a não ser que se peça o contrário",
        effect=Effect.DESTROY,
        target="app",
        parameters="AppUninstall",
        playbook="uninstall",
        changes="target",
        positionals=("instance",),
        confirm="instance",
        route="DELETE /servers/{target}/apps/{instance}",
        drops="drop_data",
        examples=("app uninstall n8n --target prod", "app uninstall n8n --target prod --drop-data --confirm-name n8n"),
    ),
    Operation(
        name="catalog.list",
        summary="List the applications that can be installed",
        summary_pt="Lista as aplicações que podem ser instaladas",
        effect=Effect.READ,
        target="catalog",
        parameters="CatalogList",
        playbook="catalog_list",
        function="livchat_cli.catalog:list_apps",
        result="CatalogEntries",
        route="GET /apps",
        examples=("catalog list", "catalog list --category databases"),
    ),
    Operation(
        name="catalog.show",
        summary="Show the definition of an application",
        summary_pt="Mostra a definição de uma aplicação",
        effect=Effect.READ,
        target="catalog",
        parameters="CatalogShow",
        playbook="catalog_show",
        function="livchat_cli.catalog:show_app",
        positionals=("app",),
        result="Definition",
        route="GET /apps/{app}",
        examples=("catalog show n8n",),
    ),
    Operation(
        name="catalog.order",
        summary="Show in which order applications and dependencies would be installed",
        summary_pt="Mostra em que ordem aplicações e dependências seriam instaladas",
        effect=Effect.READ,
        target="catalog",
        parameters="CatalogOrder",
        playbook="catalog_order",
        function="livchat_cli.catalog:order_apps",
        positionals=("apps",),
        result="Order",
        examples=("catalog order n8n wordpress",),
    ),
    Operation(
        name="catalog.server",
        summary="Show what a new server would be, and what it costs a month",
        summary_pt="Mostra como seria um novo servidor, e quanto custa por mês",
        effect=Effect.READ,
        target="catalog",
        parameters="CatalogServer",
        playbook="catalog_server",
        result="Offer",
        examples=("catalog server", "catalog server --server-type cx33 --location fsn1"),
    ),
    Operation(
        name="dns.set",
        summary="Set a DNS record; what servers and other people made is left alone",
        summary_pt="Define um registro DNS; o que é dos servidores ou de outras pessoas não é tocado",
        effect=Effect.WRITE,
        target="dns",
        parameters="DnsSet",
        playbook="dns_set",
        positionals=("name", "type", "value"),
        event="dns.set",
        examples=(
            "dns set blog.example.com A 203.0.113.7 --ttl 300 --proxied",
            "dns set example.com MX mx2.example.com --priority 20 --add",
            "dns set example.com TXT 'v=spf1 mx -all' --add",
        ),
    ),
    Operation(
        name="dns.list",
        summary="List the DNS records that were made here, and whose they are",
        summary_pt="Lista os registros DNS feitos aqui, e de quem são",
        effect=Effect.READ,
        target="dns",
        parameters="DnsList",
        playbook="dns_list",
        positionals=("name",),
        examples=("dns list", "dns list prod.example.com --type A", "dns list --all"),
    ),
    Operation(
        name="dns.remove",
        summary="Remove a DNS record that was set by dns.set; no other",
        summary_pt="Remove um registro DNS definido por dns.set; nenhum outro",
        effect=Effect.DESTROY,
        target="dns",
        parameters="DnsRemove",
        playbook="dns_remove",
        positionals=("name", "type", "value"),
        confirm="name",
        event="dns.removed",
        examples=(
            "dns remove blog.example.com A",
            "dns remove blog.example.com A 203.0.113.7 --confirm-name blog.example.com",
        ),
    ),
    Operation(
        name="dns.check",
        summary="Find what is wrong with the DNS zone, the token, and the records",
        summary_pt="Verifica a zona DNS, o token e os registros",
        effect=Effect.READ,
        target="dns",
        parameters="DnsCheck",
        playbook="dns_check",
        positionals=("name",),
        verdict="healthy",
        examples=("dns check", "dns check n8n.prod.example.com"),
    ),
    Operation(
        name="status",
        summary="Show what runs where, read from the servers themselves",
        summary_pt="Mostra o que roda onde, lido dos próprios servidores",
        effect=Effect.READ,
        target="server",
        parameters="Watched",
        playbook="status",
        more_routes=("GET /servers/{target}/status",),
        examples=("status", "status --target prod"),
    ),
    Operation(
        name="logs",
        summary="Show the newest log lines of an application",
        summary_pt="Mostra as últimas linhas de log de uma aplicação",
        effect=Effect.READ,
        target="app",
        parameters="Logs",
        playbook="logs",
        positionals=("instance",),
        route="GET /servers/{target}/apps/{instance}/logs",
        examples=("logs n8n --target prod", "logs n8n --target prod --service worker --lines 500"),
    ),
    Operation(
        name="exec",
        needs=Scope.EXEC,
        summary="Run a command on servers",
        summary_pt="Executa um comando nos servidores",
        effect=Effect.WRITE,
        target="server",
        parameters="Exec",
        playbook="exec",
        positionals=("command",),
        examples=("exec --target prod -- df -h", "exec --json --target prod -- docker node ls"),
    ),
    Operation(
        name="jobs.list",
        summary="List the jobs: what was asked for, by whom, and how it went",
        summary_pt="Lista os trabalhos: o que foi pedido, por quem, e como terminou",
        effect=Effect.READ,
        target="job",
        parameters="JobsList",
        playbook="jobs_list",
        function="livchat_cli.jobs:list_jobs",
        by_asker=True,
        result="Jobs",
        route="GET /jobs",
        examples=("jobs list", "jobs list --status running --status waiting"),
    ),
    Operation(
        name="jobs.show",
        summary="Show a job with its result",
        summary_pt="Mostra um trabalho com o resultado",
        effect=Effect.READ,
        target="job",
        parameters="OneJob",
        playbook="jobs_show",
        function="livchat_cli.jobs:show_job",
        positionals=("job",),
        result="JobWithResult",
        route="GET /jobs/{job}",
        examples=("jobs show 20260102T030405-a1b2c3",),
    ),
    Operation(
        name="jobs.log",
        summary="Show what Ansible printed in a job",
        summary_pt="Mostra o que o Ansible imprimiu em um trabalho",
        effect=Effect.READ,
        target="job",
        parameters="JobLog",
        playbook="jobs_log",
        function="livchat_cli.jobs:log_of_job",
        positionals=("job",),
        result="LogLines",
        route="GET /jobs/{job}/log",
        examples=("jobs log 20260102T030405-a1b2c3", "jobs log 20260102T030405-a1b2c3 --lines 50 --skip 50"),
    ),
    Operation(
        name="jobs.cancel",
        summary="End a job that waits or runs, with all its processes",
        summary_pt="Encerra um trabalho que espera ou executa, com todos os processos",
        effect=Effect.WRITE,
        target="job",
        parameters="OneJob",
        playbook="jobs_cancel",
        function="livchat_cli.jobs:cancel_job",
        positionals=("job",),
        result="Job",
        route="POST /jobs/{job}/cancel",
        examples=("jobs cancel 20260102T030405-a1b2c3",),
    ),
    Operation(
        name="deployments.list",
        summary="List what was deployed on which server, and how it ended",
        summary_pt="Lista o que foi implantado em qual servidor, e como terminou",
        effect=Effect.READ,
        target="deployment",
        parameters="DeploymentsList",
        playbook="deployments_list",
        function="livchat_cli.index:deployments",
        result="Deployments",
        route="GET /deployments",
        examples=("deployments list", "deployments list --server prod --status failed"),
    ),
    Operation(
        name="secrets.list",
        summary="List the names of the secrets in the vault, never their values",
        summary_pt="Lista os nomes dos segredos no cofre, nunca os valores",
        effect=Effect.READ,
        target="secret",
        parameters="SecretsList",
        playbook="secrets_list",
        function="livchat_cli.vaulted:list_secrets",
        needs=Scope.ADMIN,
        result="SecretNames",
        route="GET /secrets",
        examples=("secrets list", "secrets list --below servers/prod"),
    ),
    Operation(
        name="token.create",
        summary="Make a token for a program; its key is shown this once",
        summary_pt="Cria um token para um programa; a chave aparece só desta vez",
        effect=Effect.WRITE,
        target="token",
        parameters="TokenCreate",
        playbook="token_create",
        function="livchat_cli.access:create_token",
        by_asker=True,
        reveals=("key",),
        positionals=("name",),
        result="NewToken",
        route="POST /tokens",
        examples=("token create ci --scope deploy --server prod --days 90",),
    ),
    Operation(
        name="token.list",
        summary="List the tokens, without their keys",
        summary_pt="Lista os tokens, sem as chaves",
        effect=Effect.READ,
        target="token",
        needs=Scope.ADMIN,
        playbook="token_list",
        function="livchat_cli.access:list_tokens",
        result="Tokens",
        route="GET /tokens",
        examples=("token list",),
    ),
    Operation(
        name="token.rotate",
        summary="Give a token a new key; the old one ends at once",
        summary_pt="Dá uma nova chave a um token; a antiga acaba na hora",
        effect=Effect.WRITE,
        target="token",
        parameters="OneToken",
        playbook="token_rotate",
        function="livchat_cli.access:rotate_token",
        by_asker=True,
        reveals=("key",),
        positionals=("token",),
        result="NewToken",
        route="POST /tokens/{token}/rotate",
        examples=("token rotate 1a2b3c4d",),
    ),
    Operation(
        name="token.revoke",
        summary="End a token at once",
        summary_pt="Encerra um token na hora",
        effect=Effect.WRITE,
        target="token",
        parameters="OneToken",
        playbook="token_revoke",
        function="livchat_cli.access:revoke_token",
        positionals=("token",),
        result="Token",
        route="DELETE /tokens/{token}",
        examples=("token revoke 1a2b3c4d",),
    ),
)
_BY_NAME = {operation.name: operation for operation in OPERATIONS}


def get(name: str) -> Operation:
    """The operation of that name. Raises LivchatError OPERATION_UNKNOWN."""
    if name not in _BY_NAME:
        message = f"there is no operation {name!r}; there are: {', '.join(_BY_NAME)}"
        raise LivchatError("OPERATION_UNKNOWN", message, {"operation": name})
    return _BY_NAME[name]
