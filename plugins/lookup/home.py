# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: home
author: LivChat (@livchat)
version_added: 0.1.0
short_description: Paths in the operator's home
description: Says where a file of the operator's home is, whether it is there or not.
options:
  _terms:
    description: Paths relative to the home.
    type: list
    elements: str
    required: true
  livchat_home:
    description: The operator's home.
    type: path
    default: ~/.livchat
    env:
      - name: LIVCHAT_HOME
    vars:
      - name: livchat_home
"""

EXAMPLES = r"""
- name: Show where host keys are kept
  ansible.builtin.debug:
    msg: "{{ lookup('livchat.setup.home', 'known_hosts') }}"
"""

RETURN = r"""
_raw:
  description: The absolute paths.
  type: list
  elements: str
"""

import typing as t

from ansible.plugins.lookup import LookupBase

from ..plugin_utils._home import Home


class LookupModule(LookupBase):  # type: ignore[misc]  # Ansible has no types
    def run(self, terms: list[t.Any], variables: dict[str, t.Any] | None = None, **kwargs: t.Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        home = Home(self.get_option("livchat_home"))
        return [home.file(str(term)) for term in terms]
