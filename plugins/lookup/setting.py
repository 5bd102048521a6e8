# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: setting
author:
  - LivChat (@livchat)
version_added: 0.1.0
short_description: A setting of the operator's config.yaml
description:
  - Returns the value of settings of C(config.yaml) in the operator's home, or their defaults.
options:
  _terms:
    description: Dotted names of settings, such as V(acme.email).
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
- name: Show the zone
  ansible.builtin.debug:
    msg: "{{ lookup('livchat.setup.setting', 'dns.zone') }}"
"""

RETURN = r"""
_raw:
  description: The values, in the order of the names.
  type: list
  elements: raw
"""

import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ..module_utils._errors import LivchatError
from ..plugin_utils._home import Home
from ..plugin_utils._settings import Settings


class LookupModule(LookupBase):  # type: ignore[misc]  # Ansible has no types
    def run(self, terms: list[t.Any], variables: dict[str, t.Any] | None = None, **kwargs: t.Any) -> list[t.Any]:
        self.set_options(var_options=variables, direct=kwargs)
        settings = Settings(Home(self.get_option("livchat_home")))
        try:
            return [settings.get(term) for term in terms]
        except LivchatError as error:
            raise AnsibleLookupError(str(error)) from error
