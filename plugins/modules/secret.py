#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The action plugin of the same name does the work, on the controller.

from __future__ import annotations

DOCUMENTATION = r"""
module: secret
author:
  - LivChat (@livchat)
version_added: 0.1.0
short_description: Makes the secrets that do not exist yet, or forgets them
description:
  - Generates secrets once and keeps them in the vault. A secret that exists is never changed.
  - Forgets those of an application whose data is gone.
attributes:
  check_mode:
    support: full
    description: Reports what would be made or forgotten.
  diff_mode:
    support: none
    description: The result says what changed.
options:
  entries:
    description: Entries of a plan.
    type: list
    elements: dict
    default: []
  state:
    description: Whether the secrets of O(entries) should exist, or those below O(paths) should not.
    type: str
    choices: [present, absent]
    default: present
  paths:
    description: Folders of the vault whose secrets to forget, such as V(servers/prod/apps/n8n).
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Make the secrets of a level
  livchat.setup.secret:
    entries: "{{ planned.plan.levels[0] }}"

- name: Forget the secrets of an application
  livchat.setup.secret:
    paths: [servers/prod/apps/n8n]
    state: absent
"""

RETURN = r"""
created:
  description: Paths of the new secrets in the vault.
  returned: success
  type: list
  elements: str
removed:
  description: Paths of the secrets that were forgotten.
  returned: success
  type: list
  elements: str
"""
