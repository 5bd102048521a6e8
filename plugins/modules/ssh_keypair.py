#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The action plugin of the same name does the work, on the controller.

from __future__ import annotations

DOCUMENTATION = r"""
module: ssh_keypair
author: LivChat (@livchat)
version_added: 0.1.0
short_description: A key pair for reaching a server
description:
  - Makes an SSH key pair in the operator's home (0600) with a copy in the vault. A key the vault has is put back.
attributes:
  check_mode:
    support: full
    description: Reports whether one would be made.
  diff_mode:
    support: none
    description: The result says what changed.
options:
  name:
    description: Name of the key, and of its file.
    type: str
    required: true
  type:
    description: Kind of a new key; V(rsa) has 4096 bits.
    type: str
    choices: [ed25519, rsa]
    default: ed25519
  state:
    description: V(absent) removes it from the disk and from the vault.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Make a key
  livchat.setup.ssh_keypair:
    name: prod
  register: key
"""

RETURN = r"""
created:
  description: Whether the key is new, and not one that the vault had.
  returned: when state is present
  type: bool
public_key:
  description: The public key as OpenSSH writes it.
  returned: when state is present
  type: str
path:
  description: Where the private key is.
  returned: when state is present
  type: str
"""
