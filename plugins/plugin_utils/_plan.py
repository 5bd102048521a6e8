# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""What a deploy would do: a pure function of the server's facts, the definitions and the vault's secrets."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ..module_utils._errors import LivchatError
from . import _gate, _render
from ._catalog import Catalog, phases
from ._resolver import Instance, levels, parse, version_matches
from ._state import UNINSTALLED

DOMAIN = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")
SERVER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
# Logical databases a Redis of ours has (--databases in its definition).
REDIS_DATABASES = 256
# What Swarm and MySQL allow for names.
SERVICE_LENGTH = 63
SECRET_LENGTH = 64
MYSQL_USER_LENGTH = 32
_HOST_RULE = re.compile(r"Host\(`([^`]+)`\)")


@dataclasses.dataclass
class Request:
    """What is asked of a server."""

    server: str
    domain: str
    address: str
    apps: str | list[str]
    variables: dict[str, dict[str, t.Any]]
    deployment: str
    # Who is to deploy stacks: docker or portainer.
    backend: str = "docker"


class Planner:
    """Computes one server's plan.

    `facts` is what `livchat.setup.server_info` found, `vault_get` gives the secret at a path, or None while there is
    none. Only the secrets' hashes enter the plan. `remembered` is what state.json has of the server's applications, by
    instance: what was uninstalled and kept its data is known from there alone. `unfinished` are instances whose last
    change did not come to its end.

    Raises:
        LivchatError: what is asked for cannot be had; the message says why and what to do.
    """

    def __init__(
        self,
        request: Request,
        facts: dict[str, t.Any],
        catalog: Catalog,
        vault_get: t.Callable[[str], str | None],
        remembered: dict[str, dict[str, t.Any]] | None = None,
        *,
        unfinished: t.Collection[str] = (),
    ) -> None:
        self._request = request
        self._remembered = remembered or {}
        self._facts = facts
        self._catalog = catalog
        self._vault_get = vault_get
        self._unfinished = frozenset(unfinished)
        self._redis_taken: dict[str, int] | None = None
        self._asked: set[str] = set()
        self._entries: dict[str, dict[str, t.Any]] = {}

    def plan(self) -> dict[str, t.Any]:
        request = self._request
        self._check_request()
        wanted = levels(request.apps, self._catalog)
        self._asked = {name for _app, name in parse(request.apps)}
        instances = [one for level in wanted for one in level]
        self._check_variables([one.name for one in instances])
        for number, level in enumerate(wanted):
            for instance in level:
                self._entries[instance.name] = {**self._entry(instance), "level": number}
        self._check_hosts()
        planned = [[self._entries[instance.name] for instance in level] for level in wanted]
        changes = [entry for level in planned for entry in level if entry["action"] != "none"]
        self._check_resources([entry for entry in changes if entry["action"] == "install"])
        hosts = [url["host"] for entry in changes for url in entry["urls"]]
        images = {entry["instance"]: _images(entry) for entry in changes}
        first = next((entry["level"] for entry in changes), 0)
        later = [one for entry in changes if entry["level"] > first for one in images[entry["instance"]]]
        return {
            "server": request.server,
            "domain": request.domain,
            "deployment": request.deployment,
            "changed": bool(changes),
            "summary": [_line(entry) for level in planned for entry in level],
            "levels": planned,
            "images": sorted({one for many in images.values() for one in many}),
            # Of levels after the first that changes: there is time to fetch them.
            "later_images": sorted(set(later)),
            "dns_records": [{"name": host, "type": "A", "value": request.address} for host in hosts],
        }

    def belongings(self, instance: Instance) -> dict[str, t.Any]:
        """What an instance has on the server beyond its stack, by its definition."""
        values = self._values(instance)
        return {
            "hosts": [values[f"domains.{key}"] for key in instance.definition.get("domains", {})],
            "volumes": sorted(_render.volume_names(instance).values()),
            "databases": self._databases(instance, values),
        }

    def _check_request(self) -> None:
        request = self._request
        if not SERVER.fullmatch(request.server):
            message = f"server: {request.server!r} is no name; letters, digits and ._- are allowed"
            raise LivchatError("REQUEST_INVALID", message, {"server": request.server})
        if not self._facts["docker"].get("swarm", {}).get("active"):
            raise LivchatError(
                "SERVER_NOT_READY",
                f"{request.server} runs no Docker Swarm: set it up first (livchat-setup server setup {request.server})",
                {"server": request.server},
            )
        if not DOMAIN.fullmatch(request.domain):
            message = f"{request.server}: domain {request.domain!r} is not a host name such as prod.example.com"
            raise LivchatError("DOMAIN_INVALID", message, {"domain": request.domain})

    def _check_variables(self, instances: list[str]) -> None:
        for name, values in self._request.variables.items():
            if name not in instances:
                message = f"variables: {name!r} is no instance of this plan; there are: {', '.join(instances)}"
                raise LivchatError("VARIABLE_INVALID", message, {"instance": name})
            if not isinstance(values, dict):
                message = f"variables: {name}: it must hold names and values, such as {{timezone: UTC}}"
                raise LivchatError("VARIABLE_INVALID", message, {"instance": name})

    def _check_hosts(self) -> None:
        """Two services for one host name would each get half of its requests."""
        taken = {}
        for service in self._facts["services"]:
            if service["stack"] not in self._entries:
                taken.update(dict.fromkeys(hosts_of([service]), service["stack"]))
        for name, entry in self._entries.items():
            for url in entry["urls"]:
                other = taken.setdefault(url["host"], name)
                if other != name:
                    message = f"{name}: {url['host']} belongs to {other} already; choose another name for the instance"
                    raise LivchatError("DOMAIN_TAKEN", message, {"host": url["host"], "instance": other})

    def _entry(self, instance: Instance) -> dict[str, t.Any]:
        definition = instance.definition
        self._check_names(instance)
        secrets = self._secrets(instance)
        values = self._values(instance)
        backend = self._backend(instance)
        context = _render.Context(
            server=self._request.server,
            domain=self._request.domain,
            deployment=self._request.deployment,
            values=values,
            secret_hashes={secret["name"]: secret["digest"] for secret in secrets},
            labels={**self._labels(instance, values), **_render.backend_labels(backend)},
        )
        compose = _render.stack(instance, context)
        used = {one for service in definition["services"].values() for one in service.get("secrets", [])}
        login = definition.get("login")
        action = self._action(instance, compose)
        post_install = self._post_install(instance, values)
        return {
            "instance": instance.name,
            "app": instance.app,
            "version": str(definition["version"]),
            "installed_version": self._installed_version(instance.name),
            "action": action,
            # Nobody gets in before it is configured. One that is open stays so: people work with it.
            "closed": bool(post_install and secrets)
            and (action == "install" or _gate.stands(self._services_of(instance.name))),
            "unfinished": instance.name in self._unfinished,
            "stack": instance.name,
            "backend": backend,
            "installed_backend": self._installed_backend(instance.name),
            "definition_hash": _render.definition_hash(compose),
            "compose": compose,
            "phases": phases(definition),
            "secrets": [
                {
                    "name": secret["name"],
                    "secret": _render.secret_name(instance.name, secret["name"], secret["digest"])
                    if secret["digest"]
                    else None,
                    "mounted": secret["name"] in used,
                    "vault_path": secret["vault_path"],
                    "generate": secret["generate"],
                    "known": secret["digest"] is not None,
                }
                for secret in secrets
            ],
            "databases": self._databases(instance, values),
            # What is remembered of it, where it was uninstalled and kept its data.
            "kept": self._kept(instance.name),
            "urls": [
                {
                    "host": values[f"domains.{key}"],
                    "path": domain.get("path", "/"),
                    "status": domain.get("status", [200]),
                    "url": f"https://{values[f'domains.{key}']}/",
                }
                for key, domain in definition.get("domains", {}).items()
            ],
            "post_install": post_install,
            "login": {
                "user": _render.fill(login["user"], values, "login"),
                "secret": f"{self._path(instance.name)}/{login['secret']}",
            }
            if login
            else {},
            "dependencies": sorted(instance.providers.values()),
            "requirements": definition["requirements"],
        }

    def _path(self, instance: str) -> str:
        return f"servers/{self._request.server}/apps/{instance}"

    def _secrets(self, instance: Instance) -> list[dict[str, t.Any]]:
        wanted = dict(instance.definition.get("secrets", {}))
        for app in self._database_dependencies(instance):
            wanted[f"{app}_password"] = {"length": 40, "charset": "hex"}
        result = []
        for name, description in sorted(wanted.items()):
            path = f"{self._path(instance.name)}/{name}"
            value = self._vault_get(path)
            if value is None:
                self._check_not_lost(instance, name, path)
            result.append(
                {
                    "name": name,
                    "vault_path": path,
                    "generate": {
                        "length": description.get("length", 32),
                        "charset": description.get("charset", "alphanumeric"),
                    },
                    "digest": None if value is None else _render.digest(value),
                }
            )
        return result

    def _check_not_lost(self, instance: Instance, name: str, path: str) -> None:
        """A new value for a secret that data was encrypted or locked with would make that data useless."""
        known = re.compile(re.escape(f"{instance.name}_{name}_") + "[0-9a-f]{12}")
        if any(known.fullmatch(one) for one in self._facts["secrets"]):
            message = (
                f"{instance.name} runs on {self._request.server} with a secret that the vault does not hold: {path}. "
                "Restore the vault from a backup; a new value would lock the data that exists"
            )
            raise LivchatError("SECRET_LOST", message, {"path": path})

    def _check_names(self, instance: Instance) -> None:
        secrets = [name for one in instance.definition["services"].values() for name in one.get("secrets", [])]
        room = min(
            [SERVICE_LENGTH - len(f"_{name}") for name in instance.definition["services"]]
            + [SECRET_LENGTH - len(f"_{name}_") - 12 for name in secrets]
        )
        if len(instance.name) > room:
            message = f"apps: {instance.name} is too long a name for {instance.app}: {room} characters are allowed"
            raise LivchatError("REQUEST_INVALID", message, {"instance": instance.name, "allowed": room})

    def _labels(self, instance: Instance, values: dict[str, str]) -> dict[str, str]:
        """What later plans read from the server: who needs whom, and who has which logical database."""
        labels = {}
        if instance.providers:
            labels["livchat.dependencies"] = ",".join(sorted(instance.providers.values()))
        for app in self._database_dependencies(instance):
            if self._catalog.get(app)["provides"]["database"] == "redis":
                labels["livchat.redis_database"] = values[f"dependencies.{app}.database"]
        return labels

    def _database_dependencies(self, instance: Instance) -> list[str]:
        return [app for app in instance.providers if "database" in self._catalog.get(app).get("provides", {})]

    def _values(self, instance: Instance) -> dict[str, str]:
        definition = instance.definition
        values = {"instance": instance.name, "server": self._request.server, "domain": self._request.domain}
        for key, domain in definition.get("domains", {}).items():
            prefix = _render.fill(domain["default"], values, f"{instance.app}: domains.{key}")
            values[f"domains.{key}"] = f"{prefix}.{self._request.domain}"
        for name in definition["services"]:
            values[f"services.{name}"] = f"{instance.name}_{name}"
        for app, provider in instance.providers.items():
            provides = self._catalog.get(app).get("provides", {})
            if "service" not in provides:
                continue
            own = instance.name.replace("-", "_")
            user = own
            if provides.get("database") == "mysql" and len(own) > MYSQL_USER_LENGTH:
                # Cut, and told apart from others with the same beginning.
                user = f"{own[: MYSQL_USER_LENGTH - 9]}_{_render.digest(own)[:8]}"
            database = str(self._redis_database(instance, provider)) if provides.get("database") == "redis" else own
            offered = {
                "host": f"{provider}_{provides['service']}",
                "port": str(provides["port"]),
                "database": database,
                "user": user,
            }
            values.update({f"dependencies.{app}.{key}": value for key, value in offered.items()})
        values.update(self._variables(instance, values))
        return values

    def _variables(self, instance: Instance, values: dict[str, str]) -> dict[str, str]:
        given = self._request.variables.get(instance.name, {})
        known = instance.definition.get("variables", {})
        if unknown := sorted(set(given) - set(known)):
            allowed = ", ".join(sorted(known)) or "none"
            message = f"{instance.name}: there is no variable {unknown[0]}; there are: {allowed}"
            raise LivchatError("VARIABLE_INVALID", message, {"variable": unknown[0]})
        result = {}
        for name, description in known.items():
            default = _render.fill(_render.text(description["default"]), values, f"{instance.app}: variables.{name}")
            value = _render.text(given.get(name, default))
            if not isinstance(given.get(name, default), (str, int, float)):
                message = f"{instance.name}: variable {name} must be a text, a number or true or false"
                raise LivchatError("VARIABLE_INVALID", message, {"variable": name})
            if "pattern" in description and not re.fullmatch(description["pattern"], value):
                message = f"{instance.name}: variable {name} is {value!r}; it must match {description['pattern']}"
                raise LivchatError("VARIABLE_INVALID", message, {"variable": name})
            result[f"variables.{name}"] = value
        return result

    def redis_numbers(self) -> dict[str, int]:
        """The logical databases that are taken, by instance: as services' labels say, else as is remembered."""
        if self._redis_taken is None:
            self._redis_taken = {
                name: int(database["database"])
                for name, application in self._remembered.items()
                for database in application.get("databases", [])
                if database["engine"] == "redis"
            }
            for service in self._facts["services"]:
                number = service["labels"].get("livchat.redis_database")
                if number is not None and str(number).isdigit():
                    self._redis_taken[service["labels"]["livchat.instance"]] = int(number)
        return self._redis_taken

    def _redis_database(self, instance: Instance, provider: str) -> int:
        """The logical database the instance has, else the lowest free one."""
        taken = self.redis_numbers()
        if instance.name not in taken:
            free = set(range(REDIS_DATABASES)) - set(taken.values())
            if not free:
                raise LivchatError("REDIS_FULL", f"{provider}: all {REDIS_DATABASES} logical databases are taken")
            taken[instance.name] = min(free)
        return taken[instance.name]

    def _databases(self, instance: Instance, values: dict[str, str]) -> list[dict[str, t.Any]]:
        result = []
        for app in self._database_dependencies(instance):
            provides = self._catalog.get(app)["provides"]
            provider = instance.providers[app]
            (dependency,) = (one for one in instance.definition["dependencies"] if one["app"] == app)
            result.append(
                {
                    "engine": provides["database"],
                    "provider_instance": provider,
                    "service": f"{provider}_{provides['service']}",
                    "database": values[f"dependencies.{app}.database"],
                    "user": values[f"dependencies.{app}.user"],
                    "password_path": f"{self._path(instance.name)}/{app}_password",
                    "admin_password_path": f"{self._path(provider)}/{provides['admin_secret']}",
                    "extensions": dependency.get("extensions", []),
                }
            )
        return result

    def _kept(self, instance: str) -> dict[str, t.Any]:
        record = self._remembered.get(instance, {})
        return record if record.get("status") == UNINSTALLED else {}

    def _post_install(self, instance: Instance, values: dict[str, str]) -> list[dict[str, t.Any]]:
        """The requests that configure the app; secrets stay placeholders, the action puts them in."""
        secrets = {f"secrets.{name}": f"${{secrets.{name}}}" for name in instance.definition.get("secrets", {})}
        return [
            {
                **_render.fill(request, {**values, **secrets}, f"{instance.app}: post_install"),
                "host": values[f"domains.{request['domain']}"],
                "vault_path": self._path(instance.name),
            }
            for request in instance.definition.get("post_install", [])
        ]

    def _services_of(self, stack: str) -> list[dict[str, t.Any]]:
        return [one for one in self._facts["services"] if one["stack"] == stack]

    def _installed_version(self, stack: str) -> str | None:
        return next((one["labels"].get("livchat.version") for one in self._services_of(stack)), None)

    def _installed_backend(self, stack: str) -> str | None:
        return next((one["labels"].get("livchat.backend", "docker") for one in self._services_of(stack)), None)

    def _backend(self, instance: Instance) -> str:
        """Who deploys the stack. One that nobody asked for by name stays with whom it has."""
        installed = self._installed_backend(instance.name)
        return self._request.backend if installed is None or instance.name in self._asked else installed

    def _action(self, instance: Instance, compose: dict[str, t.Any]) -> str:
        mine = self._services_of(instance.name)
        if not mine:
            return "install"
        for service in mine:
            if (app := service["labels"].get("livchat.app")) != instance.app:
                whose = f"an instance of {app}" if app else "not of this catalogue"
                message = f"{self._request.server} has a stack {instance.name} that is {whose}; choose another name"
                raise LivchatError("INSTANCE_CONFLICT", message, {"stack": instance.name})
        hashes = {one["labels"].get("livchat.definition") for one in mine}
        whole = all(one["running"] >= one["replicas"] for one in mine)
        if instance.name in self._unfinished:
            # Also where it looks whole: it may lack what comes after the stack.
            return "update"
        if hashes == {_render.definition_hash(compose)}:
            return "none" if whole and len(mine) == len(compose["services"]) else "update"
        if instance.name in self._asked:
            return "update"
        # A shared service is never changed by the way: others on the server live on it.
        self._check_installed(instance)
        if not whole:
            message = f"{instance.name} does not run, and differs from the catalogue: update it by its own name first"
            raise LivchatError("DEPENDENCY_NOT_RUNNING", message, {"instance": instance.name})
        return "none"

    def _check_installed(self, instance: Instance) -> None:
        """Raises LivchatError DEPENDENCY_VERSION when what runs is older or newer than an asked for app can use."""
        version = self._installed_version(instance.name) or ""
        for other in (one for level in levels(self._request.apps, self._catalog) for one in level):
            for dependency in other.definition.get("dependencies", []):
                wanted = dependency.get("version", "")
                provides = other.providers[dependency["app"]] == instance.name
                if provides and wanted and not version_matches(version, wanted):
                    message = (
                        f"{other.name} needs {instance.app} {wanted}; {self._request.server} runs {version}. "
                        f"Update it first, by its own name: {instance.name}"
                    )
                    raise LivchatError("DEPENDENCY_VERSION", message, {"path": [other.name, instance.name]})

    def _check_resources(self, new: list[dict[str, t.Any]]) -> None:
        server = self._facts["server"]
        for key, free, unit in (
            ("memory_mb", server["memory_free_mb"] + server.get("swap_mb", 0), "MB of memory"),
            ("disk_gb", server["disk_free_gb"], "GB of disk"),
        ):
            needed = sum(entry["requirements"][key] for entry in new)
            if needed > free:
                names = ", ".join(entry["instance"] for entry in new)
                message = (
                    f"{self._request.server}: {names} need {needed} {unit}, {free} are free; "
                    "make room there, or take a larger server"
                )
                raise LivchatError("SERVER_TOO_SMALL", message, {"needed": needed, "free": free, "resource": key})


def hosts_of(services: t.Iterable[dict[str, t.Any]]) -> list[str]:
    """The host names that Traefik hands to these services, as their labels say."""
    return [host for one in services for label in one["labels"].values() for host in _HOST_RULE.findall(str(label))]


def _images(entry: dict[str, t.Any]) -> set[str]:
    return {service["image"] for service in entry["compose"]["services"].values()}


def _line(entry: dict[str, t.Any]) -> str:
    name, version, installed = entry["instance"], entry["version"], entry["installed_version"]
    needs = f" (needs {', '.join(entry['dependencies'])})" if entry["dependencies"] else ""
    if entry["action"] == "install":
        return f"install {name} {version}{needs}"
    if entry["action"] == "update" and entry["unfinished"]:
        return f"finish {name} {version}{needs}"
    if entry["action"] == "update":
        step = f"update {name} {installed} to {version}{needs}" if installed != version else f"update {name} {version}"
        if entry["installed_backend"] == entry["backend"]:
            return step
        return f"{step}, deployed by {entry['backend']} instead of {entry['installed_backend']} (it stops meanwhile)"
    newer = f"; the catalogue has {version}, update it by its own name" if installed != version else ""
    return f"leave {name} {installed}{newer}"
