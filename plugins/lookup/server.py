# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: server
author:
  - LivChat (@livchat)
version_added: 0.1.0
short_description: The variables of a server that the state knows
description:
  - Returns what the inventory C(livchat.setup.hetzner) says of servers, from C(state.json) in the operator's home.
  - For a server that was made while the playbook runs, where the inventory cannot be read again, as in AWX, which
    hands over a list that is fixed when a job starts.
options:
  _terms:
    description: Names of servers.
    required: true
    type: list
    elements: str
  livchat_home:
    description: The operator's home; E(LIVCHAT_HOME), else C(~/.livchat), when not given.
    type: path
    vars:
      - name: livchat_home
"""

EXAMPLES = r"""
- name: Make a new server known
  ansible.builtin.add_host:
    name: prod
    ansible_host: "{{ lookup('livchat.setup.server', 'prod').ansible_host }}"
"""

RETURN = r"""
_raw:
  description: The variables of each server, in the order of the names.
  type: list
  elements: dict
"""

import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ..module_utils._errors import LivchatError
from ..plugin_utils import _hosts
from ..plugin_utils._home import Home
from ..plugin_utils._state import State


class LookupModule(LookupBase):  # type: ignore[misc]  # Ansible has no types
    def run(
        self, terms: list[t.Any], variables: dict[str, t.Any] | None = None, **kwargs: t.Any
    ) -> list[dict[str, t.Any]]:
        self.set_options(var_options=variables, direct=kwargs)
        home = Home(self.get_option("livchat_home"))
        try:
            servers = State(home).load()["servers"]
        except LivchatError as error:
            raise AnsibleLookupError(str(error)) from error
        if unknown := [name for name in terms if name not in servers]:
            raise AnsibleLookupError(f"SERVER_UNKNOWN: the state knows no server {', '.join(unknown)}")
        return [_hosts.variables(home, servers[name]) for name in terms]
