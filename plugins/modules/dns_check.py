#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The action plugin of the same name does the work, on the controller.

from __future__ import annotations

DOCUMENTATION = r"""
module: dns_check
author:
  - LivChat (@livchat)
version_added: 0.1.0
short_description: Finds what is wrong with the operator's DNS zone
description:
  - Looks at the zone and the token at Cloudflare, at the delegation, at CAA records, and at the records that this
    collection made, as the DNS servers of the setting C(dns.resolvers), or the system's, answer them.
  - Compares with the servers and applications in C(state.json).
  - Needs C(dnspython) on the controller.
attributes:
  check_mode:
    support: full
    description: Changes nothing.
  diff_mode:
    support: none
    description: Changes nothing.
options:
  name:
    description: Look only at the records of this name and of names below it.
    type: str
    default: ""
  zone:
    description: Another zone than that of the setting C(dns.zone).
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Look at the zone
  livchat.setup.dns_check:
  register: looked
"""

RETURN = r"""
healthy:
  description: Whether nothing failed. Warnings are no failures.
  returned: success
  type: bool
checks:
  description: What was looked at.
  returned: success
  type: list
  elements: dict
  contains:
    check:
      description: What it is about, such as V(dns delegation).
      type: str
    status:
      description: V(ok), V(warning) or V(failed).
      type: str
    found:
      description: How it was found.
      type: str
    cure:
      description: What to do about it; empty when all is well.
      type: str
error:
  description: Code, message and details, when there was nothing to look at.
  returned: failure
  type: dict
"""
