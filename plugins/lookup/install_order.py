# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: install_order
author:
  - LivChat (@livchat)
version_added: 0.1.0
short_description: Applications with all they depend on, in the order of installation
description:
  - Resolves dependencies level by level. The order is always the same for the same input.
options:
  _terms:
    description: Applications, as V(n8n) or V(n8n:cliente1) for an instance of another name; several also by commas.
    required: true
    type: list
    elements: str
  livchat_home:
    description: The operator's home, whose C(apps) folder may hold further definitions.
    type: path
    vars:
      - name: livchat_home
"""

EXAMPLES = r"""
- name: Show what comes before what
  ansible.builtin.debug:
    msg: "{{ query('livchat.setup.install_order', 'n8n', 'wordpress') }}"
    # postgres, redis, mysql, n8n, wordpress
"""

RETURN = r"""
_raw:
  description: Names of instances, dependencies first.
  type: list
  elements: str
"""

import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ..module_utils._errors import LivchatError
from ..plugin_utils._catalog import Catalog
from ..plugin_utils._home import Home
from ..plugin_utils._resolver import order


class LookupModule(LookupBase):  # type: ignore[misc]  # Ansible has no types
    def run(self, terms: list[t.Any], variables: dict[str, t.Any] | None = None, **kwargs: t.Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        # A text, as it stands on a command line, may name several.
        wanted = [
            one for term in terms for one in (term if isinstance(term, list) else str(term).replace(",", " ").split())
        ]
        try:
            return order(wanted, Catalog([Home(self.get_option("livchat_home")).file("apps")]))
        except LivchatError as error:
            raise AnsibleLookupError(str(error)) from error
