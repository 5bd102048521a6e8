#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The action plugin of the same name does the work, on the controller.

from __future__ import annotations

DOCUMENTATION = r"""
module: answers
author: LivChat (@livchat)
version_added: 0.1.0
short_description: The answers of a survey as the parameters of an operation
description:
  - A survey of AWX or Semaphore answers with texts. This makes of them what an operation takes, checks it against the
    operation's JSON schema, and fills in the defaults. An empty text is no answer.
  - A list is given by commas, spaces or lines, a list whose items may be any text (a command) as words that a shell
    would read, a mapping as one KEY=VALUE a line; a list and a mapping also as JSON.
attributes:
  check_mode:
    support: full
    description: Changes nothing in either mode.
  diff_mode:
    support: none
    description: Changes nothing.
options:
  schema:
    description: JSON schema of the parameters, with C(properties) and C(required).
    type: dict
    required: true
  answers:
    description: The answers by parameter.
    type: dict
    required: true
  confirm:
    description: The parameter whose value the answer C(confirm_name) must repeat.
    type: str
    default: ""
  pattern:
    description: The parameter whose list of servers is handed on as one Ansible pattern.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Read the answers
  livchat.setup.answers:
    schema:
      properties:
        apps: {type: array, items: {type: string, pattern: "^[a-z0-9-]+$"}}
      required: [apps]
    answers:
      apps: n8n, wordpress
  register: survey
"""

RETURN = r"""
given:
  description: The parameters that were answered or have a default, by name.
  returned: success
  type: dict
"""
