#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: dns_zone_info
short_description: What the API token sees of a DNS zone at Cloudflare
version_added: 0.1.0
author:
  - LivChat (@livchat)
description:
  - Checks that the API token works and can read the zone, and returns the zone's identifier and name servers.
  - Runs on the controller; delegate it to C(localhost).
attributes:
  check_mode:
    description: Can run in check_mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
    support: none
options:
  editable:
    description:
      - Whether to fail unless the token may also change the zone's records. Nothing is changed to find that out.
    type: bool
    default: false
  names:
    description: Host names that must be the zone or in it, such as the base domains of servers.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - livchat.setup.cloudflare
seealso:
  - module: livchat.setup.dns_record
"""

EXAMPLES = r"""
- name: Look at the zone before anything depends on it
  livchat.setup.dns_zone_info:
    zone: example.com
    editable: true
    names: [prod.example.com]
  delegate_to: localhost
  register: zone
"""

RETURN = r"""
zone:
  description: The zone.
  returned: success
  type: dict
  contains:
    id:
      description: Identifier.
      type: str
    name:
      description: Name.
      type: str
    status:
      description: V(active) when the domain is delegated to the name servers; V(pending) before.
      type: str
    name_servers:
      description: The name servers that Cloudflare gave the zone.
      type: list
      elements: str
    record_count:
      description: Number of records in the zone.
      type: int
  sample: {"id": "023e105f4ecef8ad9ca31a8372d0c353", "name": "example.com", "status": "active",
           "name_servers": ["bob.ns.cloudflare.com", "lola.ns.cloudflare.com"], "record_count": 12}
error:
  description: Code, message and details of what went wrong, and the seconds after which to try again, if known.
  returned: failure
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.livchat.setup.plugins.module_utils._cloudflare import ARGUMENTS, CloudflareClient, plain_name
from ansible_collections.livchat.setup.plugins.module_utils._errors import LivchatError, fail


def run(params: dict[str, Any]) -> dict[str, Any]:
    client = CloudflareClient.of(params)
    name = plain_name(params["zone"])
    outside = [one for one in params["names"] if one != name and not one.endswith("." + name)]
    if outside:
        message = (
            "%s: not in the DNS zone %s, so no names could be made below it; take a domain in the zone, or set dns.zone"
            % (", ".join(one or "(no domain)" for one in outside), name)
        )
        raise LivchatError("DNS_NAME_INVALID", message, {"zone": name, "names": outside})
    # Not /user/tokens/verify: tokens that belong to an account, not to a person, are unknown there and still work.
    zone = client.zone(name)
    if params["editable"]:
        client.check_editable(zone["id"])
    return {
        "id": zone["id"],
        "name": zone["name"],
        "status": zone.get("status"),
        "name_servers": zone.get("name_servers") or [],
        "record_count": len(client.records(zone["id"])),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "editable": {"type": "bool", "default": False},
            "names": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    try:
        zone = run(module.params)
    except LivchatError as error:
        fail(module, error)
    module.exit_json(changed=False, zone=zone)


if __name__ == "__main__":
    main()
