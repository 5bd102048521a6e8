#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The action plugin of the same name does the work, on the controller.

from __future__ import annotations

DOCUMENTATION = r"""
module: state
author:
  - LivChat (@livchat)
version_added: 0.1.0
short_description: Keeps the index of servers and applications
description:
  - Changes C(state.json) in the operator's home, whole or not at all.
attributes:
  check_mode:
    support: full
    description: Reports what would change.
  diff_mode:
    support: full
    description: Shows what the index says of the server, before and after.
options:
  server:
    description: Name of the server.
    type: str
    required: true
  state:
    description:
      - V(absent) forgets the O(instances), or, when that is not given, the server with its applications and secrets.
    type: str
    choices: [present, absent]
    default: present
  record:
    description: Fields of the server. Fields of C(metadata) that are not given stay as they are.
    type: dict
  applications:
    description: Entries of a plan that are installed now.
    type: list
    elements: dict
    default: []
  instances:
    description: Instances to forget.
    type: list
    elements: str
  removals:
    description:
      - Results of M(livchat.setup.removal) that were carried out. An application whose data is gone is forgotten.
        One whose data stays is remembered as C(uninstalled), with its volumes and databases.
    type: list
    elements: dict
    default: []
  deployment:
    description:
      - A deployment to remember, with the time. Given again with its C(id) it changes the one remembered.
      - Of a server's deployments one runs at a time; an earlier one that never ended becomes C(interrupted).
    type: dict
    suboptions:
      id:
        description: Its identifier, as the plan has it.
        type: str
        required: true
      operation:
        description: What was done, such as C(app.install).
        type: str
      apps:
        description: The instances it changes.
        type: list
        elements: str
      status:
        description: That it began, or how it ended.
        type: str
        choices: [running, successful, failed]
        required: true
"""

EXAMPLES = r"""
- name: Forget a server
  livchat.setup.state:
    server: prod
    state: absent
"""

RETURN = r"""
known:
  description: What the index said of the server before; empty when it did not know it.
  returned: success
  type: dict
"""
