"""What a person may mean, while they type: names of servers, applications, jobs and operations."""

from __future__ import annotations

from mcp import types

from livchat_cli.errors import LivchatError
from livchat_cli.operations import Operation
from livchat_mcp.backend import Backend, Index

# The protocol allows a hundred.
_MOST = 100


def complete(
    backend: Backend, permitted: dict[str, Operation], reference: types.CompleteRequestParams
) -> types.Completion:
    """Names for an argument of a prompt or of a resource's address; none for one that nobody knows the names of."""
    begun = reference.argument.value
    try:
        names = _names(backend, permitted, reference)
    except LivchatError:
        # Nothing to propose is better than an error while somebody types.
        names = []
    found = sorted(name for name in set(names) if name.startswith(begun))
    return types.Completion(values=found[:_MOST], total=len(found), has_more=len(found) > _MOST)


def _names(backend: Backend, permitted: dict[str, Operation], reference: types.CompleteRequestParams) -> list[str]:
    kind = reference.argument.name
    server = ((reference.context.arguments if reference.context else None) or {}).get("servidor")
    if kind == "operacao":
        return list(permitted)
    if kind == "job" and "jobs.list" in permitted:
        return [one["id"] for one in backend.call(permitted["jobs.list"], {}, "")]
    if "server.list" not in permitted:
        index = Index()
    elif kind == "app":
        index = backend.index({server}) if server else Index()
    else:
        index = backend.index(applications=False)
    if kind == "servidor":
        return list(index.servers)
    if kind == "dominio":
        return [str((one.get("metadata") or {}).get("domain") or "") for one in index.servers.values()]
    if kind == "app":
        # Installed ones on the server that was chosen already, else all that can be installed.
        if server:
            return list(index.on(server))
        if "catalog.list" in permitted:
            return [one["name"] for one in backend.call(permitted["catalog.list"], {}, "")]
    return []
