"""The command `livchat-mcp`: speaks MCP on stdin and stdout, or over HTTP; and lets a person approve a plan."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import anyio
from mcp.server.stdio import stdio_server

from livchat_cli import home
from livchat_cli.access import Principal, local
from livchat_cli.api.server import Options as Listen
from livchat_cli.errors import LivchatError, exit_code
from livchat_cli.operations import OPERATIONS
from livchat_mcp import __version__, http
from livchat_mcp.backend import Backend
from livchat_mcp.backend_local import LocalBackend, VaultSecrets
from livchat_mcp.backend_remote import RemoteBackend
from livchat_mcp.clean import Cleaner
from livchat_mcp.gateway import Gateway, QuietFormatter
from livchat_mcp.options import COMMAND_TIMEOUT, Options
from livchat_mcp.plans import Plans
from livchat_mcp.table import tool_of
from livchat_mcp.texts import Texts

DEFAULT = f"127.0.0.1:{http.PORT}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; its exit codes are those of `livchat-setup`."""
    given = _parser().parse_args(arguments)
    place = home.path()
    try:
        if given.command == "approve":
            return approve(place, given.plan, Texts(given.lang))
        serve(place, _options(given), _listen(given) if given.http else None, given.allowed_origin)
    except LivchatError as error:
        print(f"livchat-mcp: {error}", file=sys.stderr)
        return exit_code(error)
    except KeyboardInterrupt:
        pass
    return 0


def serve(place: Path, options: Options, listen: Listen | None, origins: Sequence[str] = ()) -> None:
    """Serves until whoever started it leaves, or it is told to stop."""
    backend = _backend(place)
    secrets = VaultSecrets(place)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(QuietFormatter(Cleaner(secrets)))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    if listen:
        gateway = Gateway(place, options, backend=backend, secrets=secrets, who=http.caller)
        http.serve(gateway.server(), place, listen, origins)
        return
    # So that the audit log tells what a model did from what its person did by hand.
    me = replace(local(), name=f"mcp:{local().name}")
    server = Gateway(place, options, backend=backend, secrets=secrets, who=lambda _context: me).server()

    async def run() -> None:
        async with stdio_server() as (reading, writing):
            await server.run(reading, writing, server.create_initialization_options())

    anyio.run(run)


def approve(place: Path, plan_id: str, texts: Texts) -> int:
    """Shows a plan to the person at the terminal, who types the name to approve it."""
    plans = Plans(place, texts)
    plan = plans.shown(plan_id)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise LivchatError("APPROVAL_REQUIRED", "only a person at a terminal can approve a plan")
    print(texts("ask", lines="\n".join(plan.lines), name=plan.name))
    if input("> ").strip() != plan.name:
        raise LivchatError("CONFIRMATION_MISMATCH", texts("mistyped"))
    plans.approve(plan_id)
    return 0


def _backend(place: Path) -> Callable[[Principal], Backend]:
    """Operations are carried out here, or by the API that the environment names."""
    if url := os.environ.get("LIVCHAT_API_URL"):
        return RemoteBackend(url, os.environ.get("LIVCHAT_API_TOKEN", "")).of
    return lambda principal: LocalBackend(place, principal)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="livchat-mcp", description=__doc__)
    parser.add_argument("--version", action="version", version=f"livchat-mcp {__version__}")
    parser.add_argument("--lang", choices=["pt", "en"], default="pt", help="language of descriptions (default: pt)")
    what = parser.add_argument_group("what it may do")
    what.add_argument("--read-only", action="store_true", help="nothing that changes anything; beats all else")
    what.add_argument("--no-destructive", action="store_true", help="nothing that destroys, and no commands")
    what.add_argument(
        "--allow", action="append", default=[], metavar="NAME", help="only this tool; repeatable, * matches"
    )
    what.add_argument(
        "--deny", action="append", default=[], metavar="NAME", help="not this tool; repeatable, * matches"
    )
    what.add_argument("--commands", action="store_true", help="let commands be run on servers (executar-comando)")
    what.add_argument("--command-timeout", type=_seconds, default=COMMAND_TIMEOUT, metavar="SECONDS")
    net = parser.add_argument_group("over HTTP, with a token of `livchat-setup token create`")
    net.add_argument("--http", nargs="?", const=DEFAULT, metavar="ADDRESS:PORT", help=f"without one: {DEFAULT}")
    net.add_argument("--host-name", action="append", default=[], metavar="NAME", help="a name it goes by; repeatable")
    net.add_argument("--allowed-origin", action="append", default=[], metavar="URL", help="a web page that may call it")
    net.add_argument("--tls-cert", type=Path, metavar="FILE")
    net.add_argument("--tls-key", type=Path, metavar="FILE")
    net.add_argument("--behind-proxy", action="store_true", help="a proxy ends TLS, and nobody else reaches the port")
    commands = parser.add_subparsers(dest="command", metavar="")
    approving = commands.add_parser("approve", help="approve a plan, as a person at a terminal")
    approving.add_argument("plan", metavar="PLAN")
    return parser


def _options(given: argparse.Namespace) -> Options:
    names = {name for one in OPERATIONS for name in (one.name, tool_of(one))}
    for name in (*given.allow, *given.deny):
        if "*" not in name and name not in names:
            message = f"there is no tool {name!r}; there are: {', '.join(sorted(names))}"
            raise LivchatError("INPUT_INVALID", message, {"name": name})
    return Options(
        language=given.lang,
        read_only=given.read_only,
        no_destructive=given.no_destructive,
        allow=tuple(given.allow),
        deny=tuple(given.deny),
        commands=given.commands,
        command_timeout=given.command_timeout,
    )


def _listen(given: argparse.Namespace) -> Listen:
    host, colon, port = given.http.rpartition(":")
    if not colon or not port.isdigit():
        raise LivchatError("INPUT_INVALID", f"--http: {given.http!r} is no ADDRESS:PORT, such as {DEFAULT}")
    return Listen(
        host=host.strip("[]"),
        port=int(port),
        tls_cert=given.tls_cert,
        tls_key=given.tls_key,
        behind_proxy=given.behind_proxy,
        host_names=tuple(given.host_name),
    )


def _seconds(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 3600:
        raise argparse.ArgumentTypeError("from 1 to 3600")
    return int(text)
