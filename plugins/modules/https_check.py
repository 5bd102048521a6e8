#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The action plugin of the same name does the work, on the controller.

from __future__ import annotations

DOCUMENTATION = r"""
module: https_check
author:
  - LivChat (@livchat)
version_added: 0.1.0
short_description: Looks at applications from outside
description:
  - Waits until each name resolves to the server and answers over verified TLS with an expected status.
attributes:
  check_mode:
    support: full
    description: Changes nothing.
  diff_mode:
    support: none
    description: The result says what changed.
options:
  entries:
    description:
      - Entries of a plan to which the URLs belong. Of one that is not right, the error then says which service stands
        behind it and what that printed last.
    type: list
    elements: dict
    default: []
  closed:
    description: Whether those of O(entries) that begin closed are still so, see M(livchat.setup.stack).
    type: bool
    default: false
  urls:
    description: What to look at. The C(urls) of a plan's entries.
    type: list
    elements: dict
    required: true
    suboptions:
      host:
        description: Host name.
        type: str
        required: true
      path:
        description: Path to ask for.
        type: str
        default: /
      status:
        description: HTTP statuses that are right.
        type: list
        elements: int
        default: [200]
      url:
        description: The address people use. Not looked at.
        type: str
  address:
    description: Public IPv4 address of the server.
    type: str
    required: true
  ca_file:
    description: PEM file of the authority to trust instead of the system's.
    type: str
    default: ""
  resolvers:
    description: DNS servers to ask instead of the system's.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds to wait for all of them together.
    type: int
    default: 180
  interval:
    description: Seconds between two looks at one of them.
    type: float
    default: 0.5
"""

EXAMPLES = r"""
- name: Look
  livchat.setup.https_check:
    urls:
      - {host: n8n.example.com, path: /healthz, status: [200]}
    address: 203.0.113.7
"""

RETURN = r"""
answers:
  description: >-
    For each host its status, and issuer and end of its certificate; or C(error) with one of the codes
    C(DNS_NOT_RESOLVING), C(HOST_UNREACHABLE), C(TLS_NOT_TRUSTED), C(HTTP_STATUS).
  returned: always
  type: list
  elements: dict
"""
