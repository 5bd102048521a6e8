# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: deployments
author:
  - LivChat (@livchat)
version_added: 0.1.0
short_description: What was deployed on which server, and how it ended
description:
  - Returns deployments from the operator's index, the newest first.
options:
  _terms:
    description: Takes no terms.
  server:
    description: Only those of this server.
    type: str
  status:
    description: Only those in these states, of V(running), V(successful), V(failed) and V(interrupted).
    type: list
    elements: str
    default: []
  limit:
    description: How many at most, from 1 to 200.
    type: int
    default: 50
  before:
    description: Go on after this deployment, the last one of a page.
    type: str
  livchat_home:
    description: The operator's home; E(LIVCHAT_HOME), else C(~/.livchat), when not given.
    type: path
    vars:
      - name: livchat_home
"""

EXAMPLES = r"""
- name: Show what failed
  ansible.builtin.debug:
    msg: "{{ query('livchat.setup.deployments', server='prod', status='failed') }}"
"""

RETURN = r"""
_raw:
  description:
    - Of each its C(id), C(server), C(operation), C(apps) (names of instances), C(status), C(started_at) and
      C(finished_at).
  type: list
  elements: dict
"""

import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ..module_utils._errors import LivchatError
from ..plugin_utils._deployments import chosen
from ..plugin_utils._home import Home
from ..plugin_utils._state import State

STATES = ("running", "successful", "failed", "interrupted")


class LookupModule(LookupBase):  # type: ignore[misc]  # Ansible has no types
    def run(
        self, terms: list[t.Any], variables: dict[str, t.Any] | None = None, **kwargs: t.Any
    ) -> list[dict[str, t.Any]]:
        self.set_options(var_options=variables, direct=kwargs)
        status, limit = self.get_option("status"), self.get_option("limit")
        if wrong := [one for one in status if one not in STATES]:
            raise AnsibleLookupError(f"INPUT_INVALID: status: {wrong[0]!r}: not allowed; allowed: {', '.join(STATES)}")
        if not 1 <= limit <= 200:
            raise AnsibleLookupError(f"INPUT_INVALID: limit: {limit}: not allowed; allowed: 1 to 200")
        try:
            kept = State(Home(self.get_option("livchat_home"))).load()["deployments"]
            return chosen(kept, self.get_option("server"), status, limit, self.get_option("before"))
        except LivchatError as error:
            raise AnsibleLookupError(str(error)) from error
