"""The commands: one for each operation, made from the list, and those beside it: this machine, other front doors."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from livchat_cli import collection, console, home
from livchat_cli.api import HOST_NAMES
from livchat_cli.errors import LivchatError
from livchat_cli.operations import OPERATIONS, Effect, Operation, allowed, get

collection.activate()

from ansible_collections.livchat.setup.plugins.plugin_utils._answers import nested, pairs  # noqa: E402

if TYPE_CHECKING:
    from livchat_cli.parameters import Parameters

_GROUPS = {
    "server": "Servers: create, adopt, set up, list, show, destroy, and what that would lose.",
    "app": "Applications: plan, install, list, uninstall.",
    "catalog": "What can be installed, and on what.",
    "dns": "DNS records: set, list, remove, check.",
    "jobs": "Jobs: list, show, log, follow, cancel.",
    "deployments": "What was deployed on which server, and how it ended.",
    "secrets": "Names of the secrets in the vault.",
    "token": "Tokens for programs: create, list, rotate, revoke.",
}
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else on stdout.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Detach = Annotated[bool, typer.Option("--detach", help="Print the job and do not wait for it.")]


def perform(
    operation: Operation, values: Mapping[str, Any], as_json: bool, yes: bool = False, detach: bool = False
) -> None:
    """Asks what has to be asked, runs the operation, prints its result; detached, starts it and prints its job."""
    parameters = _confirmed(operation, values, yes)
    if operation.preview and not operation.confirm and not yes and not as_json and console.interactive():
        _show_first(operation, values)
        typer.confirm("Apply this?", abort=True, err=True)
    name = "jobs.show" if detach else operation.name
    result = _run(operation, parameters, as_json, detach)
    console.result(result, name, as_json)
    if operation.verdict and not detach and not result[operation.verdict]:
        raise typer.Exit(1)


def _show_first(operation: Operation, values: Mapping[str, Any]) -> None:
    """What the operation would do, or would do away with, for a person to see before anything is done."""
    preview = get(operation.preview)
    known = {name: value for name, value in values.items() if name in preview.model.model_fields}
    console.result(_run(preview, preview.parse(known), as_json=False), preview.name, as_json=False)


def _run(operation: Operation, parameters: Parameters, as_json: bool, detach: bool = False) -> Any:
    from livchat_cli.client import Client  # noqa: PLC0415  # and with it the jobs, which --help does not need
    from livchat_cli.display import Display  # noqa: PLC0415
    from livchat_cli.unlock import unlock  # noqa: PLC0415

    if not operation.function and console.interactive():
        unlock(home.path())
    client, values = Client(), parameters.model_dump(exclude_unset=True)
    if detach:
        return client.start(operation, values)
    # A program that reads our JSON gets no progress; a person at a terminal still does, on stderr.
    with Display(quiet=as_json and not console.interactive()) as display:
        return client.perform(operation, values, display)


def _confirmed(operation: Operation, values: Mapping[str, Any], yes: bool) -> Parameters:
    parameters = operation.parse(values)
    if not operation.confirm or values.get("confirm_name") is not None:
        return parameters
    name = getattr(parameters, operation.confirm)
    if yes:
        typed = name
    elif console.interactive():
        if operation.preview:
            _show_first(operation, values)
        else:
            console.note(f"{operation.summary}.")
        typed = typer.prompt(f"Type the name {name} to go on", default="", show_default=False, err=True)
    else:
        message = f"{operation.name} cannot be undone; confirm with --confirm-name {name} or --yes"
        raise LivchatError("CONFIRMATION_REQUIRED", message, {"field": "confirm_name", "name": name})
    return operation.parse({**values, "confirm_name": typed})


# --- from a parameter to an argument or an option
def _command(operation: Operation) -> Callable[..., None]:
    schema = operation.schema()

    def call(**given: Any) -> None:
        asked = {name: given.pop(name) for name in ("as_json", "yes", "detach") if name in given}
        values = {name: _read(name, schema[name], value) for name, value in given.items() if value not in (None, [])}
        perform(operation, values, **asked)

    order = [*operation.positionals, *(name for name in schema if name not in operation.positionals)]
    parameters = [_parameter(operation, name, schema[name]) for name in order]
    parameters.append(_keyword("as_json", Json, default=False))
    if operation.effect is not Effect.READ:
        parameters.append(_keyword("yes", Yes, default=False))
    if not operation.function and operation.effect is not Effect.READ:
        parameters.append(_keyword("detach", Detach, default=False))
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {one.name: one.annotation for one in parameters}
    lines = "\n".join(f"  livchat-setup {example}" for example in operation.examples)
    # \b: Typer keeps the lines that follow as they are.
    call.__doc__ = f"{operation.summary}.\n\n\b\nExamples:\n{lines}"
    return call


def _parameter(operation: Operation, name: str, schema: Mapping[str, Any]) -> inspect.Parameter:
    kind, many = _type(schema)
    words = allowed(schema)
    text = schema.get("description", "") + (f" ({words})" if words and many != "mapping" else "")
    required = operation.model.model_fields[name].is_required()
    default: Any = inspect.Parameter.empty if required else None if many else schema.get("default")
    more: dict[str, Any] = {"help": text + ".", "show_default": default not in (None, "", False)}
    if complete := _completion(schema):
        more["autocompletion"] = complete
    annotation: Any = list[str] if many else kind
    if name in operation.positionals:
        info = typer.Argument(metavar=name.upper() + ("..." if many else ""), **more)
    else:
        option = schema.get("x-option", f"--{name.replace('_', '-')}")
        short = ["-t"] if name == "target" else []
        # A flag has no opposite: what is not asked for does not happen.
        info = typer.Option(option, *short, **more)
    if not required and kind is not bool:
        annotation = annotation | None
    return _keyword(name, Annotated[annotation, info], default)


def _keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _type(schema: Mapping[str, Any]) -> tuple[Any, str]:
    """The type on a command line, and whether it may come several times: as a list or as KEY=VALUE."""
    types = {one.get("type") for one in (schema, *schema.get("anyOf", ()))}
    if "array" in types:
        return str, "list"
    if "object" in types:
        return str, "mapping"
    if "boolean" in types:
        return bool, ""
    return (int if "integer" in types else str), ""


def _read(name: str, schema: Mapping[str, Any], value: Any) -> Any:
    """KEY=VALUE and OUTER.KEY=VALUE as mappings; everything else as it is."""
    if _type(schema)[1] != "mapping":
        return value
    try:
        return pairs(value, nested(schema))
    except ValueError as error:
        # Without the value, which may be a password.
        message = f"{name}: {str(error)!r} is not allowed; allowed: {allowed(schema)}"
        raise LivchatError("INPUT_INVALID", message, {"field": name, "allowed": allowed(schema)}) from None


def _completion(schema: Mapping[str, Any]) -> Callable[[str], list[str]] | None:
    parts = (schema, schema.get("items", {}), *schema.get("anyOf", ()))
    wanted = next((one["x-complete"] for one in parts if "x-complete" in one), None)
    return {"server": _complete_server, "app": _complete_app, "job": _complete_job}.get(wanted or "")


def _complete_server(incomplete: str) -> list[str]:
    return [name for name in home.servers(home.path()) if name.startswith(incomplete)]


def _complete_app(incomplete: str) -> list[str]:
    from livchat_cli.catalog import names  # noqa: PLC0415  # it reads the definitions' folder

    return [name for name in names(home.path()) if name.startswith(incomplete)]


def _complete_job(incomplete: str) -> list[str]:
    from livchat_cli.jobs import Jobs  # noqa: PLC0415

    return [job["id"] for job in Jobs(home.path()).all() if job["id"].startswith(incomplete)]


def _listed(operation: Operation) -> Callable[..., None]:
    """A command as a list of commands shows it: the types of its parameters are slow to load, and not needed there."""

    def call() -> None:
        raise NotImplementedError(operation.name)

    call.__doc__ = f"{operation.summary}."
    return call


def build(words: Sequence[str] | None = None) -> typer.Typer:
    """The command line, whole, or with only those commands whole that `words` may name."""
    root = typer.Typer(
        no_args_is_help=True,
        # Plain help: Rich takes 150 ms to import.
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        help="From a bare VPS to running applications. Start with `livchat-setup init`.",
    )
    root.command()(init)
    root.command()(doctor)
    root.command()(start)
    export = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Folders for AWX and Semaphore.")
    export.command("awx")(export_awx)
    export.command("semaphore")(export_semaphore)
    root.add_typer(export, name="export")
    groups: dict[str, typer.Typer] = {}
    for name in dict.fromkeys([*_GROUPS, *(one.name.rpartition(".")[0] for one in OPERATIONS if "." in one.name)]):
        groups[name] = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=_GROUPS.get(name))
        root.add_typer(groups[name], name=name)
    groups["jobs"].command()(follow)
    for operation in OPERATIONS:
        group, _, verb = operation.name.rpartition(".")
        # What follows a command to run belongs to that command.
        settings = {"allow_interspersed_args": False} if operation.name == "exec" else {}
        whole = words is None or set(operation.name.split(".")) <= set(words)
        place = groups[group] if group else root
        place.command(verb, context_settings=settings)((_command if whole else _listed)(operation))
    return root


def follow(
    job: Annotated[str, typer.Argument(help="Identifier of the job.", autocompletion=_complete_job)],
    as_json: Json = False,
) -> None:
    """Follow a job from its beginning until it ends, and print its result.

    \b
    Examples:
      livchat-setup jobs follow 20260102T030405-a1b2c3
    """
    from livchat_cli.client import Client  # noqa: PLC0415
    from livchat_cli.display import Display  # noqa: PLC0415

    client = Client()
    operation = client.jobs.record(job)["operation"]
    # Who only looks on ends nothing with Ctrl-C.
    with Display(quiet=as_json and not console.interactive()) as display:
        result = client.wait(job, display)
    console.result(result, operation, as_json)


def doctor(as_json: Json = False) -> None:
    """Check this machine, the home, the tokens, the zone, the certificate authority and the servers."""
    from livchat_cli.doctor import Doctor  # noqa: PLC0415
    from livchat_cli.unlock import unlock  # noqa: PLC0415

    if console.interactive():
        unlock(home.path())
    found = Doctor(home.path()).examine()
    console.result(found, "doctor", as_json)
    raise typer.Exit(0 if found["healthy"] else 1)


def start(  # noqa: PLR0917  # options of a command line, none of them positional
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 for any that is free.", min=0, max=65535)] = 8000,
    tls_cert: Annotated[Path | None, typer.Option(help="PEM file of the certificate, and those it rests on.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM file of its private key.")] = None,
    behind_proxy: Annotated[
        bool, typer.Option("--behind-proxy", help="A proxy ends TLS, and nobody else reaches this port.")
    ] = False,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            help="Address or network of a proxy whose X-Forwarded-For holds; repeatable.",
            envvar="LIVCHAT_API_TRUSTED_PROXIES",
        ),
    ] = None,
    host_name: Annotated[
        list[str] | None, typer.Option(help="Name that clients call it by; repeatable.", envvar=HOST_NAMES)
    ] = None,
    drain: Annotated[
        bool, typer.Option("--drain", help="On a stop, wait for the jobs: for containers, which end with this process.")
    ] = False,
    dev: Annotated[
        bool, typer.Option("--dev", help="Start anew when the code changes, and describe the API at /docs.")
    ] = False,
) -> None:
    """Start the REST API. It listens on this machine alone, unless it has TLS or a proxy that does.

    \b
    Examples:
      livchat-setup start
      livchat-setup start --host 0.0.0.0 --tls-cert api.pem --tls-key api.key --host-name api.example.com
    """
    from livchat_cli.api.server import Options, serve  # noqa: PLC0415

    options = Options(
        host=host,
        port=port,
        tls_cert=tls_cert,
        tls_key=tls_key,
        behind_proxy=behind_proxy,
        trusted_proxies=tuple(trusted_proxy or ()),
        host_names=tuple(host_name or ()),
        drain=drain,
        dev=dev,
    )
    serve(home.path(), options)


def init(  # noqa: PLR0917  # options of a command line, none of them positional
    zone: Annotated[str | None, typer.Option(help="DNS zone, such as example.com.")] = None,
    acme_email: Annotated[str | None, typer.Option(help="Address at the certificate authority.")] = None,
    hetzner_token_file: Annotated[str | None, typer.Option(help="File of the token, instead of HCLOUD_TOKEN.")] = None,
    cloudflare_token_file: Annotated[
        str | None, typer.Option(help="File of the token, instead of CLOUDFLARE_API_TOKEN.")
    ] = None,
    vault_password_file: Annotated[
        str | None, typer.Option(help="File of the vault's password, made when absent; else the keyring is used.")
    ] = None,
    hetzner_endpoint: Annotated[str | None, typer.Option(help="Address of the Hetzner API.")] = None,
    dns_endpoint: Annotated[str | None, typer.Option(help="Address of the Cloudflare API.")] = None,
    dns_resolver: Annotated[list[str] | None, typer.Option(help="DNS server to ask; repeatable.")] = None,
    dns_provider: Annotated[str | None, typer.Option(help="Who has the DNS zone: cloudflare, or none.")] = None,
    acme_challenge: Annotated[str | None, typer.Option(help="dns-01 or http-01.")] = None,
    acme_server: Annotated[
        str | None, typer.Option(help="letsencrypt, letsencrypt-staging or the address of a directory.")
    ] = None,
    acme_ca_file: Annotated[str | None, typer.Option(help="PEM file that signs the ACME server's own HTTPS.")] = None,
    acme_root_file: Annotated[str | None, typer.Option(help="PEM file of the root of issued certificates.")] = None,
    registry_mirror: Annotated[list[str] | None, typer.Option(help="Mirror of Docker's registry; repeatable.")] = None,
    insecure_registry: Annotated[list[str] | None, typer.Option(help="Registry without TLS; repeatable.")] = None,
    docker_source: Annotated[str | None, typer.Option(help="docker or distribution.")] = None,
    stack_backend: Annotated[str | None, typer.Option(help="Who deploys stacks: docker or portainer.")] = None,
    non_interactive: Annotated[bool, typer.Option("--non-interactive", help="Ask nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Make ~/.livchat: settings, vault and tokens, each tried at once.

    Tokens come from HCLOUD_TOKEN and CLOUDFLARE_API_TOKEN, from files, or are asked for; never from the command line.

    \b
    Examples:
      livchat-setup init
      livchat-setup init --non-interactive --zone example.com --acme-email me@example.com
    """
    from livchat_cli.initialise import Answers, Initialiser  # noqa: PLC0415

    answers = Answers(
        settings={
            "dns.zone": zone,
            "acme.email": acme_email,
            "providers.hetzner.api_endpoint": hetzner_endpoint,
            "dns.provider": dns_provider,
            "dns.api_endpoint": dns_endpoint,
            "acme.challenge": acme_challenge,
            "dns.resolvers": dns_resolver,
            "acme.server": acme_server,
            "acme.ca_file": acme_ca_file,
            "acme.root_file": acme_root_file,
            "docker.registry_mirrors": registry_mirror,
            "docker.insecure_registries": insecure_registry,
            "docker.source": docker_source,
            "general.stack_backend": stack_backend,
        },
        token_files={"hetzner": hetzner_token_file, "cloudflare": cloudflare_token_file},
        vault_password_file=vault_password_file,
    )
    asking = not non_interactive and console.interactive()
    console.result(Initialiser(home.path(), answers, asking).run(), "init", as_json)


Folder = Annotated[str, typer.Option("--to", help="Folder to write, made when absent.")]
Repository = Annotated[
    str, typer.Option(help="Address of the git repository that the folder is going to be the top of.")
]
Branch = Annotated[str, typer.Option(help="Branch of that repository.")]
LastingHome = Annotated[
    str, typer.Option("--home", help="Directory where jobs find state, vault and keys; it has to last.")
]

Collection = Annotated[
    str,
    typer.Option(
        "--collection",
        metavar="SOURCE",
        help="Where jobs get the collection: a name on Galaxy, git+https://…, or a tarball; this version from Galaxy "
        "when not given.",
    ),
]


def export_awx(  # noqa: PLR0917  # options of a command line, none of them positional
    to: Folder,
    repository: Repository,
    image: Annotated[str, typer.Option(help="The execution environment, as a container image.")],
    branch: Branch = "main",
    lasting_home: LastingHome = "/var/lib/livchat",
    collection: Collection = "",
    organization: Annotated[str, typer.Option(help="Organization in AWX.")] = "Default",
    as_json: Json = False,
) -> None:
    """Write playbooks, surveys and all around them for AWX.

    \b
    Examples:
      livchat-setup export awx --to ops --repository https://git.example.com/ops.git --image example.com/livchat-ee:1
    """
    _export(
        "awx",
        to,
        as_json,
        repository=repository,
        branch=branch,
        home=lasting_home,
        collection=collection,
        organization=organization,
        image=image,
    )


def export_semaphore(  # noqa: PLR0917  # as above
    to: Folder,
    repository: Repository,
    branch: Branch = "main",
    lasting_home: LastingHome = "/var/lib/livchat",
    collection: Collection = "",
    project: Annotated[str, typer.Option(help="Name of the project in Semaphore.")] = "livchat.setup",
    as_json: Json = False,
) -> None:
    """Write playbooks, surveys and all around them for Semaphore.

    \b
    Examples:
      livchat-setup export semaphore --to ops --repository https://git.example.com/ops.git
    """
    _export(
        "semaphore",
        to,
        as_json,
        repository=repository,
        branch=branch,
        home=lasting_home,
        collection=collection,
        project=project,
    )


def _export(target: str, to: str, as_json: bool, **choices: str) -> None:
    from livchat_cli.export.choices import Choices  # noqa: PLC0415  # it reads every operation's parameters
    from livchat_cli.export.folder import export  # noqa: PLC0415

    found = export(target, Path(to).expanduser().absolute(), Choices(**choices), home.path())
    console.result(found, f"export.{target}", as_json)
