#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The action plugin of the same name does the work, on the controller.

from __future__ import annotations

DOCUMENTATION = r"""
module: https_check
author: livchat.setup contributors
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
  urls:
    description: What to look at, with C(host), C(path) and C(status).
    type: list
    elements: dict
    required: true
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
    description: Seconds to wait.
    type: int
    default: 180
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
  description: Status, and issuer and end of the certificate, for each host.
  returned: success
  type: list
  elements: dict
"""
