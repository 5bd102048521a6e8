# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: applications
author: LivChat (@livchat)
version_added: 0.1.0
short_description: The applications that a server's services tell of
description:
  - Reads the labels of the services that M(livchat.setup.server_info) found. Stacks that are not ours are left out.
options:
  _input:
    description: What M(livchat.setup.server_info) returned.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what is installed
  ansible.builtin.debug:
    msg: "{{ facts | livchat.setup.applications }}"
"""

RETURN = r"""
_value:
  description: >-
    Of each application its instance, app, version, the number of services, of tasks that run and that are wanted,
    and its volumes and host names.
  type: list
  elements: dict
"""

import re
import typing as t

_HOST_RULE = re.compile(r"Host\(`([^`]+)`\)")


def applications(facts: dict[str, t.Any]) -> list[dict[str, t.Any]]:
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
            "domains": sorted(
                {
                    host
                    for one in services
                    for label in one["labels"].values()
                    for host in _HOST_RULE.findall(str(label))
                }
            ),
        }
        for stack, services in sorted(stacks.items())
    ]


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"applications": applications}
