#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The action plugin of the same name does the work, on the controller.

from __future__ import annotations

DOCUMENTATION = r"""
module: plan
author:
  - LivChat (@livchat)
version_added: 0.1.0
short_description: What installing applications would change
description:
  - Computes the plan from the server's facts, the definitions and the vault. Reads, and changes nothing.
attributes:
  check_mode:
    support: full
    description: Changes nothing.
  diff_mode:
    support: full
    description: Shows the plan in words.
options:
  server:
    description: Name of the server.
    type: str
    required: true
  address:
    description: Public IPv4 address of the server.
    type: str
    required: true
  domain:
    description: The server's base domain.
    type: str
    required: true
  apps:
    description: Applications, as V(n8n) or V(n8n:cliente1), as a list or separated by commas.
    type: raw
    required: true
  variables:
    description: Values for the definitions' variables, by instance.
    type: dict
    default: {}
  facts:
    description: Result of M(livchat.setup.server_info).
    type: dict
    required: true
  backend:
    description:
      - Who is to deploy stacks, Docker's own command or Portainer.
      - It holds for applications that are asked for by name, and new ones; others stay with whom they have.
    type: str
    choices: [docker, portainer]
    default: docker
"""

EXAMPLES = r"""
- name: Plan
  livchat.setup.plan:
    server: prod
    address: 203.0.113.7
    domain: prod.example.com
    apps: n8n
    facts: "{{ facts }}"
  register: planned
"""

RETURN = r"""
plan:
  description: Levels of entries, images, DNS records, a summary in words, and whether anything changes. No secret.
  returned: success
  type: dict
"""
