#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The action plugin of the same name does the work, on the controller.

from __future__ import annotations

DOCUMENTATION = r"""
module: home
author: LivChat (@livchat)
version_added: 0.1.0
short_description: The operator's home, ready for a run on a machine that has no home of its own
description:
  - Checks that the home is a directory that is there already, so that nothing is kept where it would be lost, and that
    its vault opens; sets settings; puts back SSH keys that the vault holds and the disk lacks.
  - Where E(LIVCHAT_VAULT_FILE) names a vault from elsewhere, the home may be a new directory that goes with the run.
attributes:
  check_mode:
    support: full
    description: Writes nothing, but to a home that goes with the run.
  diff_mode:
    support: full
    description: Shows the settings.
options:
  settings:
    description: Settings as C(config.yaml) has them, in sections; others that the home has stay.
    type: dict
    default: {}
  folder:
    description:
      - Folder in which the files are that settings such as C(acme.ca_file) name by a relative path. They are copied
        into the home, since that folder may be another with each run.
    type: path
    default: ""
  lasting:
    description: Refuses a vault that cannot be written, for what must not stop half-way for want of it.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Have the home ready
  livchat.setup.home:
    settings:
      dns:
        zone: example.com
"""

RETURN = r"""
path:
  description: Where the home is.
  returned: success
  type: str
restored:
  description: Names of the SSH keys that were put back.
  returned: success
  type: list
  elements: str
"""
