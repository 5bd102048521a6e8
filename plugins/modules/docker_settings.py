#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_settings
author: LivChat (@livchat)
version_added: 0.1.0
short_description: The settings of Docker's daemon, which has always read what stands there
description:
  - Writes the daemon's settings, and has a daemon that runs read them, in one remote call. Settings that Docker itself
    refuses get no place; nor do half of them.
  - Once begun it goes on when the controller dies, so that settings which stand there are those that Docker has read.
  - Docker need not be installed yet.
attributes:
  check_mode:
    support: full
    description: Reports whether they would change.
  diff_mode:
    support: full
    description: Shows the file before and after.
options:
  settings:
    description: All of the settings, as in U(https://docs.docker.com/reference/cli/dockerd/#daemon-configuration-file).
    type: dict
    required: true
  path:
    description: Path of the file.
    type: path
    default: /etc/docker/daemon.json
"""

EXAMPLES = r"""
- name: Keep Docker's logs small
  livchat.setup.docker_settings:
    settings:
      log-driver: json-file
      log-opts: {max-size: 10m, max-file: "3"}
"""

RETURN = r"""
restarted:
  description: Whether Docker ran and was restarted.
  returned: success
  type: bool
error:
  description: Code, message and details of what went wrong.
  returned: failure
  type: dict
"""

import json
import os

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._errors import LivchatError, fail

UNIT = "docker.service"


class Settings:
    """The file, and the daemon that reads it."""

    def __init__(self, module):
        self._module = module
        self._path = module.params["path"]
        self.before = self._read()
        self.after = json.dumps(module.params["settings"], indent=4, sort_keys=True) + "\n"

    def write(self):
        """Whether Docker had to be restarted.

        Raises:
            LivchatError: DOCKER_SETTINGS_INVALID, DOCKER_RESTART_FAILED
        """
        os.makedirs(os.path.dirname(self._path), mode=0o755, exist_ok=True)
        new = self._path + ".new"
        with open(new, "w", encoding="utf-8") as handle:
            handle.write(self.after)
            handle.flush()
            os.fsync(handle.fileno())
        os.chmod(new, 0o644)
        try:
            self._validate(new)
        except LivchatError:
            os.unlink(new)
            raise
        os.replace(new, self._path)
        return self._restart()

    def _read(self):
        try:
            with open(self._path, encoding="utf-8") as handle:
                return handle.read()
        except FileNotFoundError:
            return ""

    def _validate(self, path):
        # One older than 23, and one that is not there yet, cannot tell.
        if not self._module.get_bin_path("dockerd") or self._failed(["dockerd", "--validate", "--help"]):
            return
        if said := self._failed(["dockerd", "--validate", "--config-file", path]):
            raise LivchatError("DOCKER_SETTINGS_INVALID", "Docker refuses the settings for %s: %s" % (self._path, said))

    def _restart(self):
        if self._failed(["systemctl", "is-active", UNIT]):
            return False
        if said := self._failed(["systemctl", "restart", UNIT]):
            message = "Docker does not start with the settings in %s: %s; see `journalctl -u docker`"
            raise LivchatError("DOCKER_RESTART_FAILED", message % (self._path, said))
        return True

    def _failed(self, command):
        """What a command that failed said; empty when it did not fail."""
        code, out, err = self._module.run_command(command)
        return (err or out).strip() or "it ended with %d" % code if code else ""


def main():
    module = AnsibleModule(
        argument_spec={
            "settings": {"type": "dict", "required": True},
            "path": {"type": "path", "default": "/etc/docker/daemon.json"},
        },
        supports_check_mode=True,
    )
    settings = Settings(module)
    changed, restarted = settings.before != settings.after, False
    if changed and not module.check_mode:
        try:
            restarted = settings.write()
        except LivchatError as error:
            fail(module, error)
    module.exit_json(
        changed=changed,
        restarted=restarted,
        diff={
            "before": settings.before,
            "after": settings.after,
            "before_header": module.params["path"],
            "after_header": module.params["path"],
        },
    )


if __name__ == "__main__":
    main()
