#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The action plugin of the same name does the work, on the controller.

from __future__ import annotations

DOCUMENTATION = r"""
module: app_request
author:
  - LivChat (@livchat)
version_added: 0.1.0
short_description: Configures applications through their own API or setup form
description:
  - Sends the requests under C(post_install) of a definition over verified TLS. Secrets are put in on the controller.
  - A C(body) is sent as JSON, a C(form) as a browser sends one, for applications that have a setup page and no API.
  - An answer that has the status and the text under C(done) says that it was done before; then nothing changed.
    Otherwise the status must be one of C(status), and the answer hold C(contains) where that is given.
attributes:
  check_mode:
    support: full
    description: Sends nothing.
  diff_mode:
    support: none
    description: The result says what changed.
options:
  entries:
    description: Entries of a plan.
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
"""

EXAMPLES = r"""
- name: Configure
  livchat.setup.app_request:
    entries: "{{ planned.plan.levels[1] }}"
    address: 203.0.113.7
"""

RETURN = r"""
done:
  description: What was configured now.
  returned: success
  type: list
  elements: str
"""
