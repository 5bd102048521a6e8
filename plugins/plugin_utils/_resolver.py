# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""What must be installed before what: pure functions over definitions."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ..module_utils._errors import LivchatError
from ._catalog import Catalog, Definition

INSTANCE = re.compile(r"[a-z][a-z0-9-]{0,40}")


@dataclasses.dataclass(frozen=True)
class Instance:
    """An app under a name of its own on a server, and the instances that serve its dependencies, by app."""

    name: str
    app: str
    definition: Definition
    providers: dict[str, str]


def parse(requests: str | t.Sequence[str]) -> list[tuple[str, str]]:
    """`n8n, n8n:cliente1` as [(app, instance name)]; the first instance is named like its app, another n8n-cliente1.

    Raises:
        LivchatError: REQUEST_INVALID, for a name that is none.
    """
    allowed = "`app` or `app:instance`, each a lower case letter, then letters, digits or dashes, together 41 at most"
    words = requests.replace(",", " ").split() if isinstance(requests, str) else requests
    if not isinstance(words, (list, tuple)) or not words:
        raise LivchatError("REQUEST_INVALID", f"apps: name at least one; allowed: {allowed}", {"value": words})
    parsed: list[tuple[str, str]] = []
    for word in words:
        app, _colon, suffix = str(word).partition(":")
        name = f"{app}-{suffix}" if ":" in str(word) else app
        if not INSTANCE.fullmatch(app) or not INSTANCE.fullmatch(name) or name.endswith("-"):
            raise LivchatError("REQUEST_INVALID", f"apps: {word!r} is no app; allowed: {allowed}", {"value": word})
        if (app, name) not in parsed:
            parsed.append((app, name))
    return parsed


def instance_of(app: str, name: str, catalog: Catalog) -> Instance:
    """One instance under its name, without what it depends on. Raises LivchatError APP_UNKNOWN, DEFINITION_INVALID."""
    definition = catalog.get(app)
    providers = {one["app"]: _provider(name, one) for one in definition.get("dependencies", [])}
    return Instance(name, app, definition, providers)


def _provider(name: str, dependency: dict[str, t.Any]) -> str:
    """The instance that serves a dependency: one for all of the server, or one of its own."""
    app = str(dependency["app"])
    return f"{name}-{app}" if dependency.get("dedicated") else app


def levels(requests: str | t.Sequence[str], catalog: Catalog) -> list[list[Instance]]:
    """The instances to install, in levels: each needs only what stands in levels before it.

    Raises:
        LivchatError: APP_UNKNOWN, INSTANCE_CONFLICT, DEPENDENCY_CYCLE, DEPENDENCY_VERSION or DEPENDENCY_CAPABILITY;
            for what a dependency brings in, with the path that leads there.
    """
    ordered: dict[str, Instance] = {}
    depth: dict[str, int] = {}

    def visit(app: str, name: str, above: tuple[tuple[str, str], ...], wanted: dict[str, t.Any]) -> int:
        path = [one for _app, one in above]
        trail = (*path, name)
        # By app, not by name: a dedicated dependency has a new name at every turn of a cycle.
        if app in {one for one, _name in above}:
            message = f"these need each other: {' -> '.join(trail)}"
            raise LivchatError("DEPENDENCY_CYCLE", message, {"path": list(trail)})
        if not INSTANCE.fullmatch(name):
            message = f"{' -> '.join(trail)}: {name} is no name for an instance: 41 characters are allowed"
            raise LivchatError("REQUEST_INVALID", message, {"path": list(trail)})
        try:
            definition = catalog.get(app)
        except LivchatError as error:
            if not path:
                raise
            raise LivchatError(error.code, f"{error.message} ({' -> '.join(trail)})", error.details) from error
        _satisfies(definition, wanted, trail)
        if name in depth:
            if ordered[name].app != app:
                message = f"{' -> '.join(trail)}: {name} is an instance of {ordered[name].app} already, not of {app}"
                raise LivchatError("INSTANCE_CONFLICT", message, {"path": list(trail)})
            return depth[name]
        below = 0
        for dependency in definition.get("dependencies", []):
            provider = _provider(name, dependency)
            below = max(below, 1 + visit(dependency["app"], provider, (*above, (app, name)), dependency))
        depth[name] = below
        ordered[name] = instance_of(app, name, catalog)
        return below

    for app, name in parse(requests):
        visit(app, name, (), {})
    result: list[list[Instance]] = [[] for _level in range(1 + max(depth.values(), default=-1))]
    for name, instance in ordered.items():
        result[depth[name]].append(instance)
    return result


def order(requests: str | t.Sequence[str], catalog: Catalog) -> list[str]:
    """The instances' names in the order of installation."""
    return [instance.name for level in levels(requests, catalog) for instance in level]


def _satisfies(definition: Definition, wanted: dict[str, t.Any], trail: tuple[str, ...]) -> None:
    path = " -> ".join(trail)
    constraint = wanted.get("version")
    if constraint and not version_matches(str(definition["version"]), constraint):
        message = f"{path}: needs {definition['name']} {constraint}; the catalogue has {definition['version']}"
        raise LivchatError("DEPENDENCY_VERSION", message, {"path": list(trail)})
    offered = definition.get("provides", {}).get("extensions", [])
    if missing := [one for one in wanted.get("extensions", []) if one not in offered]:
        message = f"{path}: {definition['name']} has no {', '.join(missing)}; it has: {', '.join(offered) or 'nothing'}"
        raise LivchatError("DEPENDENCY_CAPABILITY", message, {"path": list(trail), "missing": missing})


_COMPARE: dict[str, t.Callable[[t.Any, t.Any], bool]] = {
    ">=": lambda one, other: one >= other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    "<": lambda one, other: one < other,
    "==": lambda one, other: one[: len(other)] == other,
}


def version_matches(version: str, constraint: str) -> bool:
    """Whether 17.2 satisfies `>=15, <18`."""
    numbers = _numbers(version)
    for part in constraint.split(","):
        match = re.fullmatch(r"\s*(>=|<=|==|>|<)?\s*([0-9][0-9.]*)\s*", part)
        if not match:
            raise LivchatError("DEFINITION_INVALID", f"version {part!r} is no constraint such as '>=15, <18'")
        other = _numbers(match[2])
        width = max(len(numbers), len(other))
        one = numbers if match[1] in ("==", None) else numbers + (0,) * (width - len(numbers))
        two = other if match[1] in ("==", None) else other + (0,) * (width - len(other))
        if not _COMPARE[match[1] or "=="](one, two):
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"[0-9]+", version.split("-", 1)[0]))
