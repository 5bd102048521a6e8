#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The action plugin of the same name does the work, on the controller.

from __future__ import annotations

DOCUMENTATION = r"""
module: operation
author: LivChat (@livchat)
version_added: 0.1.0
short_description: Jobs and tokens of the command line, the REST API and the MCP gateway
description:
  - Carries out an operation on what C(livchat-setup) itself keeps in the operator's home, which are jobs and tokens.
  - Whoever can run this may read and write the home, and so may do everything.
requirements:
  - livchat-setup (the Python package), on the controller
attributes:
  check_mode:
    support: full
    description: Checks the parameters, and changes nothing.
  diff_mode:
    support: none
    description: The audit log says what was changed.
options:
  name:
    description: Name of the operation, such as V(jobs.list), V(jobs.cancel) or V(token.create).
    type: str
    required: true
  parameters:
    description: Its parameters, as C(livchat-setup) documents them; texts are read as what the parameter is.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Make a token for a program
  livchat.setup.operation:
    name: token.create
    parameters: {name: ci, scopes: [deploy], days: 90}
  register: made

- name: Say where its key is
  ansible.builtin.debug:
    var: made.result.key_file
"""

RETURN = r"""
result:
  description:
    - What the operation answers with. A new key is not among it, but in a file of mode 0600 that C(key_file) names.
    - Nothing in check mode, for an operation that would change something.
  returned: success
  type: raw
error:
  description: Code, message and details of what went wrong.
  returned: failure
  type: dict
"""
