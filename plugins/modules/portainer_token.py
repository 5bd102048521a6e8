#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The action plugin of the same name does the work, on the controller.

from __future__ import annotations

DOCUMENTATION = r"""
module: portainer_token
author: LivChat (@livchat)
version_added: 0.1.0
short_description: Keeps an access token of Portainer in the vault
description:
  - Waits for Portainer, checks the token kept, and makes a new one when it is missing or refused.
attributes:
  check_mode:
    support: full
    description: Reports whether one would be made.
  diff_mode:
    support: none
    description: The result says what changed.
options:
  server:
    description: Name of the server.
    type: str
    required: true
  host:
    description: Host name of Portainer.
    type: str
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
    default: 300
"""

EXAMPLES = r"""
- name: Keep a token
  livchat.setup.portainer_token:
    server: prod
    host: portainer.example.com
    address: 203.0.113.7
"""

RETURN = r"""
{}
"""
