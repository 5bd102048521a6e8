# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""App definitions: read from the collection and from the operator's home, checked against the schema."""

from __future__ import annotations

import difflib
import functools
import graphlib
import json
import os
import re
import typing as t

import yaml

from ..module_utils._errors import LivchatError

ROOT = os.path.join(os.path.dirname(__file__), "..", "..", "apps")
Definition = t.Dict[str, t.Any]
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLACEHOLDER = re.compile(r"\$(?:\$|\{([a-z0-9_.-]+)\})")


class Catalog:
    """The definitions in some folders; a later folder's definition replaces an earlier one's of the same name.

    >>> Catalog().get("n8n")["category"]
    'automation'
    """

    def __init__(self, folders: list[str] | None = None) -> None:
        self._folders = [os.path.join(ROOT, "definitions"), *(folders or [])]
        self._read: dict[str, Definition] = {}

    @functools.cached_property
    def _files(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for folder in self._folders:
            here: dict[str, str] = {}
            for place, _folders, names in sorted(os.walk(folder)):
                for name in sorted(names):
                    stem, extension = os.path.splitext(name)
                    if extension not in (".yml", ".yaml"):
                        continue
                    path = os.path.normpath(os.path.join(place, name))
                    if stem in here:
                        message = f"{path}: {stem} is defined by {here[stem]} already"
                        raise LivchatError("DEFINITION_INVALID", message, {"file": path})
                    here[stem] = path
            found.update(here)
        return found

    def names(self) -> list[str]:
        return sorted(self._files)

    def file(self, name: str) -> str:
        """Where the app's definition stands. Raises LivchatError APP_UNKNOWN."""
        if name not in self._files:
            near = difflib.get_close_matches(name, self._files, 1)
            hint = f" Did you mean {near[0]}?" if near else f" There are: {', '.join(self.names())}."
            raise LivchatError("APP_UNKNOWN", f"there is no app {name!r} in the catalogue.{hint}", {"app": name})
        return self._files[name]

    def get(self, name: str) -> Definition:
        """The definition of an app.

        Raises:
            LivchatError: APP_UNKNOWN, or DEFINITION_INVALID naming the file, the place in it and what is allowed there.
        """
        if name not in self._read:
            path = self.file(name)
            definition = _loaded(path)
            check(definition, path)
            if definition["name"] != name:
                message = f"{path}: name: it is {definition['name']!r}, but the file is called {name}"
                raise LivchatError("DEFINITION_INVALID", message, {"file": path, "path": "name"})
            self._read[name] = definition
        return self._read[name]

    def info(self) -> list[dict[str, t.Any]]:
        """What a person choosing an app wants to know of each, by category and name."""
        apps = [
            {
                **{key: one[key] for key in ("name", "title", "description", "category", "homepage", "license")},
                "version": str(one["version"]),
                "dependencies": [dependency["app"] for dependency in one.get("dependencies", [])],
                "requirements": one["requirements"],
                "domains": sorted(one.get("domains", {})),
                "variables": one.get("variables", {}),
            }
            for one in map(self.get, self.names())
        ]
        return sorted(apps, key=lambda one: (one["category"], one["name"]))

    @functools.cached_property
    def overview(self) -> dict[str, t.Any]:
        """apps/catalog.yml: titles of the categories, the infrastructure, and the bundles."""
        return _loaded(os.path.join(ROOT, "catalog.yml"))

    def bundle(self, name: str) -> list[str]:
        """The apps of a bundle. Raises LivchatError BUNDLE_UNKNOWN."""
        bundles = self.overview["bundles"]
        if name not in bundles:
            message = f"there is no bundle {name!r}; there are: {', '.join(sorted(bundles))}"
            raise LivchatError("BUNDLE_UNKNOWN", message, {"bundle": name})
        return list(bundles[name]["apps"])


def _loaded(path: str) -> Definition:
    try:
        with open(path, encoding="utf-8") as handle:
            definition = yaml.load(handle, Loader=_Loader)  # noqa: S506  # a safe loader, the one written in C
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        message = f"{path}: {' '.join(str(error).split())}"
        raise LivchatError("DEFINITION_INVALID", message, {"file": path}) from error
    if not isinstance(definition, dict):
        message = f"{path}: the file: it must hold an object with name, version, services …"
        raise LivchatError("DEFINITION_INVALID", message, {"file": path, "path": "the file"})
    return definition


@functools.lru_cache(maxsize=1)
def _validator() -> t.Any:
    # Importing jsonschema costs 60 ms, which those who only list names need not pay.
    import jsonschema  # noqa: PLC0415

    with open(os.path.join(ROOT, "app.schema.json"), encoding="utf-8") as handle:
        return jsonschema.Draft202012Validator(json.load(handle))


def check(definition: t.Any, path: str) -> None:
    """Raises LivchatError DEFINITION_INVALID for the first thing that is not allowed.

    The schema says what may stand where; this adds what a schema cannot say: that what is named exists.
    """
    errors = sorted(_validator().iter_errors(definition), key=lambda error: list(map(str, error.absolute_path)))
    if errors:
        place = ".".join(str(part) for part in errors[0].absolute_path) or "the file"
        raise _invalid(path, place, _said(errors[0]))
    for place, name, known in _references(definition):
        if name not in known:
            raise _invalid(path, place, f"{name!r} is unknown; there are: {', '.join(sorted(known)) or 'none'}")
    try:
        phases(definition)
    except graphlib.CycleError as error:
        raise _invalid(path, "services", f"after: {' -> '.join(error.args[1])} go round in a circle") from error


def phases(definition: Definition) -> list[list[str]]:
    """The services in the order a deploy starts them: each phase when the one before is healthy."""
    sorter = graphlib.TopologicalSorter({name: one.get("after", []) for name, one in definition["services"].items()})
    sorter.prepare()
    result = []
    while ready := sorted(sorter.get_ready()):
        result.append(ready)
        sorter.done(*ready)
    return result


def _invalid(path: str, place: str, message: str) -> LivchatError:
    return LivchatError("DEFINITION_INVALID", f"{path}: {place}: {message}", {"file": path, "path": place})


def _said(error: t.Any) -> str:
    """What the schema has against it, in words that say what is allowed."""
    if error.validator == "oneOf" and "description" in error.schema:
        return str(error.schema["description"])
    allowed = error.schema.get("description") if error.validator == "pattern" else None
    if error.validator == "additionalProperties" and isinstance(error.schema.get("properties"), dict):
        return f"{error.message}; allowed: {', '.join(sorted(error.schema['properties']))}"
    return f"{error.message}; allowed: {allowed}" if allowed else str(error.message)


def _references(definition: Definition) -> t.Iterator[tuple[str, str, t.Collection[str]]]:
    """Every place that names something of the definition: the place, the name, and what may be named there."""
    services = definition["services"]
    domains = definition.get("domains", {})
    secrets = definition.get("secrets", {})
    dependencies = [one["app"] for one in definition.get("dependencies", [])]
    mountable = {*secrets, *(f"{app}_password" for app in dependencies)}
    for name, service in services.items():
        for secret in service.get("secrets", []):
            yield f"services.{name}.secrets", secret, mountable
        for other in service.get("after", []):
            yield f"services.{name}.after", other, services
        if "route" in service:
            yield f"services.{name}.route.domain", service["route"]["domain"], domains
    for number, request in enumerate(definition.get("post_install", [])):
        yield f"post_install.{number}.domain", request["domain"], domains
    if "login" in definition:
        yield "login.secret", definition["login"]["secret"], secrets
    provides = definition.get("provides", {})
    if "service" in provides:
        yield "provides.service", provides["service"], services
    if "admin_secret" in provides:
        yield "provides.admin_secret", provides["admin_secret"], secrets
    plain = {"instance", "server", "domain", *(f"domains.{key}" for key in domains)}
    plain |= {f"services.{name}" for name in services}
    plain |= {f"dependencies.{app}.{key}" for app in dependencies for key in ("host", "port", "database", "user")}
    full = plain | {f"variables.{key}" for key in definition.get("variables", {})}
    for key, domain in domains.items():
        yield from _placeholders(f"domains.{key}.default", domain["default"], {"instance", "server", "domain"})
    for key, variable in definition.get("variables", {}).items():
        yield from _placeholders(f"variables.{key}.default", variable["default"], plain)
    yield from _placeholders("services", services, full)
    requests = definition.get("post_install", [])
    yield from _placeholders("post_install", requests, full | {f"secrets.{key}" for key in secrets})
    yield from _placeholders("login", definition.get("login", {}).get("user", ""), full)


def _placeholders(place: str, value: t.Any, known: t.Collection[str]) -> t.Iterator[tuple[str, str, t.Collection[str]]]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _placeholders(f"{place}.{key}", one, known)
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _placeholders(f"{place}.{number}", one, known)
    elif isinstance(value, str):
        for match in _PLACEHOLDER.finditer(value):
            if match[1] is not None:
                yield place, match[1], known
