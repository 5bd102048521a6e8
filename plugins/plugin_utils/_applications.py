# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""The applications that a server's services tell of."""

from __future__ import annotations

import re
import typing as t

_HOST_RULE = re.compile(r"Host\(`([^`]+)`\)")


def applications(facts: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """Those of ours in what M(livchat.setup.server_info) returned; stacks that are not ours are left out."""
    stacks: dict[str, list[dict[str, t.Any]]] = {}
    for service in facts.get("services") or []:
        if "livchat.app" in service["labels"]:
            stacks.setdefault(service["stack"], []).append(service)
    return [
        {
            "instance": stack,
            "app": services[0]["labels"]["livchat.app"],
            "version": services[0]["labels"].get("livchat.version", ""),
            "services": len(services),
            "running": sum(one["running"] for one in services),
            "wanted": sum(one["replicas"] for one in services),
            # A stack's volumes are called after it; no name of an instance holds an underscore.
            "volumes": [one for one in facts.get("volumes") or [] if one.startswith(f"{stack}_")],
            "domains": _domains(services),
            "dependencies": _listed(services, "livchat.dependencies"),
        }
        for stack, services in sorted(stacks.items())
    ]


def _domains(services: list[dict[str, t.Any]]) -> list[str]:
    values = (str(value) for one in services for value in one["labels"].values())
    return sorted({host for value in values for host in _HOST_RULE.findall(value)})


def _listed(services: list[dict[str, t.Any]], label: str) -> list[str]:
    return sorted({word for one in services for word in one["labels"].get(label, "").split(",") if word})
