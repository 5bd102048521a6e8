#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The action plugin of the same name does the work, on the controller.

from __future__ import annotations

DOCUMENTATION = r"""
module: loss
author: LivChat (@livchat)
version_added: 0.1.0
short_description: What destroying a server would lose
description:
  - Says which applications with which volumes, databases and host names go with a server, what else is on it, and
    which DNS records are removed.
  - Knows it from what the server says of itself, or, where it does not answer, from the operator's index.
attributes:
  check_mode:
    support: full
    description: It only reads.
  diff_mode:
    support: none
    description: It changes nothing.
options:
  server:
    description: Name of the server.
    type: str
    required: true
  facts:
    description: What M(livchat.setup.server_info) returned, or nothing where the server does not answer.
    type: dict
    default: {}
  dns_records:
    description: Names of the DNS records that would be removed.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Say what would be lost
  livchat.setup.loss:
    server: prod
    facts: "{{ hostvars.prod.facts }}"
  register: destroying
"""

RETURN = r"""
loss:
  description: What is lost, and the same in words.
  returned: success
  type: dict
  contains:
    server:
      description: Name of the server.
      type: str
    domain:
      description: Its base domain.
      type: str
    provider:
      description: Where it is; empty when nothing is known of it.
      type: str
    ip_address:
      description: Its address.
      type: str
    removed:
      description: Whether the machine itself goes. An adopted one is only forgotten.
      type: bool
    reachable:
      description: Whether the server itself told what is on it.
      type: bool
    applications:
      description: Instances with their app, version, volumes, host names, and the instances that keep data for them.
      type: list
      elements: dict
    strangers:
      description: Names of services and volumes that livchat.setup did not make.
      type: dict
    dns_records:
      description: Names of DNS records.
      type: list
      elements: str
    summary:
      description: All of it in sentences.
      type: list
      elements: str
"""
