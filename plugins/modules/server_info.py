#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: server_info
author: LivChat (@livchat)
version_added: 0.1.0
short_description: Everything a plan needs to know of a server, in one remote call
description:
  - Reads the machine, the Docker engine, and the Swarm's services with their labels.
  - Works where Docker is not installed yet.
attributes:
  check_mode:
    support: full
    description: Changes nothing.
  diff_mode:
    support: none
    description: Changes nothing.
"""

EXAMPLES = r"""
- name: Read the server
  livchat.setup.server_info:
  register: facts
"""

RETURN = r"""
server:
  description: Host name, operating system, processors, memory in MB and disk in GB (of /var/lib/docker's file system).
  returned: always
  type: dict
docker:
  description: Whether Docker is installed, its version, and the state of its Swarm.
  returned: always
  type: dict
setup_at:
  description: When the last setup of the server ended, or empty.
  returned: always
  type: str
services:
  description: Swarm's services with stack, image, replicas wanted and running, and their labels.
  returned: always
  type: list
  elements: dict
networks:
  description: Names of networks.
  returned: always
  type: list
  elements: str
secrets:
  description: Names of Swarm secrets.
  returned: always
  type: list
  elements: str
configs:
  description: Names of Swarm configs.
  returned: always
  type: list
  elements: str
volumes:
  description: Names of volumes.
  returned: always
  type: list
  elements: str
"""

import datetime
import json
import os
import platform
import shutil

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._engine import SOCKET, EngineClient
from ..module_utils._errors import LivchatError, fail

# Where M(livchat.setup.setup_record) keeps how the last setup left the server.
SETUP_RECORD = "/var/lib/livchat/setup.json"
DOCKER_FOLDER = "/var/lib/docker"


class ServerInfo:
    """Reads one server."""

    def __init__(self, engine):
        self._engine = engine

    def read(self):
        facts = {"server": self._server(), "docker": {"installed": os.path.exists(SOCKET), "swarm": {"active": False}}}
        facts["setup_at"] = self._setup_at()
        facts.update(services=[], networks=[], secrets=[], configs=[], volumes=[])
        if not facts["docker"]["installed"]:
            return facts
        info = self._engine.get("/info")
        swarm = info.get("Swarm", {})
        active = swarm.get("LocalNodeState") == "active"
        facts["docker"].update(
            version=info["ServerVersion"],
            swarm={
                "active": active,
                "node_id": swarm.get("NodeID", ""),
                "cluster_id": (swarm.get("Cluster") or {}).get("ID", ""),
                "is_manager": bool(swarm.get("ControlAvailable")),
            },
        )
        facts["networks"] = sorted({one["Name"] for one in self._engine.get("/networks")})
        facts["volumes"] = sorted(one["Name"] for one in self._engine.get("/volumes")["Volumes"] or [])
        if swarm.get("ControlAvailable"):
            facts["services"] = [self._service(one) for one in self._engine.get("/services", status=True)]
            facts["secrets"] = sorted(one["Spec"]["Name"] for one in self._engine.get("/secrets"))
            facts["configs"] = sorted(one["Spec"]["Name"] for one in self._engine.get("/configs"))
        return facts

    @staticmethod
    def _service(service):
        spec = service["Spec"]
        labels = spec.get("Labels") or {}
        status = service.get("ServiceStatus") or {}
        return {
            "name": spec["Name"],
            "stack": labels.get("com.docker.stack.namespace", ""),
            "image": spec["TaskTemplate"]["ContainerSpec"]["Image"],
            "replicas": status.get("DesiredTasks", 0),
            "running": status.get("RunningTasks", 0),
            "labels": labels,
            "update_state": (service.get("UpdateStatus") or {}).get("State", ""),
        }

    @staticmethod
    def _setup_at():
        try:
            with open(SETUP_RECORD, encoding="utf-8") as handle:
                moment = json.load(handle)["at"]
        except (OSError, ValueError, KeyError, TypeError):
            return ""
        return datetime.datetime.fromtimestamp(int(moment), datetime.timezone.utc).isoformat(timespec="seconds")

    @staticmethod
    def _server():
        release = {}
        with open("/etc/os-release", encoding="utf-8") as handle:
            for line in handle:
                key, _sep, value = line.strip().partition("=")
                release[key] = value.strip('"')
        memory = {}
        with open("/proc/meminfo", encoding="utf-8") as handle:
            for line in handle:
                key, _sep, value = line.partition(":")
                memory[key] = int(value.split()[0]) // 1024
        # Docker's folder may be a file system of its own, and is where applications need room.
        disk = shutil.disk_usage(DOCKER_FOLDER if os.path.isdir(DOCKER_FOLDER) else os.path.dirname(DOCKER_FOLDER))
        return {
            "hostname": platform.node(),
            "os": {
                "id": release.get("ID", ""),
                "version": release.get("VERSION_ID", ""),
                "codename": release.get("VERSION_CODENAME", ""),
                "architecture": platform.machine(),
            },
            "cpu_cores": os.cpu_count(),
            "memory_mb": memory["MemTotal"],
            "memory_free_mb": memory["MemAvailable"],
            "swap_mb": memory["SwapTotal"],
            "disk_gb": disk.total // 10**9,
            "disk_free_gb": disk.free // 10**9,
        }


def main():
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    try:
        module.exit_json(changed=False, **ServerInfo(EngineClient()).read())
    except LivchatError as error:
        fail(module, error)


if __name__ == "__main__":
    main()
