# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: secret_names
author:
  - LivChat (@livchat)
version_added: 0.1.0
short_description: The names of the secrets in the vault
description:
  - Returns the paths at which C(credentials.vault) in the operator's home holds a secret, and no secret.
options:
  _terms:
    description: Takes no terms.
  below:
    description: Only those below this path, such as V(servers/prod).
    type: str
  livchat_home:
    description: The operator's home; E(LIVCHAT_HOME), else C(~/.livchat), when not given.
    type: path
    vars:
      - name: livchat_home
"""

EXAMPLES = r"""
- name: Show which secrets a server has
  ansible.builtin.debug:
    msg: "{{ query('livchat.setup.secret_names', below='servers/prod') }}"
"""

RETURN = r"""
_raw:
  description: Slash-separated paths, in order.
  type: list
  elements: str
"""

import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ..module_utils._errors import LivchatError
from ..plugin_utils._home import Home
from ..plugin_utils._vault import Vault


class LookupModule(LookupBase):  # type: ignore[misc]  # Ansible has no types
    def run(self, terms: list[t.Any], variables: dict[str, t.Any] | None = None, **kwargs: t.Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        vault, below = Vault(Home(self.get_option("livchat_home"))), self.get_option("below")
        try:
            paths = vault.paths() if vault.exists() else []
        except LivchatError as error:
            raise AnsibleLookupError(str(error)) from error
        return [path for path in paths if not below or path.startswith(f"{below}/")]
