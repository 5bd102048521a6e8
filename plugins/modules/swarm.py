#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: swarm
author: LivChat (@livchat)
version_added: 0.1.0
short_description: A Swarm manager with its overlay networks, in one remote call
description:
  - Makes the server the manager of a Swarm of its own, and makes the overlay networks.
  - Needs no Python package on the server, unlike M(community.docker.docker_swarm), and no call per network.
  - A Swarm that exists is left as it is; so are networks that exist.
attributes:
  check_mode:
    support: full
    description: Reports what would be made.
  diff_mode:
    support: none
    description: The result names what was made.
options:
  advertise_address:
    description: Address by which other nodes reach this one.
    type: str
    required: true
  address_pools:
    description: Where overlay networks take their addresses from.
    type: list
    elements: str
    required: true
  subnet_size:
    description: Prefix length of each overlay network.
    type: int
    default: 24
  networks:
    description: Names of attachable overlay networks.
    type: list
    elements: str
    default: []
  mtu:
    description: MTU of the networks, in bytes.
    type: int
    default: 1400
"""

EXAMPLES = r"""
- name: Start a Swarm
  livchat.setup.swarm:
    advertise_address: 203.0.113.7
    address_pools: [10.200.0.0/16]
    networks: [livchat_public, livchat_internal]
"""

RETURN = r"""
made:
  description: What was made.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._alone import be_alone
from ..module_utils._engine import EngineClient
from ..module_utils._errors import LivchatError, fail


class Swarm:
    """The Swarm this engine manages."""

    def __init__(self, module, engine):
        self._module = module
        self._engine = engine

    def ensure(self):
        wanted = self._module.params
        made = []
        state = self._engine.get("/info")["Swarm"]
        active = state["LocalNodeState"] == "active"
        if active and not state["ControlAvailable"]:
            raise LivchatError("SWARM_NOT_MANAGER", "this server is a worker of another Swarm; it must leave it first")
        if not active:
            made.append("swarm")
            if not self._module.check_mode:
                body = {
                    "ListenAddr": "0.0.0.0:2377",
                    "AdvertiseAddr": wanted["advertise_address"],
                    "DefaultAddrPool": wanted["address_pools"],
                    "SubnetSize": wanted["subnet_size"],
                }
                self._engine.call("POST", "/swarm/init", body=body)
        existing = {network["Name"]: network for network in self._engine.get("/networks")}
        for name in wanted["networks"]:
            if name not in existing:
                made.append(f"network {name}")
                if not self._module.check_mode:
                    self._engine.call("POST", "/networks/create", body=self._network(name))
            elif existing[name]["Driver"] != "overlay":
                raise LivchatError(
                    "NETWORK_CONFLICT", f"there is a network {name} that is no overlay network; remove it"
                )
        return made

    def _network(self, name):
        options = {"com.docker.network.driver.mtu": str(self._module.params["mtu"])}
        return {"Name": name, "Driver": "overlay", "Attachable": True, "Options": options}


def main():
    module = AnsibleModule(
        argument_spec={
            "advertise_address": {"type": "str", "required": True},
            "address_pools": {"type": "list", "elements": "str", "required": True},
            "subnet_size": {"type": "int", "default": 24},
            "networks": {"type": "list", "elements": "str", "default": []},
            "mtu": {"type": "int", "default": 1400},
        },
        supports_check_mode=True,
    )
    try:
        if not module.check_mode:
            be_alone()
        made = Swarm(module, EngineClient()).ensure()
    except LivchatError as error:
        fail(module, error)
    module.exit_json(changed=bool(made), made=made)


if __name__ == "__main__":
    main()
