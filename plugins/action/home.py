# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import typing as t

import yaml

from ..module_utils._errors import LivchatError
from ..plugin_utils import _keys
from ..plugin_utils._action import LivchatAction
from ..plugin_utils._https import read_authority
from ..plugin_utils._settings import FILES, check, flatten


class ActionModule(LivchatAction):
    """See plugins/modules/home.py."""

    ARGUMENTS: t.ClassVar = {
        "settings": {"type": "dict", "default": {}},
        "folder": {"type": "path", "default": ""},
        "lasting": {"type": "bool", "default": False},
    }

    def work(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        if arguments["lasting"]:
            self.vault.check_writable()
        if self.vault.carried:
            self._make_home()
        elif not os.path.isdir(self.home.path):
            message = (
                f"{self.home.path} is no directory: make it, on a disk that lasts, and let this run see it; what would "
                "be made here instead, keys and passwords of servers, would be lost with this run"
            )
            raise LivchatError("HOME_MISSING", message, {"home": self.home.path})
        if self.vault.exists():
            self.vault.verify()
        # Ansible's texts know where they come from, which YAML cannot write.
        plain = json.loads(json.dumps(arguments["settings"]))
        wanted = dict(flatten(plain))
        copied = self._copy_files(wanted, arguments["folder"]) if arguments["folder"] else False
        changed, diff = self._set(wanted)
        restored = _keys.missing(self.home, self.vault)
        if self._may_write:
            for name in restored:
                _keys.write(self.home, name, self.secret(f"{_keys.FOLDER}/{name}"))
        # A home that goes when the run does is none of what anybody manages.
        changed = not self.vault.carried and (changed or copied or bool(restored))
        return {"changed": changed, "path": self.home.path, "restored": restored, "diff": diff}

    @property
    def _may_write(self) -> bool:
        return bool(self.vault.carried) or not self.check_mode

    def _make_home(self) -> None:
        """Makes the one that goes with the run.

        Raises:
            LivchatError: HOME_UNWRITABLE
        """
        try:
            self.home.make()
        except LivchatError as error:
            message = (
                f"{error.message}. With a vault that is brought along, LIVCHAT_HOME has to be a directory that any run "
                "can make, such as /tmp/livchat: the same for the inventory, which says where SSH keys are"
            )
            raise LivchatError(error.code, message, error.details) from error

    def _copy_files(self, wanted: dict[str, t.Any], folder: str) -> bool:
        """Puts files of the folder into the home, which lasts longer, and has the settings name them there.

        Raises:
            LivchatError: CA_FILE_INVALID
        """
        changed = False
        for key in FILES:
            value = wanted.get(key)
            if not isinstance(value, str) or not value or value.startswith(("/", "~")):
                continue
            text = read_authority(os.path.join(folder, value))
            name = os.path.join("certificates", f"{key}.pem")
            wanted[key] = self.home.file(name)
            if self.home.read(name) != text:
                changed = True
                if self._may_write:
                    self.home.write(name, text, back_up=False)
        return changed

    def _set(self, wanted: dict[str, t.Any]) -> tuple[bool, dict[str, str]]:
        for key, value in wanted.items():
            check(key, value)
        before = self.settings.all()
        after = {**before, **wanted}
        if self._may_write:
            self.settings.update(wanted)
        return after != before, {
            "before_header": "config.yaml",
            "after_header": "config.yaml",
            "before": yaml.safe_dump(before),
            "after": yaml.safe_dump(after),
        }
