#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: hetzner_server
author: LivChat (@livchat)
version_added: 0.1.0
short_description: A server at Hetzner with its SSH key and the firewall of all our servers
description:
  - Creates a server with all that belongs to it, or leaves nothing behind. Whether the server can be had is asked
    before anything is made. What a run that was killed left half made is taken up by the next one, or made anew.
  - A server that exists is never rebuilt, resized or moved; a difference is a warning. Its labels and its firewall are
    put right.
  - Only servers that this collection made are touched. They carry the labels C(managed-by=livchat-setup) and
    C(livchat-key), which names the key they were made with.
  - One firewall, C(livchat-setup), covers all of them. It admits SSH, HTTP, HTTPS and ICMP from everywhere, and Swarm's
    ports (2377/tcp, 7946/tcp and udp, 4789/udp) from the other servers of ours only.
  - Where M(hetzner.hcloud.server) and its siblings would need five calls, each with its own start-up, and know nothing
    of one another when one fails, this is one.
requirements:
  - hcloud >= 2.10, on the controller
attributes:
  check_mode:
    support: full
    description: Only reads.
  diff_mode:
    support: full
    description: Shows the server before and after.
options:
  name:
    description: Name of the server.
    type: str
    required: true
  state:
    description: Whether it should be there. V(absent) removes its data for ever.
    type: str
    choices: [present, absent]
    default: present
  server_type:
    description: Hetzner's name of the type, such as V(cx23).
    type: str
  location:
    description: Hetzner's name of the location, such as V(nbg1).
    type: str
  image:
    description: Hetzner's name of the system image, such as V(debian-13).
    type: str
  public_key:
    description: Public key, as OpenSSH writes it, that lets the operator in.
    type: str
  labels:
    description: Labels of the server beside our own.
    type: dict
    default: {}
  domain:
    description: Base domain of the server's applications, kept in the label C(livchat-domain).
    type: str
  api_token:
    description: Token of the project, with the right to read and write.
    type: str
  api_endpoint:
    description: Address of the API.
    type: str
    default: https://api.hetzner.cloud/v1
  timeout:
    description: Seconds an action of the provider may take.
    type: int
    default: 300
  patience:
    description:
      - Most seconds that the module goes on trying, all in all, while the API asks to wait, has a fault or does not
        answer.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Create a server
  livchat.setup.hetzner_server:
    name: prod
    server_type: cx23
    location: nbg1
    image: debian-13
    public_key: "{{ key.public_key }}"
    domain: prod.example.com
    api_token: "{{ lookup('livchat.setup.vaulted', 'tokens/hetzner') }}"
  delegate_to: localhost
"""

RETURN = r"""
server:
  description: The server, or what it would be in check mode.
  returned: when state is present
  type: dict
  sample: {id: "42", name: prod, ip_address: 192.0.2.7, status: running, created_at: "2026-01-02T03:04:05+00:00",
    server_type: cx23, location: nbg1, image: debian-13, labels: {managed-by: livchat-setup}, ssh_key_id: "7"}
created:
  description: Whether this run made the server.
  returned: when state is present
  type: bool
error:
  description: Code, message and details of what went wrong.
  returned: failure
  type: dict
"""

import base64
import binascii
import contextlib
import hashlib
import traceback

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ..module_utils._errors import LivchatError, fail
from ..module_utils._hetzner import (
    OPTIONS,
    check_location,
    client_of,
    in_words,
    places,
    provider_error,
    refused,
    server_type,
)
from ..module_utils._patience import TransientError

try:
    from hcloud import APIException
    from hcloud.actions.domain import ActionException
    from hcloud.firewalls.domain import FirewallResource, FirewallRule
    from hcloud.images import Image
    from hcloud.locations import Location
    from hcloud.server_types import ServerType

    IMPORT_ERROR = ""
except ImportError:
    IMPORT_ERROR = traceback.format_exc()

MANAGED = {"managed-by": "livchat-setup"}
SELECTOR = "managed-by=livchat-setup"
FIREWALL = "livchat-setup"
EVERYWHERE = ["0.0.0.0/0", "::/0"]
# docs.docker.com/engine/swarm/swarm-tutorial: control plane, gossip, overlay traffic.
SWARM_PORTS = (("tcp", "2377"), ("tcp", "7946"), ("udp", "7946"), ("udp", "4789"))
# What Hetzner says when it has no room for a server, though its list of types may say otherwise.
NO_ROOM = ("resource_unavailable", "placement_error")


class Project:
    """Our servers in a project of Hetzner's, their keys and their firewall."""

    def __init__(self, client, name, timeout, check_mode):
        self._client = client
        self._name = name
        self._timeout = timeout
        self._check_mode = check_mode
        self.warnings = []
        self.changes = []
        self.created = False

    # --- present
    def present(self, wanted):
        ours = self._client.servers.get_all(label_selector=SELECTOR)
        server = next((one for one in ours if one.name == self._name), None)
        if server is not None and server.status == "deleting":
            self._remove(server)
            ours = [one for one in ours if one is not server]
            server = None
        if server is None:
            self._check_name_is_free()
        elif self._is_half_made(server, wanted):
            self.changes.append("remove the server that an earlier run left half made")
            if not self._check_mode:
                self._remove(server)
            ours = [one for one in ours if one is not server]
            server = None
        if server is None:
            return self._create(wanted, ours)
        return self._keep(server, wanted, ours)

    def _create(self, wanted, ours):
        server_type = self._check_supply(wanted["server_type"], wanted["location"])
        image = self._image(wanted["image"], server_type)
        self.changes.append(
            "create server %s: %s at %s with %s" % (self._name, server_type.name, wanted["location"], image.name)
        )
        if self._check_mode:
            return dict(self._planned(wanted), ssh_key_id="")
        made = []
        try:
            key = self._key(wanted["public_key"], made)
            parts = {
                "server_type": ServerType(id=server_type.id),
                "image": Image(id=image.id),
                "location": Location(name=wanted["location"]),
                "ssh_keys": [key],
                "labels": self._labels(wanted),
            }
            server, wall = self._ordered_behind_a_firewall(wanted, parts, made, ours)
            server.reload()
            self._admit_all(wall, ours)
        except (APIException, ActionException, LivchatError) as error:
            left = self._undo(made)
            raise self._creation_failed(error, left, wanted) from error
        self.created = True
        return self._described(server, key.id)

    def _ordered_behind_a_firewall(self, wanted, parts, made, ours):
        wall = self._firewall(ours, made)
        try:
            return self._ordered(wanted, dict(parts, firewalls=[wall]), made), wall
        except APIException:
            there = self._client.firewalls.get_by_name(FIREWALL)
            if there is not None and there.id == wall.id:
                raise
        # Another run took away its last server, or failed to make its first, and the firewall with it.
        wall = self._firewall(ours, made)
        return self._ordered(wanted, dict(parts, firewalls=[wall]), made), wall

    def _ordered(self, wanted, parts, made):
        """Orders the server and waits for it. An answer that was lost is no reason to order another."""
        try:
            response = self._client.servers.create(name=self._name, **parts)
        except (APIException, TransientError) as error:
            if isinstance(error, APIException) and error.code != "uniqueness_error":
                raise
            server = self._taken_up(wanted, made)
            if server is None:
                raise
            return server
        made.append(("server", response.server))
        for action in [response.action, *response.next_actions]:
            self._wait(action)
        return response.server

    def _taken_up(self, wanted, made):
        """The server of an order whose outcome is not known, finished; None if there is none of ours."""
        try:
            server = self._client.servers.get_by_name(self._name)
        except (APIException, TransientError):
            made.append(("server", None))
            return None
        if server is None or server.labels.get("livchat-key") != _short(wanted["public_key"]):
            return None
        made.append(("server", server))
        for action in server.get_actions():
            self._wait(action)
        return server

    def _keep(self, server, wanted, ours):
        for field, has in (
            ("server_type", server.server_type.name),
            ("location", server.location.name),
            ("image", server.image.name if server.image else None),
        ):
            if has and has != wanted[field]:
                self.warnings.append(
                    "server %s has %s %s and keeps it; %s was asked for" % (self._name, field, has, wanted[field])
                )
        if server.status in ("initializing", "starting") and not self._check_mode:
            for action in server.get_actions(status=["running"]):
                self._wait(action)
            server.reload()
        labels = {**server.labels, **self._labels(wanted)}
        if labels != server.labels:
            self.changes.append("set the labels of server %s" % self._name)
            if not self._check_mode:
                server = server.update(labels=labels)
        key = self._client.ssh_keys.get_by_fingerprint(_fingerprint(wanted["public_key"]))
        if key is None:
            self.changes.append("register the key of server %s" % self._name)
            if not self._check_mode:
                key = self._key(wanted["public_key"], [])
        self._keep_firewall(server, ours)
        return self._described(server, key.id if key else "")

    def _is_half_made(self, server, wanted):
        """Whether the server's creation failed. One made with another key is refused: it is somebody's."""
        if server.labels.get("livchat-key") != _short(wanted["public_key"]):
            message = (
                "there is a server %s already, which was made with a key that this home does not have; "
                "use another name, the home it was made from, or adopt it" % self._name
            )
            raise LivchatError("SERVER_NAME_CONFLICT", message, {"name": self._name, "id": server.id})
        failed = {
            action.command for action in server.get_actions(status=["error"]) if action.command == "create_server"
        }
        return bool(failed)

    def _check_name_is_free(self):
        if self._client.servers.get_by_name(self._name) is not None:
            message = "there is a server %s already, and livchat.setup did not make it; use another name" % self._name
            raise LivchatError("SERVER_NAME_CONFLICT", message, {"name": self._name})

    def _check_supply(self, name, location):
        found = server_type(self._client, name)
        check_location(self._client, location)
        available = places(found)
        if location not in available:
            message = "there is no %s to be had at %s now; %s" % (
                name,
                location,
                "choose one of: %s" % ", ".join(available)
                if available
                else "choose another server type, or try again later",
            )
            raise LivchatError(
                "SERVER_TYPE_UNAVAILABLE", message, {"server_type": name, "location": location, "available": available}
            )
        return found

    def _image(self, name, server_type):
        image = self._client.images.get_by_name_and_architecture(name, server_type.architecture)
        if image is None:
            found = self._client.images.get_all(type=["system"], architecture=[server_type.architecture])
            raise refused("image", name, "allowed: %s" % ", ".join(sorted(one.name for one in found)))
        return image

    # --- key and firewall
    def _key(self, public_key, made):
        name = "livchat-%s" % self._name
        key = self._client.ssh_keys.get_by_fingerprint(_fingerprint(public_key))
        if key is not None:
            return key
        stale = self._client.ssh_keys.get_by_name(name)
        if stale is not None:
            # Of a server that is gone: there is none of this name, or it was made with the key that is wanted.
            if stale.labels.get("managed-by") != MANAGED["managed-by"]:
                message = "there is an SSH key %s already, and livchat.setup did not register it; rename it" % name
                raise LivchatError("SSH_KEY_NAME_CONFLICT", message, {"name": name})
            with _ignoring("not_found"):
                stale.delete()
        try:
            key = self._client.ssh_keys.create(name=name, public_key=public_key, labels=dict(MANAGED))
        except (APIException, TransientError):
            # The answer was lost, or what was lost was the answer before this one.
            key = self._client.ssh_keys.get_by_fingerprint(_fingerprint(public_key))
            if key is None:
                raise
        made.append(("SSH key", key))
        return key

    def _firewall(self, servers, made):
        """The firewall, made if there is none."""
        wall = self._client.firewalls.get_by_name(FIREWALL)
        if wall is None:
            try:
                rules = _rules(servers)
                wall = self._client.firewalls.create(name=FIREWALL, rules=rules, labels=dict(MANAGED)).firewall
            except (APIException, TransientError):
                # The answer was lost, or another run was quicker.
                wall = self._client.firewalls.get_by_name(FIREWALL)
                if wall is None:
                    raise
            made.append(("firewall", wall))
        elif _plain(wall.rules) != _plain(_rules(servers)):
            self._admit(wall, servers)
        return wall

    def _keep_firewall(self, server, ours):
        wall = self._client.firewalls.get_by_name(FIREWALL)
        if wall is None or _plain(wall.rules) != _plain(_rules(ours)):
            self.changes.append("set the rules of firewall %s" % FIREWALL)
            if not self._check_mode:
                wall = self._firewall(ours, [])
        if wall is not None and wall.id not in {one.firewall.id for one in server.public_net.firewalls}:
            self.changes.append("put firewall %s before server %s" % (FIREWALL, self._name))
            if not self._check_mode:
                with _ignoring("firewall_already_applied"):
                    for action in wall.apply_to_resources([FirewallResource(type="server", server=server)]):
                        self._wait(action)

    def _admit_all(self, wall, admitted):
        """Has the firewall know all our servers. Runs side by side look again after writing: the last has seen all."""
        while True:
            ours = self._client.servers.get_all(label_selector=SELECTOR)
            if _plain(_rules(ours)) == _plain(_rules(admitted)):
                return
            self._admit(wall, ours)
            admitted = ours

    def _admit(self, wall, servers):
        for action in wall.set_rules(_rules(servers)):
            self._wait(action)

    # --- absent
    def absent(self):
        ours = self._client.servers.get_all(label_selector=SELECTOR)
        server = next((one for one in ours if one.name == self._name), None)
        if server is None:
            self._check_name_is_free()
        else:
            self.changes.append("remove server %s" % self._name)
            if not self._check_mode:
                try:
                    self._remove(server)
                except ActionException as error:
                    message = "it could not be removed: %s. Nothing of it is gone; try again" % in_words(error)
                    raise LivchatError("SERVER_DELETION_FAILED", message, {"id": server.id}) from error
        key = self._client.ssh_keys.get_by_name("livchat-%s" % self._name)
        if key is not None and key.labels.get("managed-by") == MANAGED["managed-by"]:
            self.changes.append("remove SSH key %s" % key.name)
            if not self._check_mode:
                with _ignoring("not_found"):
                    key.delete()
        self._leave_firewall([one for one in ours if one is not server])

    def _leave_firewall(self, remaining):
        wall = self._client.firewalls.get_by_name(FIREWALL)
        if wall is None or wall.labels.get("managed-by") != MANAGED["managed-by"]:
            return
        if not remaining:
            self.changes.append("remove firewall %s" % FIREWALL)
            if not self._check_mode:
                # In use after all: somebody put it before a server of his own, or another run just ordered one.
                with _ignoring("resource_in_use", "not_found"):
                    wall.delete()
        elif _plain(wall.rules) != _plain(_rules(remaining)):
            self.changes.append("set the rules of firewall %s" % FIREWALL)
            if not self._check_mode:
                self._admit(wall, remaining)

    # --- both
    def _remove(self, server):
        # Gone already: the answer to an earlier try was lost, or somebody else was quicker.
        with _ignoring("not_found"):
            if server.status == "deleting":
                # By a run that was killed meanwhile.
                for action in server.get_actions(status=["running"]):
                    self._wait(action)
            else:
                self._wait(server.delete())

    def _undo(self, made):
        """Removes what was made, newest first; the names of what could not be."""
        left = []
        for kind, thing in sorted(made, key=lambda one: one[0] != "server"):
            if thing is None:
                left.append("server %s, of which it is not known whether it was ordered," % self._name)
                continue
            # The order's own key lets the next run know the server.
            if kind == "SSH key" and left:
                left.append("SSH key %s" % thing.name)
                continue
            try:
                # A firewall that others use by now stays.
                with _ignoring("not_found", "resource_in_use"):
                    done = thing.delete()
                    if kind == "server":
                        self._wait(done)
            except (APIException, ActionException, LivchatError):
                left.append("%s %s" % (kind, thing.name))
        return left

    def _creation_failed(self, error, left, wanted):
        """What went wrong, and what became of what was made until then."""
        known = provider_error(error)
        if left:
            after = "%s could not be removed; run it again, which takes it up or removes it" % ", ".join(left)
        else:
            after = "What was made was removed; try again"
        details = {**known.details, "left": left}
        code, said = known.code, known.message
        if code == "PROVIDER_ERROR":
            code, said = "SERVER_CREATION_FAILED", "it could not be created: %s" % in_words(error)
        if details.get("provider_code") in NO_ROOM:
            code = "SERVER_TYPE_UNAVAILABLE"
            said = "there is no %s to be had at %s now: %s" % (
                wanted["server_type"],
                wanted["location"],
                in_words(error),
            )
            after += " later, or with another server type or location" if not left else ""
            details.update(server_type=wanted["server_type"], location=wanted["location"])
        return LivchatError(code, "%s. %s" % (said, after), details, known.retry_after)

    def _wait(self, action):
        action.wait_until_finished(max_retries=self._timeout)

    def _labels(self, wanted):
        own = {**MANAGED, "livchat-key": _short(wanted["public_key"])}
        # A label's value takes no more.
        if wanted["domain"] and len(wanted["domain"]) <= 63:
            own["livchat-domain"] = wanted["domain"]
        return {**wanted["labels"], **own}

    def _planned(self, wanted):
        return {
            "id": "",
            "name": self._name,
            "ip_address": "",
            "status": "absent",
            "created_at": "",
            "server_type": wanted["server_type"],
            "location": wanted["location"],
            "image": wanted["image"],
            "labels": self._labels(wanted),
        }

    @staticmethod
    def _described(server, key_id):
        return {
            "id": str(server.id),
            "name": server.name,
            "ip_address": server.public_net.ipv4.ip if server.public_net.ipv4 else "",
            "status": server.status,
            "created_at": server.created.isoformat() if server.created else "",
            "server_type": server.server_type.name,
            "location": server.location.name,
            "image": server.image.name if server.image else "",
            "labels": server.labels,
            "ssh_key_id": str(key_id),
        }


def _rules(servers):
    def rule(protocol, port, sources, what):
        return FirewallRule(direction="in", protocol=protocol, port=port, source_ips=sources, description=what)

    rules = [
        rule("tcp", "22", EVERYWHERE, "SSH"),
        rule("tcp", "80", EVERYWHERE, "HTTP"),
        rule("tcp", "443", EVERYWHERE, "HTTPS"),
        rule("icmp", None, EVERYWHERE, "ICMP"),
    ]
    nodes = sorted(one.public_net.ipv4.ip + "/32" for one in servers if one.public_net and one.public_net.ipv4)
    if len(nodes) > 1:
        rules += [rule(protocol, port, nodes, "Swarm") for protocol, port in SWARM_PORTS]
    return rules


def _plain(rules):
    return sorted((one.direction, one.protocol, one.port or "", tuple(sorted(one.source_ips or []))) for one in rules)


def _blob(public_key):
    try:
        return base64.b64decode(public_key.split()[1], validate=True)
    except (IndexError, binascii.Error) as error:
        raise refused("public_key", public_key, "it must be a public key as OpenSSH writes it") from error


def _fingerprint(public_key):
    """As Hetzner shows it: MD5, with colons."""
    digest = hashlib.md5(_blob(public_key), usedforsecurity=False).hexdigest()
    return ":".join(digest[at : at + 2] for at in range(0, 32, 2))


def _short(public_key):
    """Fits a label's value, of 63 characters at most."""
    return hashlib.sha256(_blob(public_key)).hexdigest()[:32]


@contextlib.contextmanager
def _ignoring(*codes):
    try:
        yield
    except APIException as error:
        if error.code not in codes:
            raise


def main():
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "server_type": {"type": "str"},
            "location": {"type": "str"},
            "image": {"type": "str"},
            "public_key": {"type": "str", "no_log": False},
            "labels": {"type": "dict", "default": {}},
            "domain": {"type": "str"},
            "timeout": {"type": "int", "default": 300},
            **OPTIONS,
        },
        required_if=[("state", "present", ("server_type", "location", "image", "public_key"))],
        supports_check_mode=True,
    )
    if IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("hcloud"), exception=IMPORT_ERROR)
    params = module.params
    try:
        project = Project(client_of(params), params["name"], params["timeout"], module.check_mode)
        result = {}
        if params["state"] == "present":
            result["server"] = project.present(params)
            result["created"] = project.created
        else:
            project.absent()
    except (LivchatError, APIException, ActionException) as error:
        known = provider_error(error)
        message = "server %s: %s" % (params["name"], known.message)
        details = {"name": params["name"], **known.details}
        fail(module, LivchatError(known.code, message, details, known.retry_after))
    for warning in project.warnings:
        module.warn(warning)
    after = "".join(change + "\n" for change in project.changes)
    module.exit_json(changed=bool(project.changes), diff={"before": "", "after": after}, **result)


if __name__ == "__main__":
    main()
