# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: vaulted
author:
  - LivChat (@livchat)
version_added: 0.1.0
short_description: A secret of the operator's vault
description:
  - Returns secrets of C(credentials.vault) in the operator's home, opened with the vault's password.
  - Use it only in parameters that are C(no_log).
options:
  _terms:
    description: Slash-separated paths, such as V(tokens/hetzner).
    required: true
    type: list
    elements: str
  livchat_home:
    description: The operator's home; E(LIVCHAT_HOME), else C(~/.livchat), when not given.
    type: path
    vars:
      - name: livchat_home
  optional:
    description: Whether an absent secret is an empty text rather than an error.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: List the keys at the provider
  hetzner.hcloud.ssh_key_info:
    api_token: "{{ lookup('livchat.setup.vaulted', 'tokens/hetzner') }}"
"""

RETURN = r"""
_raw:
  description: The secrets, in the order of the paths.
  type: list
  elements: str
"""

import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ..module_utils._errors import LivchatError
from ..plugin_utils._home import Home
from ..plugin_utils._vault import ENVIRONMENT, Vault


class LookupModule(LookupBase):  # type: ignore[misc]  # Ansible has no types
    def run(self, terms: list[t.Any], variables: dict[str, t.Any] | None = None, **kwargs: t.Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        vault = Vault(Home(self.get_option("livchat_home")))
        result = []
        for term in terms:
            try:
                value = vault.get(term)
            except LivchatError as error:
                raise AnsibleLookupError(str(error)) from error
            if value is None and not self.get_option("optional"):
                also = f" or the environment variable {ENVIRONMENT[term]}" if term in ENVIRONMENT else ""
                raise AnsibleLookupError(
                    f"SECRET_MISSING: the vault holds no {term}; set it with `livchat-setup init`{also}"
                )
            result.append(value or "")
        return result
