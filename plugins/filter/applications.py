# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: applications
author: LivChat (@livchat)
version_added: 0.1.0
short_description: The applications that a server's services tell of
description:
  - Reads the labels of the services that M(livchat.setup.server_info) found. Stacks that are not ours are left out.
options:
  _input:
    description: What M(livchat.setup.server_info) returned.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what is installed
  ansible.builtin.debug:
    msg: "{{ facts | livchat.setup.applications }}"
"""

RETURN = r"""
_value:
  description: >-
    Of each application its instance, app, version, the number of services, of tasks that run and that are wanted,
    its volumes, host names, and the instances that it depends on.
  type: list
  elements: dict
"""

import typing as t

from ..plugin_utils._applications import applications


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"applications": applications}
