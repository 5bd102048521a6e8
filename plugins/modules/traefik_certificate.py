#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: traefik_certificate
author: LivChat (@livchat)
version_added: 0.1.0
short_description: Waits until Traefik has a certificate, and has it try again where it gave up
description:
  - Traefik asks the certificate authority once, when it first learns of a host name. If that fails, it serves a
    certificate of its own making and does not ask again for hours, however well the authority is by then.
  - This looks into Traefik's store until a certificate for the host name is there. Where Traefik's log says that it got
    none, it is restarted, once, which makes it ask again. If that fails too, so does the module, with what the log
    says.
  - Where there is no such service, nothing is done.
attributes:
  check_mode:
    support: full
    description: Does not wait, and restarts nothing.
  diff_mode:
    support: none
    description: The result says whether Traefik was restarted.
options:
  host:
    description: Host name that the certificate must cover; its wildcard will do.
    type: str
    required: true
  service:
    description: Name of Traefik's Swarm service.
    type: str
    default: traefik_traefik
  volume:
    description: Name of the volume with Traefik's store.
    type: str
    default: traefik_data
  store:
    description: Name of the store in the volume.
    type: str
    default: acme.json
  timeout:
    description: Seconds until the certificate must be there.
    type: int
    default: 300
"""

EXAMPLES = r"""
- name: Wait for the certificate
  livchat.setup.traefik_certificate:
    host: portainer.prod.example.com
"""

RETURN = r"""
domains:
  description: The names that the certificate stands for.
  returned: when there is one
  type: list
  elements: str
error:
  description: Code, message and details of what went wrong.
  returned: failure
  type: dict
"""

import json
import os
import re
import time

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._engine import EngineClient
from ..module_utils._errors import LivchatError, fail

ANSI = re.compile(r"\x1b\[[0-9;]*m")
FAILED = "Unable to obtain ACME certificate"
QUOTED = re.compile(r'error="((?:[^"\\]|\\.)*)"')
PAUSE = 0.5
# Lines of Traefik's log that are looked through.
LINES = 200
# Characters of what the authority said.
LONGEST = 500


class Traefik:
    """The service, its store, and what it says of certificates."""

    def __init__(self, module, engine):
        self._module = module
        self._engine = engine
        self._params = module.params
        self._restarted = False

    def wait(self):
        """Whether it had to be restarted, and the names of the certificate."""
        service = self._service()
        if service is None or self._module.check_mode:
            return False, []
        deadline = time.monotonic() + self._params["timeout"]
        while not (domains := self._domains()):
            said = self._refusal()
            if said and self._restarted:
                raise self._not_issued(said)
            if said:
                self._restart()
            elif time.monotonic() > deadline:
                raise self._not_issued("none came in %d s" % self._params["timeout"])
            time.sleep(PAUSE)
        return self._restarted, domains

    def _service(self):
        found = self._engine.get("/services", filters={"name": [self._params["service"]]})
        return next((one for one in found if one["Spec"]["Name"] == self._params["service"]), None)

    def _domains(self):
        """The names of a certificate in the store that covers the host."""
        try:
            folder = self._engine.get("/volumes/%s" % self._params["volume"])["Mountpoint"]
            with open(os.path.join(folder, self._params["store"]), encoding="utf-8") as handle:
                resolvers = json.load(handle)
            found = [one["domain"] for resolver in resolvers.values() for one in resolver.get("Certificates") or []]
        except (OSError, ValueError, KeyError, AttributeError, LivchatError):
            # Not there yet, or being written.
            return []
        host = self._params["host"]
        names = {host, "*." + host.partition(".")[2]}
        return next((all_of(one) for one in found if names & set(all_of(one))), [])

    def _refusal(self):
        """Why the tasks that run now got no certificate, in Traefik's words; empty when they say nothing of it."""
        for task in self._tasks():
            command = ["docker", "service", "logs", "--raw", "--tail", str(LINES), task["ID"]]
            _code, out, err = self._module.run_command(command)
            for line in reversed((out + err).splitlines()):
                if FAILED in line:
                    return said(line)
        return ""

    def _tasks(self):
        wanted = {"service": [self._params["service"]], "desired-state": ["running"]}
        return [one for one in self._engine.get("/tasks", filters=wanted) if one["Status"]["State"] == "running"]

    def _restart(self):
        """Has Swarm replace the task, which makes Traefik ask again."""
        before = {task["ID"] for task in self._tasks()}
        service = self._service()
        spec = service["Spec"]
        spec["TaskTemplate"]["ForceUpdate"] = spec["TaskTemplate"].get("ForceUpdate", 0) + 1
        path = "/services/%s/update" % service["ID"]
        self._engine.call("POST", path, {"version": service["Version"]["Index"]}, spec)
        self._restarted = True
        deadline = time.monotonic() + self._params["timeout"]
        while before & {task["ID"] for task in self._tasks()} or not self._tasks():
            if time.monotonic() > deadline:
                raise LivchatError("STACK_DEPLOY_FAILED", "%s does not start again" % self._params["service"])
            time.sleep(PAUSE)

    def _not_issued(self, reason):
        command = self._service()["Spec"]["TaskTemplate"]["ContainerSpec"].get("Args") or []
        server = next((one.partition("=")[2] for one in command if ".caserver=" in one), "")
        message = (
            "Traefik has no certificate for %s from %s: %s; see whether the server reaches that address and whether "
            "the DNS zone is delegated, then run this again, which makes Traefik ask again"
        ) % (self._params["host"], server or "the certificate authority", reason)
        return LivchatError("CERTIFICATE_NOT_ISSUED", message, {"host": self._params["host"], "authority": server})


def all_of(domain):
    return [domain["main"], *(domain.get("sans") or [])]


def said(line):
    """The error in a line of Traefik's log."""
    plain = ANSI.sub("", line)
    quoted = QUOTED.search(plain)
    words = quoted[1].replace('\\"', '"').replace("\\n", " ") if quoted else plain
    return " ".join(words.split())[:LONGEST]


def main():
    module = AnsibleModule(
        argument_spec={
            "host": {"type": "str", "required": True},
            "service": {"type": "str", "default": "traefik_traefik"},
            "volume": {"type": "str", "default": "traefik_data"},
            "store": {"type": "str", "default": "acme.json"},
            "timeout": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    try:
        restarted, domains = Traefik(module, EngineClient()).wait()
    except LivchatError as error:
        fail(module, error)
    module.exit_json(changed=restarted, domains=domains)


if __name__ == "__main__":
    main()
