# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""What the collection's action plugins share: the operator's home, and errors in the one shape."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ..module_utils._errors import LivchatError
from ._home import Home
from ._settings import Settings
from ._state import State
from ._vault import Vault


class LivchatAction(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """An action plugin: checks its arguments, does its work, answers with a result or with an error's object.

    A subclass says what it takes in ARGUMENTS (as AnsibleModule's argument_spec) and does it in `work`.
    """

    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {}
    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        _checked, arguments = self.validate_argument_spec(argument_spec=self.ARGUMENTS)
        self.variables = task_vars or {}
        self.home = Home(self._templar.template(self.variables.get("livchat_home")))
        self.vault = Vault(self.home)
        self.settings = Settings(self.home)
        self.state = State(self.home)
        try:
            result.update(self.work(arguments))
        except LivchatError as error:
            result.update(failed=True, msg=str(error), error=error.to_dict())
        return result

    @property
    def check_mode(self) -> bool:
        return bool(self._task.check_mode)

    def work(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        raise NotImplementedError

    def module(self, name: str, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        """Runs a module of the collection on the target."""
        result: dict[str, t.Any] = self._execute_module(
            module_name=f"livchat.setup.{name}", module_args=arguments, task_vars=self.variables
        )
        result.pop("invocation", None)
        return result

    def secret(self, path: str) -> str:
        """A secret that must exist by now.

        Raises:
            LivchatError: SECRET_MISSING
        """
        value = self.vault.get(path)
        if value is None:
            raise LivchatError("SECRET_MISSING", f"the vault holds no {path}", {"path": path})
        return value
