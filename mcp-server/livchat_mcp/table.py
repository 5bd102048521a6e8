"""Which tool carries out which operations, and what clients are told of each kind of tool."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from enum import StrEnum

from mcp.types import ToolAnnotations

from livchat_cli.operations import Effect, Operation, Scope

# At most twenty with REST: with more, models choose badly, and clients cut the list.
# Patterns of operations' names. An operation that is declared later finds its tool here, or in REST.
NAMED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("listar-servidores", ("server.list", "server.show")),
    ("criar-servidor", ("server.create",)),
    ("adotar-servidor", ("server.adopt",)),
    ("preparar-servidor", ("server.setup",)),
    ("destruir-servidor", ("server.destroy",)),
    ("catalogo", ("catalog.*",)),
    ("planejar-instalacao", ("app.plan",)),
    ("instalar-app", ("app.install",)),
    ("atualizar-app", ("app.update",)),
    ("reverter-app", ("app.rollback",)),
    ("desinstalar-app", ("app.uninstall",)),
    ("listar-apps", ("app.list",)),
    ("configurar-dns", ("dns.*",)),
    ("backup-servidor", ("server.backup", "backup.*")),
    ("verificar-status", ("status",)),
    ("ver-logs", ("logs",)),
    ("executar-comando", ("exec",)),
    ("trabalhos", ("jobs.list", "jobs.show", "jobs.log")),
    ("cancelar-trabalho", ("jobs.cancel",)),
)
# The tool for every operation that no pattern names.
REST = "operacao"


class Kind(StrEnum):
    """Kinds of tools, from the most harmless to the one to be most careful with."""

    READ = "read"
    WRITE = "write"
    # It makes something more each time.
    REPEATED = "repeated"
    DESTROY = "destroy"
    # It ends something, and what it makes is another one each time.
    REPLACE = "replace"
    # It may do anything, and nobody knows what.
    COMMAND = "command"


# Operations that change more, or change it again, than their effect says.
_KINDS = {
    "dns.set": Kind.DESTROY,  # other values of the name are gone, and with `adopt` what others made
    "jobs.cancel": Kind.DESTROY,
    "token.create": Kind.REPEATED,
    "token.revoke": Kind.DESTROY,
    "token.rotate": Kind.REPLACE,
}

# Hints that the protocol assumes anyway are left out: each is paid for in every conversation.
ANNOTATIONS: dict[Kind, ToolAnnotations] = {
    Kind.READ: ToolAnnotations(read_only_hint=True),
    Kind.WRITE: ToolAnnotations(destructive_hint=False, idempotent_hint=True),
    Kind.REPEATED: ToolAnnotations(destructive_hint=False),
    Kind.DESTROY: ToolAnnotations(destructive_hint=True, idempotent_hint=True),
    Kind.REPLACE: ToolAnnotations(destructive_hint=True),
    Kind.COMMAND: ToolAnnotations(destructive_hint=True),
}


def kind(operations: Iterable[Operation]) -> Kind:
    """The kind of a tool that does all of these: of each hint the one that asks for most care."""
    order, found = list(Kind), {_kind(one) for one in operations}
    if {Kind.DESTROY, Kind.REPEATED} <= found:
        found.add(Kind.REPLACE)
    return max(found, key=order.index)


def _kind(operation: Operation) -> Kind:
    if operation.scope is Scope.EXEC:
        return Kind.COMMAND
    return _KINDS.get(operation.name) or Kind(operation.effect.value)


def tool_of(operation: Operation) -> str:
    """The name of the tool that carries the operation out: every operation has one."""
    for tool, patterns in NAMED:
        if any(fnmatch.fnmatchcase(operation.name, one) for one in patterns):
            return tool
    return REST


def check() -> None:
    """Raises RuntimeError when a kind of tool has no annotations: the gateway does not start then."""
    missing = {Kind(effect.value) for effect in Effect} | set(Kind)
    if missing := missing - set(ANNOTATIONS):
        raise RuntimeError(f"tools of these kinds have no annotations: {', '.join(sorted(missing))}")
