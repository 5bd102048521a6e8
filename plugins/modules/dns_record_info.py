#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: dns_record_info
short_description: The DNS records of a zone at Cloudflare, and who made them
version_added: 0.1.0
author:
  - LivChat (@livchat)
description:
  - Lists the records of a zone, all of them or some.
  - Runs on the controller; delegate it to C(localhost).
attributes:
  check_mode:
    description: Can run in check_mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
    support: none
options:
  name:
    description: Only records of this name and of names below it, such as V(prod.example.com). V(@) is the zone.
    type: str
  type:
    description: Only records of this type, such as V(A).
    type: str
  owner:
    description: Only records of this owner, such as V(prod). See O(livchat.setup.dns_record#module:owner).
    type: str
  managed:
    description: Only records that this collection made, of whichever owner; those of others are left out.
    type: bool
    default: false
extends_documentation_fragment:
  - livchat.setup.cloudflare
seealso:
  - module: livchat.setup.dns_record
"""

EXAMPLES = r"""
- name: Read which names this collection gave away
  livchat.setup.dns_record_info:
    zone: example.com
    managed: true
  delegate_to: localhost
  register: names
"""

RETURN = r"""
records:
  description: The records, by name, type and value.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Identifier.
      type: str
    zone:
      description: Name of the zone.
      type: str
    name:
      description: Full name.
      type: str
    type:
      description: Type.
      type: str
    value:
      description: Content.
      type: str
    priority:
      description: Preference of a C(MX) record, else null.
      type: int
    ttl:
      description: Seconds to live; V(1) is left to Cloudflare.
      type: int
    proxied:
      description: Whether it is proxied.
      type: bool
    owner:
      description: Who it belongs to, or null when this collection did not make it.
      type: str
    comment:
      description: Its comment, or null.
      type: str
    modified_on:
      description: When it was changed last.
      type: str
  sample:
    - {"id": "372e67954025e0ba6aaa6d586b9e0b59", "name": "n8n.example.com", "type": "A", "value": "192.0.2.10",
       "priority": null, "ttl": 1, "proxied": false, "owner": "server1", "comment": "managed by livchat.setup: server1",
       "zone": "example.com", "modified_on": "2026-01-01T05:20:00.12345Z"}
error:
  description: Code, message and details of what went wrong, and the seconds after which to try again, if known.
  returned: failure
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.livchat.setup.plugins.module_utils._cloudflare import (
    ARGUMENTS,
    CloudflareClient,
    name_in_zone,
    owner_of,
    plain_name,
    within,
)
from ansible_collections.livchat.setup.plugins.module_utils._errors import LivchatError, fail


def run(params: dict[str, Any]) -> list[dict[str, Any]]:
    client = CloudflareClient.of(params)
    zone = plain_name(params["zone"])
    name = name_in_zone(params["name"], zone)
    found = client.records(client.zone(zone)["id"])
    wanted = [
        record
        for record in found
        if within(record["name"], name)
        and params["type"] in (None, record["type"])
        and params["owner"] in (None, owner_of(record))
        and not (params["managed"] and owner_of(record) is None)
    ]
    wanted.sort(key=lambda one: (one["name"], one["type"], one["content"]))
    return [{**shown(record), "zone": zone} for record in wanted]


def shown(record: dict[str, Any]) -> dict[str, Any]:
    told = {key: record.get(key) for key in ("id", "name", "type", "priority", "ttl", "comment", "modified_on")}
    return {**told, "value": record["content"], "proxied": bool(record.get("proxied")), "owner": owner_of(record)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "name": {"type": "str"},
            "type": {"type": "str"},
            "owner": {"type": "str"},
            "managed": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    try:
        records = run(module.params)
    except LivchatError as error:
        fail(module, error)
    module.exit_json(changed=False, records=records)


if __name__ == "__main__":
    main()
