#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: hetzner_offer_info
author: LivChat (@livchat)
version_added: 0.1.0
short_description: What a new server at Hetzner is, and what it costs a month
description:
  - Says what a server of a type has, at which locations it can be had now, and what it costs at one of them, its
    addresses included.
requirements:
  - hcloud >= 2.10, on the controller
attributes:
  check_mode:
    support: full
    description: It only reads.
  diff_mode:
    support: none
    description: It changes nothing.
options:
  server_type:
    description: Hetzner's name of the type, such as V(cx23).
    type: str
    required: true
  location:
    description: Hetzner's name of the location, such as V(nbg1).
    type: str
    required: true
  api_token:
    description: Token of the project; it need only read.
    type: str
  api_endpoint:
    description: Address of the API.
    type: str
    default: https://api.hetzner.cloud/v1
  patience:
    description:
      - Most seconds that the module goes on trying, all in all, while the API asks to wait, has a fault or does not
        answer.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Ask for the price of a server
  livchat.setup.hetzner_offer_info:
    server_type: cx23
    location: nbg1
    api_token: "{{ lookup('livchat.setup.vaulted', 'tokens/hetzner') }}"
  register: offered
  delegate_to: localhost
"""

RETURN = r"""
offer:
  description: The server type at that location.
  returned: success
  type: dict
  contains:
    server_type:
      description: Its name.
      type: str
    location:
      description: Where it would be.
      type: str
    available:
      description: Whether it can be had there now.
      type: bool
    locations:
      description: Where it can be had now.
      type: list
      elements: str
    resources:
      description: C(cpu_cores), C(memory_mb) and C(disk_gb).
      type: dict
    monthly:
      description: What it costs a month with one IPv4 address, tax included; empty where Hetzner names no price.
      type: str
      sample: "5.49"
    currency:
      description: The currency of that price; empty where there is none.
      type: str
      sample: EUR
error:
  description: Code, message and details of what went wrong.
  returned: failure
  type: dict
"""

import traceback
from decimal import Decimal

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ..module_utils._errors import LivchatError, fail
from ..module_utils._hetzner import OPTIONS, check_location, client_of, places, provider_error, server_type

try:
    from hcloud import APIException

    IMPORT_ERROR = ""
except ImportError:
    IMPORT_ERROR = traceback.format_exc()


def offer(client, name, location):
    """What the type is at that location. Raises LivchatError INPUT_INVALID."""
    found = server_type(client, name)
    check_location(client, location)
    amount, currency = price(client, name, location)
    return {
        "server_type": name,
        "location": location,
        "available": location in places(found),
        "locations": places(found),
        "resources": {"cpu_cores": found.cores, "memory_mb": int(found.memory * 1024), "disk_gb": found.disk},
        "monthly": amount,
        "currency": currency,
    }


def price(client, name, location):
    """What it costs a month with its address, and in which currency; empty texts where no price is named."""
    # The library has no client for prices of addresses.
    pricing = client._client.request(url="/pricing", method="GET")["pricing"]
    sold = [one for one in pricing["server_types"] if one["name"] == name]
    addresses = [one for one in pricing.get("primary_ips", []) if one["type"] == "ipv4"]
    if not _at(sold, location):
        return "", ""
    return str(round(sum(_at(sold + addresses, location)), 2)), str(pricing["currency"])


def _at(parts, location):
    return [
        Decimal(one["price_monthly"]["gross"])
        for part in parts
        for one in part["prices"]
        if one["location"] == location
    ]


def main():
    module = AnsibleModule(
        argument_spec={
            "server_type": {"type": "str", "required": True},
            "location": {"type": "str", "required": True},
            **OPTIONS,
        },
        supports_check_mode=True,
    )
    if IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("hcloud"), exception=IMPORT_ERROR)
    params = module.params
    try:
        found = offer(client_of(params), params["server_type"], params["location"])
    except (LivchatError, APIException) as error:
        fail(module, provider_error(error))
    module.exit_json(changed=False, offer=found)


if __name__ == "__main__":
    main()
