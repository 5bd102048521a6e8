# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""The operator's settings: config.yaml over the defaults of docs/architecture.md."""

from __future__ import annotations

import difflib
import typing as t

import yaml

from ..module_utils._errors import LivchatError
from ..module_utils._patience import DEFAULT as PATIENCE
from ._home import Home

DEFAULTS: dict[str, t.Any] = {
    # Read by nothing yet, since there is one only; config.yaml has had it from the beginning.
    "general.default_provider": "hetzner",
    "general.default_region": "nbg1",
    "general.timezone": "UTC",
    "general.api_patience": PATIENCE,
    "general.stack_backend": "docker",
    "providers.hetzner.api_endpoint": "https://api.hetzner.cloud/v1",
    "providers.hetzner.server_type": "cx23",
    "providers.hetzner.image": "debian-13",
    "dns.provider": "cloudflare",
    "dns.zone": "",
    "dns.api_endpoint": "https://api.cloudflare.com/client/v4",
    "dns.resolvers": [],
    "acme.email": "",
    "acme.server": "letsencrypt",
    "acme.challenge": "dns-01",
    "acme.ca_file": "",
    "acme.root_file": "",
    "docker.source": "docker",
    "docker.repository": "https://download.docker.com/linux",
    "docker.registry_mirrors": [],
    "docker.insecure_registries": [],
    "vault.password_file": "",
    "mcp.model_may_destroy": False,
    "webhooks.urls": [],
    "webhooks.events": ["*"],
    "api.calls_per_hour": 1000,
    "api.server_creations_per_hour": 5,
    "api.refusals_per_minute": 30,
    "api.jobs_at_once": 20,
}
# Those that name a file, of certificates.
FILES = ("acme.ca_file", "acme.root_file")
ALLOWED: dict[str, tuple[str, ...]] = {
    "general.default_provider": ("hetzner",),
    "general.stack_backend": ("docker", "portainer"),
    "dns.provider": ("cloudflare", "none"),
    "acme.challenge": ("dns-01", "http-01"),
    "docker.source": ("docker", "distribution"),
}


def check(key: str, value: t.Any) -> None:
    """Raises LivchatError SETTING_INVALID unless the key is known and the value is of its kind."""
    if key not in DEFAULTS:
        near = difflib.get_close_matches(key, DEFAULTS, 1)
        hint = f" Did you mean {near[0]}?" if near else f" There are: {', '.join(DEFAULTS)}."
        raise LivchatError("SETTING_INVALID", f"config.yaml: there is no setting {key}.{hint}", {"key": key})
    wanted = type(DEFAULTS[key])
    # YAML's `yes` is a number to Python.
    fits = isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))
    if not fits or (wanted is list and not all(isinstance(one, str) for one in value)):
        kinds = {"str": "a text", "list": "a list of texts", "int": "a whole number", "bool": "true or false"}
        name = kinds[wanted.__name__]
        raise LivchatError("SETTING_INVALID", f"config.yaml: {key} must be {name}, not {value!r}", {"key": key})
    least = 1 if key.startswith("api.") else 0
    if wanted is int and value < least:
        message = f"config.yaml: {key} is {value}; it must be at least {least}"
        raise LivchatError("SETTING_INVALID", message, {"key": key})
    if key in ALLOWED and value not in ALLOWED[key]:
        raise LivchatError(
            "SETTING_INVALID",
            f"config.yaml: {key} is {value!r}; allowed: {', '.join(ALLOWED[key])}",
            {"key": key, "value": value, "allowed": list(ALLOWED[key])},
        )


class Settings:
    """Reads and writes settings by their dotted names."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def get(self, key: str) -> t.Any:
        """The setting's value, or its default.

        Raises:
            LivchatError: the key is unknown, the file cannot be read, or it holds something not allowed.
        """
        if key not in DEFAULTS:
            check(key, None)
        return self.all().get(key, DEFAULTS[key])

    def all(self) -> dict[str, t.Any]:
        """What config.yaml sets, by dotted name."""
        text = self._home.read("config.yaml")
        if text is None:
            return {}
        try:
            flat = _parsed(text)
        except (yaml.YAMLError, ValueError) as error:
            raise self._home.damaged("config.yaml", " ".join(str(error).split()), _parsed) from error
        for key, value in flat.items():
            check(key, value)
        return flat

    def update(self, values: dict[str, t.Any]) -> bool:
        """Sets several settings at once; whether that changed anything."""
        for key, value in values.items():
            check(key, value)
        with self._home.lock():
            before = self.all()
            after = {**before, **values}
            if after == before:
                return False
            self._home.write("config.yaml", yaml.safe_dump(nested(after), sort_keys=True))
        return True


def _parsed(text: str) -> dict[str, t.Any]:
    tree = yaml.safe_load(text)
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ValueError("it must hold sections such as `dns:` with settings under them")
    return dict(flatten(tree))


def flatten(tree: dict[t.Any, t.Any], prefix: str = "") -> t.Iterator[tuple[str, t.Any]]:
    """Sections as dotted names."""
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from flatten(value, f"{name}.")
        # `dns:` or `zone:` with nothing behind it sets nothing.
        elif value is not None or not any(known == name or known.startswith(f"{name}.") for known in DEFAULTS):
            yield name, value


def nested(flat: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Dotted names as sections."""
    tree: dict[str, t.Any] = {}
    for key, value in sorted(flat.items()):
        place = tree
        *folders, last = key.split(".")
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = value
    return tree
