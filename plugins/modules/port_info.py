#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: port_info
author: LivChat (@livchat)
version_added: 0.1.0
short_description: Which programs listen on which ports
description:
  - Reads what listens on the given ports of a server, and the name of the program that does.
  - Asks the kernel alone, so that nothing has to be installed.
attributes:
  check_mode:
    support: full
    description: It only reads.
  diff_mode:
    support: N/A
    description: It changes nothing.
options:
  tcp:
    description: TCP ports.
    type: list
    elements: int
    default: []
  udp:
    description: UDP ports.
    type: list
    elements: int
    default: []
"""

EXAMPLES = r"""
- name: See whether anything has the ports of a web server
  livchat.setup.port_info:
    tcp: [80, 443]
  register: ports
"""

RETURN = r"""
listening:
  description: The ports that are taken.
  returned: always
  type: list
  elements: dict
  contains:
    protocol:
      description: V(tcp) or V(udp).
      type: str
    port:
      description: The port.
      type: int
    program:
      description: Name of the program, or V(unknown) for what the kernel itself listens for.
      type: str
    pid:
      description: Number of its process, or 0.
      type: int
  sample: [{protocol: tcp, port: 80, program: nginx, pid: 812}]
"""

import os

from ansible.module_utils.basic import AnsibleModule

# Of /proc/net/tcp and /proc/net/udp: a TCP socket that listens, a UDP socket that is bound.
LISTENING = {"tcp": "0A", "udp": "07"}


def sockets(protocol, ports, proc="/proc"):
    """Inodes of sockets that listen on the ports, with the port."""
    found = {}
    for name in (protocol, protocol + "6"):
        try:
            with open(os.path.join(proc, "net", name), encoding="ascii") as handle:
                lines = handle.read().splitlines()[1:]
        except FileNotFoundError:
            continue
        for line in lines:
            fields = line.split()
            port = int(fields[1].rpartition(":")[2], 16)
            if port in ports and fields[3] == LISTENING[protocol]:
                found[fields[9]] = port
    return found


def holders(inodes, proc="/proc"):
    """The process that has each of the sockets open."""
    found = {}
    wanted = {"socket:[%s]" % inode: inode for inode in inodes}
    for pid in filter(str.isdigit, os.listdir(proc)):
        folder = os.path.join(proc, pid, "fd")
        try:
            for name in os.listdir(folder):
                inode = wanted.get(os.readlink(os.path.join(folder, name)))
                if inode and inode not in found:
                    with open(os.path.join(proc, pid, "comm"), encoding="utf-8", errors="replace") as handle:
                        found[inode] = (int(pid), handle.read().strip())
        except OSError:
            # It ended meanwhile.
            continue
    return found


def read(wanted, proc="/proc"):
    listening = []
    for protocol, ports in wanted.items():
        inodes = sockets(protocol, set(ports), proc) if ports else {}
        known = holders(inodes, proc)
        for inode, port in inodes.items():
            pid, program = known.get(inode, (0, "unknown"))
            one = {"protocol": protocol, "port": port, "program": program, "pid": pid}
            if one not in listening:
                listening.append(one)
    return sorted(listening, key=lambda one: (one["protocol"], one["port"], one["pid"]))


def main():
    ports = {"type": "list", "elements": "int", "default": []}
    module = AnsibleModule(argument_spec={"tcp": ports, "udp": ports}, supports_check_mode=True)
    module.exit_json(changed=False, listening=read({"tcp": module.params["tcp"], "udp": module.params["udp"]}))


if __name__ == "__main__":
    main()
