#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: setup_record
author: LivChat (@livchat)
version_added: 0.1.0
short_description: Whether a server is still as the last setup left it, in one remote call
description:
  - After a setup, keeps on the server what was asked for and what the server then looked like, both as hashes.
  - Before the next one, tells whether the same is asked for and the server still looks the same, so that nothing needs
    to be gone through. Whatever differs, is missing or is older than O(max_age), makes the answer no.
  - What was asked for is a hash of the collection's version and roles, the settings, the operator's variables of the
    setup's roles, and the secrets they use. It is made on the controller, and only its hash leaves it.
attributes:
  check_mode:
    support: full
    description: Only reads.
  diff_mode:
    support: none
    description: The result says what differs.
options:
  state:
    description: >-
      V(read) compares, V(present) keeps a new record, V(absent) removes it, before anything is changed: a run that is
      interrupted leaves none.
    type: str
    choices: [read, present, absent]
    default: read
  files:
    description: Files whose content, owner and mode count; a pattern stands for all it matches.
    type: list
    elements: str
    default: []
  units:
    description: Units of systemd of which it counts whether they are enabled and active.
    type: list
    elements: str
    default: []
  packages:
    description: Packages whose state counts, and whose version counts if they are held.
    type: list
    elements: str
    default: []
  nftables:
    description: Tables of nftables whose rules count, with their family, such as V(inet livchat).
    type: list
    elements: str
    default: []
  stacks:
    description: Stacks of the Swarm whose services count, and must run.
    type: list
    elements: str
    default: []
  roles:
    description: Roles of the collection whose files and variables count.
    type: list
    elements: str
    default: []
  secrets:
    description: Paths in the vault whose values count.
    type: list
    elements: str
    default: []
  max_age:
    description: Seconds after which a record no longer counts, so that package updates are looked for now and then.
    type: int
    default: 86400
  wanted:
    description: The hash of what is asked for; set by the action plugin.
    type: str
"""

EXAMPLES = r"""
- name: Compare with what the last setup left
  livchat.setup.setup_record:
    roles: [docker]
    files: [/etc/docker/daemon.json]
    units: [docker.service]
    packages: [docker.io]
  register: record
"""

RETURN = r"""
current:
  description: Whether the server is as it should be.
  returned: when state is read
  type: bool
recorded:
  description: Whether there is a record at all.
  returned: when state is read
  type: bool
reason:
  description: Why it is not.
  returned: when state is read
  type: str
  sample: "these differ from what the last setup left: files"
"""

import glob
import hashlib
import json
import os
import tempfile
import time

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._engine import EngineClient
from ..module_utils._errors import LivchatError, fail

PATH = "/var/lib/livchat/setup.json"


class Observation:
    """What the server looks like, as one hash for each kind of thing."""

    def __init__(self, module):
        self._run = module.run_command
        self._params = module.params

    def hashes(self):
        kinds = {
            "files": self._files,
            "units": self._units,
            "packages": self._packages,
            "firewall": self._nftables,
            "swarm": self._swarm,
        }
        return {kind: _hash(look()) for kind, look in kinds.items()}

    def _files(self):
        seen = {}
        for pattern in self._params["files"]:
            for path in sorted(glob.glob(pattern)) or [pattern]:
                seen[path] = self._file(path)
        return seen

    @staticmethod
    def _file(path):
        if os.path.islink(path):
            return os.readlink(path)
        try:
            facts = os.stat(path)
            with open(path, "rb") as handle:
                content = hashlib.sha256(handle.read()).hexdigest()
        except OSError as error:
            return type(error).__name__
        return [content, facts.st_uid, facts.st_gid, facts.st_mode]

    def _units(self):
        if not self._params["units"]:
            return ""
        return self._run(["systemctl", "show", "--property=Id,ActiveState,UnitFileState", *self._params["units"]])[1]

    def _packages(self):
        if not self._params["packages"]:
            return []
        form = "${Package} ${db:Status-Want} ${db:Status-Status} ${Version}\n"
        _code, out, _error = self._run(["dpkg-query", "--show", "--showformat=" + form, *self._params["packages"]])
        return sorted(line if " hold " in line else line.rpartition(" ")[0] for line in out.splitlines())

    def _nftables(self):
        return [
            self._run(["nft", "--stateless", "list", "table", *one.split()])[:2] for one in self._params["nftables"]
        ]

    def _swarm(self):
        if not self._params["stacks"]:
            return []
        try:
            engine = EngineClient()
            networks = [(one["Name"], one["Driver"], one.get("IPAM")) for one in engine.get("/networks")]
            services = engine.get("/services", status=True)
        except LivchatError as error:
            return error.code
        seen = []
        for service in services:
            stack = (service["Spec"].get("Labels") or {}).get("com.docker.stack.namespace")
            if stack in self._params["stacks"]:
                status = service.get("ServiceStatus") or {}
                runs = status.get("RunningTasks") == status.get("DesiredTasks")
                seen.append([service["ID"], service["Spec"], runs])
        ours = [one for one in networks if one[0].startswith("livchat_")]
        return sorted(seen, key=lambda one: one[0]) + sorted(ours, key=lambda one: one[0])


class Record:
    """The file on the server."""

    def __init__(self, path):
        self._path = path

    def read(self):
        try:
            with open(self._path, encoding="utf-8") as handle:
                return json.load(handle)
        except (OSError, ValueError):
            return None

    def write(self, content):
        folder = os.path.dirname(self._path)
        os.makedirs(folder, mode=0o755, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file)
        os.replace(temporary, self._path)

    def remove(self):
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            return False
        return True


def _hash(value):
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def compare(kept, wanted, observed, now, max_age):
    """Why the server has to be gone through; nothing if it has not."""
    if not isinstance(kept, dict):
        return "no setup of this server has ended yet"
    if kept.get("wanted") != wanted:
        return "something else is asked for than at the last setup"
    if not 0 <= now - kept.get("at", 0) <= max_age:
        return "the last setup was too long ago"
    before = kept.get("observed", {})
    differing = sorted(kind for kind in observed if observed[kind] != before.get(kind))
    return "these differ from what the last setup left: %s" % ", ".join(differing) if differing else ""


def main():
    words = {"type": "list", "elements": "str", "default": []}
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["read", "present", "absent"], "default": "read"},
            "files": words,
            "units": words,
            "packages": words,
            "nftables": words,
            "stacks": words,
            "roles": words,
            # Paths, not values.
            "secrets": {**words, "no_log": False},
            "max_age": {"type": "int", "default": 86400},
            "wanted": {"type": "str"},
        },
        supports_check_mode=True,
    )
    params, record = module.params, Record(PATH)
    try:
        if params["state"] == "absent":
            if not module.check_mode:
                record.remove()
            # Of no interest to anybody but the next setup.
            module.exit_json(changed=False)
        if params["state"] == "present":
            if not module.check_mode:
                observed = Observation(module).hashes()
                record.write({"wanted": params["wanted"], "observed": observed, "at": int(time.time())})
            module.exit_json(changed=False)
        kept = record.read()
        # Looking takes time, and there may be nothing to compare with.
        observed = {} if kept is None else Observation(module).hashes()
        reason = compare(kept, params["wanted"], observed, time.time(), params["max_age"])
        module.exit_json(changed=False, current=not reason, recorded=kept is not None, reason=reason)
    except OSError as error:
        fail(module, LivchatError("SETUP_RECORD_FAILED", "%s: %s" % (PATH, error.strerror)))


if __name__ == "__main__":
    main()
