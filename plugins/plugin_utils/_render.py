# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""From a definition to a stack file for Docker Swarm: pure functions."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import typing as t

from ..module_utils._errors import LivchatError
from ._resolver import Instance

PUBLIC_NETWORK = "livchat_public"
INTERNAL_NETWORK = "livchat_internal"
# Named anew at each deploy or computed from the rest, so no part of what makes a stack differ.
UNHASHED = ("livchat.definition", "livchat.deployment")
_PLACEHOLDER = re.compile(r"\$(?:\$|\{([a-z0-9_.-]+)\})")


@dataclasses.dataclass
class Context:
    """What a definition's placeholders can name."""

    server: str
    domain: str
    deployment: str
    # Values by name: `domains.editor`, `variables.timezone`, `dependencies.postgres.host` …
    values: dict[str, str]
    # By the definition's secret name: the value's hash, or None while there is no value yet.
    secret_hashes: dict[str, str | None]
    # Further labels of every service.
    labels: dict[str, str] = dataclasses.field(default_factory=dict)


def fill(value: t.Any, values: t.Mapping[str, str], where: str) -> t.Any:
    """The value with every `${name}` in its strings replaced, and `$$` turned to `$`.

    Raises:
        LivchatError: DEFINITION_INVALID, for a name that is not known.
    """
    if isinstance(value, dict):
        return {key: fill(one, values, f"{where}.{key}") for key, one in value.items()}
    if isinstance(value, list):
        return [fill(one, values, where) for one in value]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return "$"
        if name not in values:
            known = ", ".join(sorted(values))
            raise LivchatError("DEFINITION_INVALID", f"{where}: ${{{name}}} is unknown; there are: {known}")
        return values[name]

    return _PLACEHOLDER.sub(replace, value)


def text(value: t.Any) -> str:
    """A YAML scalar as an environment variable's text."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def escaped(value: t.Any) -> t.Any:
    """`docker stack deploy` reads `$NAME` in a stack file itself, so every `$` is doubled."""
    if isinstance(value, dict):
        return {key: escaped(one) for key, one in value.items()}
    if isinstance(value, list):
        return [escaped(one) for one in value]
    return value.replace("$", "$$") if isinstance(value, str) else value


def secret_name(stack: str, name: str, digest: str) -> str:
    """Swarm's secrets cannot change, so a new value is a new secret: the name carries the value's hash."""
    return f"{stack}_{name}_{digest[:12]}"


def digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def stack(instance: Instance, context: Context) -> dict[str, t.Any]:
    """The stack file, in canonical order, labels and hash included."""
    services = {
        name: _service(instance, name, service, context) for name, service in instance.definition["services"].items()
    }
    used = sorted({name for service in instance.definition["services"].values() for name in service.get("secrets", [])})
    secrets = {
        name: {"external": True, "name": secret_name(instance.name, name, context.secret_hashes.get(name) or "0" * 12)}
        for name in used
    }
    volumes = {name: {"name": whole} for name, whole in volume_names(instance).items()}
    networks = {name: {"external": True} for name in (PUBLIC_NETWORK, INTERNAL_NETWORK)}
    compose = {"version": "3.8", "services": services, "networks": networks, "secrets": secrets, "volumes": volumes}
    compose = escaped({key: value for key, value in compose.items() if value})
    return label(compose, context.deployment)


def volume_names(instance: Instance) -> dict[str, str]:
    """What the definition's volumes are called on the server."""
    services = instance.definition["services"].values()
    return {name: f"{instance.name}_{name}" for service in services for name in service.get("volumes", {})}


def backend_labels(backend: str) -> dict[str, str]:
    """What services say of who deployed them. Docker, which was first, says nothing, so that no hash changes for it."""
    return {} if backend == "docker" else {"livchat.backend": backend}


def label(compose: dict[str, t.Any], deployment: str) -> dict[str, t.Any]:
    """The stack file with its own hash and the deployment's id on every service."""
    hashed = definition_hash(compose)
    for service in compose["services"].values():
        service["deploy"]["labels"].update({"livchat.definition": hashed, "livchat.deployment": deployment})
    return compose


def definition_hash(compose: dict[str, t.Any]) -> str:
    bare = json.loads(json.dumps(compose))
    for service in bare["services"].values():
        labels = service["deploy"]["labels"]
        service["deploy"]["labels"] = {key: value for key, value in labels.items() if key not in UNHASHED}
    return hashlib.sha256(json.dumps(bare, sort_keys=True).encode()).hexdigest()


def _service(instance: Instance, name: str, service: dict[str, t.Any], context: Context) -> dict[str, t.Any]:
    where = f"{instance.app}: services.{name}"
    filled = fill(service, context.values, where)
    # Two tasks must never write one volume, so with a volume the old one stops first.
    order = "stop-first" if filled.get("volumes") else filled.get("update_order", "start-first")
    route = filled.get("route")
    rendered: dict[str, t.Any] = {
        "image": filled["image"],
        "healthcheck": {
            "interval": "10s",
            "timeout": "5s",
            "retries": 6,
            "start_period": "30s",
            **filled["healthcheck"],
        },
        "networks": [PUBLIC_NETWORK, INTERNAL_NETWORK] if route else [INTERNAL_NETWORK],
        "logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}},
        "deploy": {
            # Service addresses go straight to the tasks: no virtual address that forgets idle connections.
            "endpoint_mode": "dnsrr",
            "replicas": filled.get("replicas", 1),
            "update_config": {
                "order": order,
                "failure_action": "rollback",
                "monitor": "15s",
                "parallelism": 1,
            },
            "rollback_config": {"order": order, "parallelism": 1},
            "restart_policy": {"condition": "any", "delay": "5s"},
            "resources": {
                "limits": {
                    "memory": f"{filled['resources']['memory_mb']}M",
                    "cpus": f"{float(filled['resources']['cpus']):.2f}",
                }
            },
            "labels": {
                "livchat.app": instance.app,
                "livchat.instance": instance.name,
                "livchat.version": str(instance.definition["version"]),
                "livchat.dependencies": ",".join(sorted(instance.providers.values())),
                **context.labels,
                **(_route_labels(instance, name, route, context) if route else {}),
            },
        },
    }
    for key in ("command", "entrypoint", "user", "stop_grace_period"):
        if key in filled:
            rendered[key] = filled[key]
    if environment := filled.get("environment"):
        rendered["environment"] = {key: text(value) for key, value in sorted(environment.items())}
    if secrets := filled.get("secrets"):
        rendered["secrets"] = [{"source": one, "target": one, "mode": 0o444} for one in sorted(secrets)]
    if volumes := filled.get("volumes"):
        rendered["volumes"] = [
            {"type": "volume", "source": volume, "target": target} for volume, target in sorted(volumes.items())
        ]
    return rendered


def _route_labels(instance: Instance, name: str, route: dict[str, t.Any], context: Context) -> dict[str, str]:
    host = context.values[f"domains.{route['domain']}"]
    # The service's own name, which is unique on the server: Traefik drops both of two routers of one name.
    router = f"{instance.name}_{name}"
    return {
        "traefik.enable": "true",
        "traefik.swarm.network": PUBLIC_NETWORK,
        f"traefik.http.routers.{router}.rule": f"Host(`{host}`)",
        f"traefik.http.routers.{router}.entrypoints": "websecure",
        f"traefik.http.routers.{router}.service": router,
        f"traefik.http.services.{router}.loadbalancer.server.port": str(route["port"]),
    }
