#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The action plugin of the same name does the work, on the controller.

from __future__ import annotations

DOCUMENTATION = r"""
module: dns_access
author:
  - LivChat (@livchat)
version_added: 0.1.0
short_description: Where the operator's DNS records are, and whether they are managed
description:
  - Reads the settings and the vault, and says what M(livchat.setup.dns_record) needs to know, but for the token.
  - Fails with the code C(DNS_NOT_MANAGED), C(DNS_ZONE_UNKNOWN) or C(DNS_TOKEN_MISSING) where there is nothing to reach.
attributes:
  check_mode:
    support: full
    description: Changes nothing.
  diff_mode:
    support: none
    description: Changes nothing.
options:
  zone:
    description: Another zone than that of the setting C(dns.zone).
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Know the zone
  livchat.setup.dns_access:
  register: dns

- name: List its records
  livchat.setup.dns_record_info:
    zone: "{{ dns.zone }}"
    api_endpoint: "{{ dns.api_endpoint }}"
    api_token: "{{ lookup('livchat.setup.vaulted', 'tokens/cloudflare') }}"
"""

RETURN = r"""
zone:
  description: Name of the zone.
  returned: success
  type: str
api_endpoint:
  description: Address of the API.
  returned: success
  type: str
owner:
  description: Owner of the records that a person sets. No server removes these.
  returned: success
  type: str
  sample: operator/dns
error:
  description: Code, message and details.
  returned: failure
  type: dict
"""
