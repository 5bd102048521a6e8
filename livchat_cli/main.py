"""The commands. Each is an operation of `operations.py`; `init` and the catalogue are the machine's own affair."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from livchat_cli.exits import BAD_INPUT, FAILED, INTERRUPTED, REFUSED, OperationError

app = typer.Typer(no_args_is_help=True, help="From a bare VPS to running applications.", pretty_exceptions_enable=False)
server = typer.Typer(no_args_is_help=True, help="Servers: create, set up, list, destroy.")
apps = typer.Typer(no_args_is_help=True, help="Applications: plan, install, list, uninstall.")
catalog = typer.Typer(no_args_is_help=True, help="What can be installed.")
app.add_typer(server, name="server")
app.add_typer(apps, name="app")
app.add_typer(catalog, name="catalog")

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Target = Annotated[str, typer.Option("--target", "-t", help="Servers, separated by commas.")]
AnyTarget = Annotated[str, typer.Option("--target", "-t", help="Servers; all when left out.")]


def finish(work: Callable[[Callable[[str], None]], Any], as_json: bool) -> None:
    """Does the work, prints its result or its error, and ends with the exit code that belongs to it."""

    shown = ""

    def say(text: str) -> None:
        nonlocal shown
        if text != shown:
            print(f"  {text}", file=sys.stderr, flush=True)
        shown = text

    try:
        result = work(say)
    except OperationError as error:
        if as_json:
            print(json.dumps(error.error))
        else:
            print(f"{error.error['code']}: {error.error['message']}", file=sys.stderr)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        print(json.dumps(result))
    else:
        from livchat_cli.show import show  # noqa: PLC0415  # Rich is slow to import

        show(result)


def run(name: str, values: dict[str, Any], as_json: bool) -> None:
    """Runs an operation with these parameters."""

    def work(say: Callable[[str], None]) -> Any:
        from pydantic import ValidationError  # noqa: PLC0415

        from livchat_cli import home  # noqa: PLC0415
        from livchat_cli.errors import LivchatError  # noqa: PLC0415
        from livchat_cli.operations import OPERATIONS  # noqa: PLC0415
        from livchat_cli.runner import Job  # noqa: PLC0415

        operation = OPERATIONS[name]
        try:
            extra_vars = operation.extra_vars(values)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"]))
            message = f"{field}: {first.get('input')!r}: {first['msg']}"
            raise OperationError("INPUT_INVALID", message, {"field": field}, BAD_INPUT) from error
        job = Job(home.path(), name, lambda step: say(f"{step.host}: {step.role or name}: {step.task}"))
        try:
            return job.run(f"livchat.setup.{operation.playbook}", extra_vars)
        except LivchatError as error:
            code = INTERRUPTED if error.code == "INTERRUPTED" else FAILED
            raise OperationError(error.code, error.message, error.details, code) from error

    finish(work, as_json)


@app.command()
def init(  # noqa: PLR0917  # options of a command line, none of them positional
    zone: Annotated[str, typer.Option(help="DNS zone, example.com.")] = "",
    acme_email: Annotated[str, typer.Option(help="Address at the certificate authority.")] = "",
    hetzner_endpoint: Annotated[str, typer.Option(help="Address of the Hetzner API.")] = "",
    dns_endpoint: Annotated[str, typer.Option(help="Address of the Cloudflare API.")] = "",
    dns_resolver: Annotated[list[str] | None, typer.Option(help="DNS server to ask; repeatable.")] = None,
    acme_server: Annotated[str, typer.Option(help="letsencrypt, letsencrypt-staging or an address.")] = "",
    acme_ca_file: Annotated[str, typer.Option(help="PEM file that signs the ACME server's HTTPS.")] = "",
    acme_root_file: Annotated[str, typer.Option(help="PEM file that signs issued certificates.")] = "",
    registry_mirror: Annotated[list[str] | None, typer.Option(help="Mirror of Docker's registry; repeatable.")] = None,
    insecure_registry: Annotated[list[str] | None, typer.Option(help="Registry without TLS; repeatable.")] = None,
    docker_source: Annotated[str, typer.Option(help="docker or distribution.")] = "",
    vault_password_file: Annotated[str, typer.Option(help="File of the master password; made when absent.")] = "",
    non_interactive: Annotated[bool, typer.Option("--non-interactive", help="Ask nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Make ~/.livchat: settings, vault and tokens (from HCLOUD_TOKEN and CLOUDFLARE_API_TOKEN, or asked for)."""
    tokens = {"hetzner": os.environ.get("HCLOUD_TOKEN", ""), "cloudflare": os.environ.get("CLOUDFLARE_API_TOKEN", "")}
    if not non_interactive:
        for name, title in (("hetzner", "Hetzner Cloud"), ("cloudflare", "Cloudflare")):
            tokens[name] = tokens[name] or typer.prompt(f"{title} API token", hide_input=True, default="")
        zone = zone or typer.prompt("DNS zone", default="")
        acme_email = acme_email or typer.prompt("E-mail address for certificates", default="")
    settings = {
        "providers.hetzner.api_endpoint": hetzner_endpoint,
        "dns.zone": zone,
        "dns.api_endpoint": dns_endpoint,
        "dns.resolvers": dns_resolver or [],
        "acme.email": acme_email,
        "acme.server": acme_server,
        "acme.ca_file": acme_ca_file,
        "acme.root_file": acme_root_file,
        "docker.registry_mirrors": registry_mirror or [],
        "docker.insecure_registries": insecure_registry or [],
        "docker.source": docker_source,
    }

    def work(_: Callable[[str], None]) -> Any:
        from livchat_cli import setup_home  # noqa: PLC0415

        return setup_home.init(settings, tokens, vault_password_file)

    finish(work, as_json)


@server.command("create")
def server_create(  # noqa: PLR0917  # options of a command line
    name: str,
    domain: Annotated[str, typer.Option(help="Base domain of the server.")],
    server_type: Annotated[str, typer.Option(help="Type, such as cx23.")] = "",
    location: Annotated[str, typer.Option(help="Location, such as nbg1.")] = "",
    image: Annotated[str, typer.Option(help="Image, such as debian-13.")] = "",
    as_json: Json = False,
) -> None:
    """Create a server at Hetzner. Example: server create prod --domain prod.example.com"""
    values = {"name": name, "domain": domain, "server_type": server_type, "location": location, "image": image}
    run("server.create", values, as_json)


@server.command("setup")
def server_setup(target: str, as_json: Json = False) -> None:
    """Harden servers and install Docker Swarm, Traefik and Portainer. Example: server setup prod"""
    run("server.setup", {"target": target}, as_json)


@server.command("list")
def server_list(as_json: Json = False) -> None:
    """List servers."""
    run("server.list", {}, as_json)


@server.command("destroy")
def server_destroy(name: str, yes: Yes = False, as_json: Json = False) -> None:
    """Destroy a server with all its data. Asks for the name."""
    confirm("server.destroy", {"name": name, "confirm_name": name}, name, yes, as_json)


def confirm(operation: str, values: dict[str, Any], name: str, yes: bool, as_json: bool) -> None:
    """Runs a destroying operation once its object's name was typed."""
    if not yes:
        typed = typer.prompt(f"This destroys {name} and its data for ever. Type its name to go on", default="")
        if typed != name:
            print("REFUSED: the name was not typed; nothing was done", file=sys.stderr)
            raise typer.Exit(REFUSED)
    run(operation, values, as_json)


@apps.command("install")
def app_install(names: list[str], target: Target, yes: Yes = False, as_json: Json = False) -> None:
    """Install apps with all they depend on. Example: app install n8n --target prod"""
    run("app.install", {"apps": names, "target": target}, as_json)


@apps.command("plan")
def app_plan(names: list[str], target: Target, as_json: Json = False) -> None:
    """Show what an installation would do, and do nothing."""
    run("app.plan", {"apps": names, "target": target}, as_json)


@apps.command("list")
def app_list(target: AnyTarget = "livchat", as_json: Json = False) -> None:
    """List installed apps, as the servers tell."""
    run("app.list", {"target": target}, as_json)


@apps.command("uninstall")
def app_uninstall(
    instance: str,
    target: Target,
    drop_data: Annotated[bool, typer.Option("--drop-data", help="Remove its databases too.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Remove an app. Its data stays unless --drop-data is given."""
    confirm("app.uninstall", {"instance": instance, "target": target, "drop_data": drop_data}, instance, yes, as_json)


@app.command()
def status(target: AnyTarget = "livchat", as_json: Json = False) -> None:
    """Servers and what runs on them, read from the servers themselves."""
    run("status", {"target": target}, as_json)


@app.command()
def logs(
    instance: str,
    target: Target,
    service: Annotated[str, typer.Option(help="One service of the app.")] = "",
    lines: Annotated[int, typer.Option(help="Lines of each service.")] = 100,
    as_json: Json = False,
) -> None:
    """Logs of an app. Example: logs n8n --target prod --service worker"""
    run("logs", {"instance": instance, "target": target, "service": service, "lines": lines}, as_json)


@app.command("exec", context_settings={"ignore_unknown_options": True})
def exec_(target: Target, command: list[str], as_json: Json = False) -> None:
    """Run a command on servers, without a shell. Example: exec --target prod -- df -h"""
    run("exec", {"target": target, "command": command}, as_json)


def _catalog() -> Any:
    """The catalogue on this machine. It is data of ours, so no playbook is needed to read it."""
    from livchat_cli import collection, home  # noqa: PLC0415

    collection.importable()
    from ansible_collections.livchat.setup.plugins.plugin_utils._catalog import Catalog  # noqa: PLC0415

    return Catalog([str(home.path() / "apps")])


@catalog.command("list")
def catalog_list(as_json: Json = False) -> None:
    """List the apps that can be installed."""

    def work(_: Callable[[str], None]) -> Any:
        found = _catalog()
        fields = ("name", "title", "version", "category", "description")
        return [{field: found.get(name)[field] for field in fields} for name in found.names()]

    finish(work, as_json)


@catalog.command("order")
def catalog_order(names: list[str], as_json: Json = False) -> None:
    """Show what is installed before what. Example: catalog order n8n wordpress"""

    def work(_: Callable[[str], None]) -> Any:
        found = _catalog()
        from ansible_collections.livchat.setup.plugins.module_utils._errors import LivchatError  # noqa: PLC0415
        from ansible_collections.livchat.setup.plugins.plugin_utils._resolver import order  # noqa: PLC0415

        try:
            return order(names, found)
        except LivchatError as error:
            raise OperationError(error.code, error.message, error.details, BAD_INPUT) from error

    finish(work, as_json)


def main() -> None:
    app()
