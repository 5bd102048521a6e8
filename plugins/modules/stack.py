#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack
author: LivChat (@livchat)
version_added: 0.1.0
short_description: Deploys stacks to Docker Swarm, waits until they are healthy, or puts everything back
description:
  - Starts all given stacks together and waits for them together, in one remote call.
  - When one does not become healthy, every stack of the call is put back to what it was. Volumes are not touched.
  - A stack is deployed by Docker's own command, or through Portainer, which then shows it as its own, with its file to
    edit. Secrets, waiting and health are the engine's in either case.
  - A stack that the other of the two deployed is taken over. Its services are removed and made anew, since neither
    lets go of them otherwise; they are away meanwhile, and volumes stay.
  - A stack with services that this collection did not deploy is refused.
  - On Docker 25 and newer, services with a start period are asked for their health every two seconds while they start.
  - A stack whose services carry the wanted C(livchat.definition) label and run is left alone.
attributes:
  check_mode:
    support: full
    description: Reports what would change.
  diff_mode:
    support: full
    description:
      - Shows who deploys the stack, and images, environment, replicas and secrets of each service, before and after.
      - With O(state=absent), what is removed.
options:
  entries:
    description: Entries of a plan. Their secrets are read from the vault on the controller.
    type: list
    elements: dict
    default: []
  closed:
    description:
      - Whether applications of O(entries) that are to be configured first stay closed until then. Traefik lets in only
        what M(livchat.setup.https_check) and M(livchat.setup.app_request) send.
      - The same without it opens them. What runs is not started anew for that.
    type: bool
    default: false
  stacks:
    description: Stacks that are no part of the catalogue, such as Traefik.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the stack.
        type: str
        required: true
      compose:
        description: The stack file.
        type: dict
        default: {}
      secrets:
        description: Values of its secrets, by the key they have in the stack file.
        type: dict
        default: {}
      configs:
        description: Contents of its configs, by the key they have in the stack file.
        type: dict
        default: {}
      backend:
        description: Who deploys it.
        type: str
        choices: [docker, portainer]
        default: docker
      volumes:
        description: Names of volumes that are its own, also where Swarm did not make them.
        type: list
        elements: str
        default: []
      phases:
        description: Its services in the order they start, each phase when the one before is healthy. Else all at once.
        type: list
        elements: list
        default: []
  state:
    description:
      - Whether the stacks should exist. V(absent) removes their secrets too.
      - It removes a stack through whoever deployed it, so that Portainer keeps no record of what is gone.
    type: str
    choices: [present, absent]
    default: present
  drop_volumes:
    description:
      - Whether V(absent) removes the stacks' volumes on this node too, with all data in them.
      - They are those that Swarm made for the stack, and those in C(volumes). It waits until no container uses them.
    type: bool
    default: false
  wait:
    description: Whether to wait until the last phase is healthy. Without that, nothing of it is put back.
    type: bool
    default: true
  wait_for:
    description: Stacks that an earlier call did not wait for, to wait for together with those of this call.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds all the stacks may take to become healthy, or to be gone.
    type: int
    default: 600
  portainer_host:
    description:
      - Host name of Portainer, for stacks that it deploys or has deployed. Its access token is read from the vault.
      - Read on the controller, where it becomes O(portainer).
    type: str
    default: ""
  portainer_address:
    description: Address at which the server itself reaches Portainer, through Traefik.
    type: str
    default: 127.0.0.1
  ca_file:
    description: PEM file on the controller, of the authority to trust for Portainer instead of the system's.
    type: str
    default: ""
  portainer:
    description: How the server reaches Portainer. Made from O(portainer_host), O(portainer_address) and O(ca_file).
    type: dict
    suboptions:
      url:
        description: Its address, V(https://portainer.example.com).
        type: str
        required: true
      token:
        description: Access token.
        type: str
        required: true
      address:
        description: Address to connect to instead of what the name resolves to.
        type: str
        default: ""
      authority:
        description: Certificates in PEM form to trust instead of the system's.
        type: str
        default: ""
      server:
        description: Name of the server, for messages.
        type: str
        default: SERVER
"""

EXAMPLES = r"""
- name: Deploy what the plan says
  livchat.setup.stack:
    entries: "{{ plan.levels[0] }}"

- name: Deploy a stack of one's own through Portainer
  livchat.setup.stack:
    stacks:
      - name: site
        backend: portainer
        compose: "{{ lookup('ansible.builtin.file', 'site.yml') | from_yaml }}"
    portainer_host: portainer.example.com

- name: Remove a stack with its data
  livchat.setup.stack:
    stacks:
      - name: site
    state: absent
    drop_volumes: true
    portainer_host: portainer.example.com

- name: Remove a stack
  livchat.setup.stack:
    stacks:
      - name: n8n
    state: absent
"""

RETURN = r"""
stacks:
  description: Names of the stacks that changed.
  returned: success
  type: list
  elements: str
volumes:
  description: Names of the volumes that were removed.
  returned: success
  type: list
  elements: str
"""

import copy
import json
import re
import time

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._alone import AbandonedError, be_alone
from ..module_utils._engine import EngineClient
from ..module_utils._errors import LivchatError, fail
from ..module_utils._portainer import PortainerClient
from ..module_utils._stack_docker import DockerBackend
from ..module_utils._stack_options import OPTIONS
from ..module_utils._stack_portainer import PortainerBackend
from ..module_utils._swarm_services import ENDING_PATIENCE, OURS, SwarmServices, labels, of_stack

NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")
BACKEND_LABEL = "livchat.backend"
OBJECTS = ("secrets", "configs")
# From Docker 25 on (docker/cli 4611), a service that starts can be asked for its health at an interval of its own. It
# is short, since others wait for it; not shorter, since each question costs a process.
START_INTERVAL = "2s"
START_INTERVAL_API = (1, 44)
START_INTERVAL_SCHEMA = "3.12"


class Stacks:
    """Brings a set of stacks to what is wanted, together. `portainer` is None where it cannot be reached."""

    def __init__(self, module, engine, portainer=None):
        self._module = module
        self._swarm = SwarmServices(engine, module.run_command, time.monotonic() + module.params["timeout"])
        self._backends = {"docker": DockerBackend(module.run_command), "portainer": portainer}
        self._api = tuple(int(part) for part in engine.get("/version")["ApiVersion"].split("."))

    def present(self, stacks):
        services = self._swarm.all()
        asked = [one["name"] for one in stacks if one["backend"] == "portainer" or _by_portainer(one, services)]
        self._look(asked)
        owners = {stack["name"]: self._owner(stack, services, asked) for stack in stacks}
        changing = [one for one in stacks if owners[one["name"]] != one["backend"] or not self._same(one, services)]
        diff = [self._diff(stack, services, owners[stack["name"]]) for stack in changing]
        if changing and not self._module.check_mode:
            self._change(changing, owners, services)
        elif not self._module.check_mode:
            self._swarm.wait(self._left_over(services))
        if not self._module.check_mode:
            # Also of those that are as wanted: the run that made them so may have been killed before it came to this.
            for stack in stacks:
                for kind in OBJECTS:
                    self._swarm.prune(kind, stack["name"], stack[kind])
        return {"changed": bool(changing), "stacks": names(changing), "volumes": [], "diff": diff}

    def _change(self, stacks, owners, services):
        moving = [stack for stack in stacks if owners[stack["name"]] not in ("", stack["backend"])]
        self._swarm.remember(services, names(stacks))
        try:
            for stack in stacks:
                for kind in OBJECTS:
                    self._swarm.make_objects(kind, stack["name"], stack[kind])
            for stack in moving:
                self._backends[owners[stack["name"]]].remove(stack["name"])
            # Also for those that somebody else, or a run that was killed, removed a moment ago.
            self._swarm.wait_gone(names(stacks))
            self._swarm.wait_networks_gone(names(moving))
            self._start(stacks)
        except LivchatError as error:
            raise self._put_back(stacks, moving, error) from error

    def _start(self, stacks):
        """Phase by phase: what starts after others starts when those are healthy."""
        last = max(len(stack["phases"]) for stack in stacks)
        for phase in range(1, last + 1):
            starting = [stack for stack in stacks if phase <= len(stack["phases"])]
            waiting = set()
            for stack in starting:
                whole = phase == len(stack["phases"])
                phases = [sorted(stack["compose"]["services"])] if whole else stack["phases"][:phase]
                services = [name for part in phases for name in part]
                self._backends[stack["backend"]].deploy(stack["name"], self._file(stack, services), whole)
                waiting.update(f"{stack['name']}_{name}" for name in services)
            if phase == last:
                waiting |= self._left_over(self._swarm.all())
            if phase < last or self._module.params["wait"]:
                self._swarm.wait(waiting)

    def _left_over(self, services):
        """Services of stacks that an earlier call started without waiting."""
        return {one["Spec"]["Name"] for stack in self._module.params["wait_for"] for one in of_stack(services, stack)}

    def _put_back(self, stacks, moving, error):
        """Makes everything what it was, and gives the error that says so."""
        problems = []
        for step in (lambda: self._put_records_back(stacks, moving), lambda: self._swarm.put_back(names(stacks))):
            try:
                step()
            except LivchatError as problem:
                problems.append(problem)
        message = f"{', '.join(names(stacks))}: {error.message}"
        details = {**error.details, "cause": error.code}
        if not problems:
            self._swarm.forget_made()
            return LivchatError(
                "STACK_ROLLED_BACK", f"{message}. Everything was put back; mend it and run it again.", details
            )
        said = "; ".join(problem.message for problem in problems)
        details["problems"] = [problem.to_dict() for problem in problems]
        return LivchatError("STACK_ROLLBACK_FAILED", f"{message}. Not everything could be put back: {said}", details)

    def _put_records_back(self, stacks, moving):
        """Portainer's records, with the services they stand for."""
        leaving = [stack["name"] for stack in moving if stack["backend"] == "docker"]
        for name in leaving:
            # Portainer takes no stack back while something of its name runs.
            self._swarm.remove_new(name)
        self._swarm.wait_gone(leaving, ENDING_PATIENCE)
        for stack in stacks:
            if stack["backend"] == "portainer" or stack["name"] in leaving:
                self._backends["portainer"].put_back(stack["name"])

    def absent(self, stacks):
        services = self._swarm.all()
        asked = [stack["name"] for stack in stacks if _by_portainer(stack, services)]
        self._look(asked)
        asked += self._look_gladly([one["name"] for one in stacks if not of_stack(services, one["name"])])
        owners = {stack["name"]: self._owner(stack, services, asked) for stack in stacks}
        leaving = {stack["name"]: self._belongings(stack, services, owners[stack["name"]]) for stack in stacks}
        leaving = {name: those for name, those in leaving.items() if any(those.values())}
        if not self._module.check_mode:
            here = [name for name in leaving if owners[name]]
            for name in here:
                self._backends[owners[name]].remove(name)
            # Also those that an interrupted run has removed already: their tasks may still be ending.
            self._swarm.wait_gone(names(stacks))
            for name, those in leaving.items():
                for kind in OBJECTS:
                    self._swarm.prune(kind, name)
                for volume in those["volumes"]:
                    self._swarm.remove_volume(name, volume)
        return {
            "changed": bool(leaving),
            "stacks": list(leaving),
            "volumes": [volume for those in leaving.values() for volume in those["volumes"]],
            "diff": [
                {"header": f"stack {name}", "before": _as_text(those), "after": ""} for name, those in leaving.items()
            ],
        }

    def _belongings(self, stack, services, owner):
        """What there is of a stack."""
        name = stack["name"]
        volumes = self._swarm.volumes(name, stack["volumes"]) if self._module.params["drop_volumes"] else []
        objects = {kind: sorted(self._swarm.objects(kind, name)) for kind in OBJECTS}
        found = sorted(one["Spec"]["Name"] for one in of_stack(services, name))
        return {"backend": owner, "services": found, **objects, "volumes": volumes}

    # --- who has deployed what
    def _look(self, asked):
        """Asks Portainer for stacks that it deploys or has deployed."""
        if not asked:
            return
        if self._backends["portainer"] is None:
            message = (
                f"{', '.join(asked)}: Portainer deploys this, and there is no way to it: give portainer_host, and set "
                "the server up, so that the vault has an access token"
            )
            raise LivchatError("PORTAINER_TOKEN_MISSING", message, {"stacks": asked})
        self._backends["portainer"].look(asked)

    def _look_gladly(self, asked):
        """Those of the stacks, of which no service is left, that Portainer could be asked for: it may have a record."""
        if not asked or self._backends["portainer"] is None:
            return []
        try:
            self._backends["portainer"].look(asked)
        except LivchatError as error:
            if error.code == "INSTANCE_CONFLICT":
                raise
            self._module.warn(f"whether Portainer has a record of {', '.join(asked)} is not known: {error.message}")
            return []
        return asked

    def _owner(self, stack, services, asked):
        """Who has deployed the stack: docker, portainer, or nobody (an empty text)."""
        name = stack["name"]
        mine = of_stack(services, name)
        held = name in asked and self._backends["portainer"].holds(name)
        ours = all(OURS in labels(one) for one in mine)
        if held and not mine:
            # Stopped, so that its file alone tells.
            ours = self._backends["portainer"].is_ours(name)
        if not ours:
            message = f"there is a stack {name} that livchat.setup did not deploy; remove it, or choose another name"
            raise LivchatError("INSTANCE_CONFLICT", message, {"stack": name})
        return "portainer" if held else "docker" if mine else ""

    def _same(self, stack, services):
        mine = of_stack(services, stack["name"])
        if len(mine) != len(stack["compose"]["services"]):
            return False
        for service in mine:
            status = service["ServiceStatus"]
            if labels(service).get(OURS) != stack["definition_hash"]:
                return False
            if status["RunningTasks"] < status["DesiredTasks"]:
                return False
        return True

    def _diff(self, stack, services, owner):
        before, after = {}, {}
        for service in of_stack(services, stack["name"]):
            container = service["Spec"]["TaskTemplate"]["ContainerSpec"]
            before[service["Spec"]["Name"]] = {
                "image": container["Image"].split("@")[0],
                "environment": sorted(container.get("Env") or []),
                "replicas": service["ServiceStatus"]["DesiredTasks"],
                "secrets": sorted(one["SecretName"] for one in container.get("Secrets") or []),
            }
        known = {key: one["name"] for key, one in stack["compose"].get("secrets", {}).items()}
        for name, service in stack["compose"]["services"].items():
            after[f"{stack['name']}_{name}"] = {
                "image": service["image"],
                "environment": sorted(f"{key}={value}" for key, value in service.get("environment", {}).items()),
                "replicas": service["deploy"].get("replicas", 1),
                "secrets": sorted(known[one["source"]] for one in service.get("secrets", [])),
            }
        sides = [{"backend": owner, "services": before}, {"backend": stack["backend"], "services": after}]
        texts = [_as_text(side) for side in sides]
        return {"header": f"stack {stack['name']}", "before": texts[0], "after": texts[1]}

    def _file(self, stack, services):
        """The stack file of these services, with what this engine can do beyond it."""
        compose = copy.deepcopy(stack["compose"])
        compose["services"] = {name: compose["services"][name] for name in services}
        if self._api >= START_INTERVAL_API:
            compose["version"] = START_INTERVAL_SCHEMA
            for service in compose["services"].values():
                if "start_period" in service.get("healthcheck", {}):
                    service["healthcheck"].setdefault("start_interval", START_INTERVAL)
        return compose


def _by_portainer(stack, services):
    """Whether services of the stack say that Portainer deployed them."""
    return any(labels(one).get(BACKEND_LABEL) == "portainer" for one in of_stack(services, stack["name"]))


def _as_text(side):
    return json.dumps(side, indent=2, sort_keys=True) + "\n"


def names(stacks):
    return [stack["name"] for stack in stacks]


def portainer_backend(given, engine):
    """The way to Portainer that the parameters tell of, or None."""
    if not given:
        return None
    if not given["url"].startswith("https://"):
        raise LivchatError("PORTAINER_URL_INVALID", f"portainer: url {given['url']!r} must begin with https://")
    client = PortainerClient(
        given["url"],
        given["token"],
        address=given["address"],
        authority=given["authority"],
        server=given["server"],
    )
    return PortainerBackend(client, engine.get("/swarm")["ID"])


def main():
    module = AnsibleModule(
        argument_spec={
            **OPTIONS,
            "stacks": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "compose": {"type": "dict", "default": {}},
                    "secrets": {"type": "dict", "default": {}, "no_log": True},
                    "configs": {"type": "dict", "default": {}},
                    "backend": {"type": "str", "choices": ["docker", "portainer"], "default": "docker"},
                    "volumes": {"type": "list", "elements": "str", "default": []},
                    "phases": {"type": "list", "elements": "list", "default": []},
                },
            },
            "portainer": {
                "type": "dict",
                "options": {
                    "url": {"type": "str", "required": True},
                    "token": {"type": "str", "required": True, "no_log": True},
                    "address": {"type": "str", "default": ""},
                    "authority": {"type": "str", "default": ""},
                    "server": {"type": "str", "default": "SERVER"},
                },
            },
        },
        supports_check_mode=True,
    )
    stacks = module.params["stacks"]
    try:
        for stack in stacks:
            if not NAME.fullmatch(stack["name"]):
                message = f"stacks: name {stack['name']!r} must match {NAME.pattern}"
                raise LivchatError("STACK_NAME_INVALID", message)
            services = stack["compose"].get("services", {})
            stack["phases"] = stack["phases"] or [sorted(services)]
            hashes = {service["deploy"]["labels"][OURS] for service in services.values()}
            stack["definition_hash"] = hashes.pop() if len(hashes) == 1 else ""
        if not module.check_mode:
            be_alone()
        engine = EngineClient()
        worker = Stacks(module, engine, portainer_backend(module.params["portainer"], engine))
        module.exit_json(**(worker.present if module.params["state"] == "present" else worker.absent)(stacks))
    except LivchatError as error:
        fail(module, error)
    except AbandonedError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
