# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""The gate before a new application: until it is configured, Traefik lets in only requests that bring its key.

An application that makes whoever comes first its owner would else be a stranger's, who needs no more than a moment.
"""

from __future__ import annotations

import copy
import hmac
import typing as t

HEADER = "X-Livchat-Setup"


def stands(services: t.Iterable[dict[str, t.Any]]) -> bool:
    """Whether it does before one of these services of a server: a run was killed before it was opened."""
    return any(HEADER in str(value) for one in services for value in one["labels"].values())


def headers(entry: dict[str, t.Any], secret: t.Callable[[str], str]) -> dict[str, str]:
    """What a request to a plan's entry has to bring; nothing, unless the plan says that it begins closed."""
    return {HEADER: _key(entry, secret)} if entry["closed"] else {}


def closed(entry: dict[str, t.Any], secret: t.Callable[[str], str]) -> dict[str, t.Any]:
    """The entry's stack file with the gate in the rule of every router."""
    compose = copy.deepcopy(entry["compose"])
    bringing = f"Header(`{HEADER}`, `{_key(entry, secret)}`)"
    for service in compose["services"].values():
        labels = service["deploy"]["labels"]
        for name, rule in labels.items():
            if name.startswith("traefik.http.routers.") and name.endswith(".rule"):
                labels[name] = f"({rule}) && {bringing}"
    return compose


def _key(entry: dict[str, t.Any], secret: t.Callable[[str], str]) -> str:
    """Another one for each deployment, and none from which the secret could be told that it is made from."""
    labels = next(iter(entry["compose"]["services"].values()))["deploy"]["labels"]
    about = f"{labels['livchat.deployment']} {entry['instance']}"
    return hmac.new(secret(entry["secrets"][0]["vault_path"]).encode(), about.encode(), "sha256").hexdigest()
