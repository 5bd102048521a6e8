#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The action plugin of the same name does the work, on the controller.

from __future__ import annotations

DOCUMENTATION = r"""
module: removal
author:
  - LivChat (@livchat)
version_added: 0.1.0
short_description: What removing an application would take away
description:
  - Finds what belongs to an instance, from the server's facts, C(state.json), the definitions and the vault.
  - Fails when something else needs the instance, when it is part of the server's setup, or when it is not ours.
attributes:
  check_mode:
    support: full
    description: Changes nothing.
  diff_mode:
    support: full
    description: Shows what would go, in words.
options:
  server:
    description: Name of the server.
    type: str
    required: true
  domain:
    description: The server's base domain.
    type: str
    required: true
  instance:
    description: Name of the instance.
    type: str
    required: true
  drop_data:
    description: Whether its volumes, databases and secrets are to go too.
    type: bool
    default: false
  facts:
    description: Result of M(livchat.setup.server_info).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Find what belongs to an application
  livchat.setup.removal:
    server: prod
    domain: prod.example.com
    instance: n8n
    facts: "{{ facts }}"
  register: found
"""

RETURN = r"""
removal:
  description: >-
    The app, whether anything was found, its hosts and volumes, the databases to drop, the path of its secrets in the
    vault if they are to go, what to remember of it otherwise, and in words what goes and what stays. No secret.
  returned: success
  type: dict
"""
