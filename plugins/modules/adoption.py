#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The action plugin of the same name does the work, on the controller.

from __future__ import annotations

DOCUMENTATION = r"""
module: adoption
author: LivChat (@livchat)
version_added: 0.1.0
short_description: Checks whether a server may be adopted under a name
description:
  - Checks what is asked for, finds the address of a host name, and holds both against the servers that are known.
  - A name that is an adopted server's is let through also with another address, as servers move. Whether it is the
    same one its host key tells, which is kept under the server's name.
attributes:
  check_mode:
    support: full
    description: It only reads.
  diff_mode:
    support: none
    description: It changes nothing.
options:
  name:
    description: Name of the server.
    type: str
    required: true
  address:
    description: IPv4 address or host name. The setting C(dns.resolvers) says who is asked for the latter.
    type: str
    required: true
  user:
    description: User that may become root.
    type: str
    default: root
  port:
    description: SSH port.
    type: int
    default: 22
  private_key:
    description: File of the operator's private key.
    type: str
    default: ""
  domain:
    description: Base domain of the server's applications; the server's name in the setting C(dns.zone) when not given.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Check what is asked for
  livchat.setup.adoption:
    name: old
    address: 203.0.113.9
  register: adoption
"""

RETURN = r"""
ip_address:
  description: Where the server is.
  returned: success
  type: str
domain:
  description: Base domain of its applications.
  returned: success
  type: str
user:
  description: The user.
  returned: success
  type: str
port:
  description: The SSH port.
  returned: success
  type: int
private_key:
  description: Absolute path of the operator's private key, or empty.
  returned: success
  type: str
known:
  description: Whether the server was adopted before.
  returned: success
  type: bool
status:
  description: The server's status.
  returned: success
  type: str
created_at:
  description: When it was adopted first.
  returned: success
  type: str
"""
