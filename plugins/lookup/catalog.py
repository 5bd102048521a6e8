# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: catalog
author:
  - LivChat (@livchat)
version_added: 0.1.0
short_description: The applications that can be installed
description:
  - Returns what a person choosing an application wants to know of each, by category and name.
options:
  _terms:
    description: Names of applications; all of them when none is given.
    type: list
    elements: str
  definition:
    description: Return whole definitions instead, in the order of the names that are given.
    type: bool
    default: false
  livchat_home:
    description: The operator's home, whose C(apps) folder may hold further definitions.
    type: path
    vars:
      - name: livchat_home
"""

EXAMPLES = r"""
- name: Show what there is
  ansible.builtin.debug:
    msg: "{{ query('livchat.setup.catalog') | map(attribute='name') }}"

- name: Show where an application's image comes from
  ansible.builtin.debug:
    msg: "{{ lookup('livchat.setup.catalog', 'n8n', definition=true).source }}"

- name: Show one
  ansible.builtin.debug:
    msg: "{{ lookup('livchat.setup.catalog', 'n8n') }}"
"""

RETURN = r"""
_raw:
  description:
    - For each application its C(name), C(title), C(description), C(category), C(homepage), C(license), C(version),
      C(dependencies), C(requirements), C(domains) and C(variables); or its definition.
  type: list
  elements: dict
"""

import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ..module_utils._errors import LivchatError
from ..plugin_utils._catalog import Catalog
from ..plugin_utils._home import Home


class LookupModule(LookupBase):  # type: ignore[misc]  # Ansible has no types
    def run(
        self, terms: list[t.Any], variables: dict[str, t.Any] | None = None, **kwargs: t.Any
    ) -> list[dict[str, t.Any]]:
        self.set_options(var_options=variables, direct=kwargs)
        catalog = Catalog([Home(self.get_option("livchat_home")).file("apps")])
        try:
            if self.get_option("definition"):
                return [dict(catalog.get(name)) for name in terms or catalog.names()]
            for term in terms:
                catalog.file(term)
            return [one for one in catalog.info() if not terms or one["name"] in terms]
        except LivchatError as error:
            raise AnsibleLookupError(str(error)) from error
