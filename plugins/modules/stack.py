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
  - When one does not become healthy, every stack of the call is put back to what it was. Volumes are never removed.
  - On Docker 25 and newer, services with a start period are asked for their health every two seconds while they start.
  - A stack whose services carry the wanted C(livchat.definition) label and run is left alone.
attributes:
  check_mode:
    support: full
    description: Reports what would change.
  diff_mode:
    support: full
    description: Shows images, replicas and secrets of each service, before and after.
options:
  entries:
    description: Entries of a plan. Their secrets are read from the vault on the controller.
    type: list
    elements: dict
    default: []
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
      phases:
        description: Its services in the order they start, each phase when the one before is healthy. Else all at once.
        type: list
        elements: list
        default: []
  state:
    description: Whether the stacks should exist. V(absent) removes their secrets too, and leaves volumes.
    type: str
    choices: [present, absent]
    default: present
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
    description: Seconds all the stacks may take to become healthy.
    type: int
    default: 600
"""

EXAMPLES = r"""
- name: Deploy what the plan says
  livchat.setup.stack:
    entries: "{{ plan.levels[0] }}"

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
"""

import base64
import copy
import json
import re
import time

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._alone import GaveWay, be_alone, give_way
from ..module_utils._engine import EngineClient
from ..module_utils._errors import LivchatError, fail

NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")
INSTANCE_LABEL = "livchat.instance"
# A task that ends this often is not going to come up.
PATIENCE = 3
# From Docker 25 on (docker/cli 4611), a service that starts can be asked for its health at an interval of its own. It
# is short, since others wait for it; not shorter, since each question costs a process.
START_INTERVAL = "2s"
START_INTERVAL_API = (1, 44)
START_INTERVAL_SCHEMA = "3.12"


class Stacks:
    """Brings a set of stacks to what is wanted, together."""

    def __init__(self, module, engine):
        self._module = module
        self._engine = engine
        self._deadline = time.monotonic() + module.params["timeout"]
        self._made = []
        self._api = tuple(int(part) for part in engine.get("/version")["ApiVersion"].split("."))
        self._before = {}

    def present(self, stacks):
        services = self._services()
        changing = [stack for stack in stacks if not self._same(stack, services)]
        diff = [self._diff(stack, services) for stack in changing]
        if changing and not self._module.check_mode:
            self._before = {
                service["ID"]: service for service in services.values() if self._stack_of(service) in names(changing)
            }
            try:
                for stack in changing:
                    self._make_objects("secrets", stack)
                    self._make_objects("configs", stack)
                self._start(changing)
            except LivchatError as error:
                self._put_back(changing)
                raise LivchatError(
                    "STACK_ROLLED_BACK",
                    f"{', '.join(names(changing))}: {error.message}. Everything was put back.",
                    error.details,
                ) from error
        elif not self._module.check_mode:
            self._wait(self._left_over(services))
        if not self._module.check_mode:
            # Also of those that are as wanted: the run that made them so may have been killed before it came to this.
            for stack in stacks:
                self._prune("secrets", stack)
                self._prune("configs", stack)
        return {"changed": bool(changing), "stacks": names(changing), "diff": diff}

    def _start(self, stacks):
        """Phase by phase: what starts after others starts when those are healthy."""
        last = max(len(stack["phases"]) for stack in stacks)
        for phase in range(1, last + 1):
            starting = [stack for stack in stacks if phase <= len(stack["phases"])]
            waiting = set()
            for stack in starting:
                services = [name for part in stack["phases"][:phase] for name in part]
                self._deploy(stack, None if phase == len(stack["phases"]) else services)
                waiting.update(f"{stack['name']}_{name}" for name in services)
            if phase == last:
                waiting |= self._left_over(self._services())
            if phase < last or self._module.params["wait"]:
                self._wait(waiting)

    def _left_over(self, services):
        """Services of stacks that an earlier call started without waiting."""
        return {
            name for name, service in services.items() if self._stack_of(service) in self._module.params["wait_for"]
        }

    def absent(self, stacks):
        running = {self._stack_of(one) for one in self._services().values()}
        # A removal that was interrupted may have left nothing but these.
        kept = {kind: [stack["name"] for stack in stacks if self._kept(kind, stack)] for kind in ("secrets", "configs")}
        here = [stack for stack in stacks if stack["name"] in {*running, *kept["secrets"], *kept["configs"]}]
        if here and not self._module.check_mode:
            for stack in here:
                if stack["name"] in running:
                    self._run(["docker", "stack", "rm", stack["name"]])
            while any(self._tasks(stack["name"]) for stack in here):
                if time.monotonic() > self._deadline:
                    raise LivchatError("STACK_REMOVAL_TIMEOUT", f"{', '.join(names(here))}: tasks do not end")
                give_way()
                time.sleep(0.3)
            for stack in here:
                self._prune("secrets", stack)
                self._prune("configs", stack)
        return {"changed": bool(here), "stacks": names(here)}

    # --- what is there
    def _services(self):
        return {one["Spec"]["Name"]: one for one in self._engine.get("/services", status=True)}

    @staticmethod
    def _stack_of(service):
        return (service["Spec"].get("Labels") or {}).get("com.docker.stack.namespace")

    def _tasks(self, stack):
        return self._engine.get("/tasks", filters={"label": [f"com.docker.stack.namespace={stack}"]})

    def _same(self, stack, services):
        mine = [one for one in services.values() if self._stack_of(one) == stack["name"]]
        if len(mine) != len(stack["compose"]["services"]):
            return False
        for service in mine:
            status = service["ServiceStatus"]
            if (service["Spec"]["Labels"] or {}).get("livchat.definition") != stack["definition_hash"]:
                return False
            if status["RunningTasks"] < status["DesiredTasks"]:
                return False
        return True

    def _diff(self, stack, services):
        before, after = {}, {}
        for service in services.values():
            if self._stack_of(service) == stack["name"]:
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
        as_text = [json.dumps(side, indent=2, sort_keys=True) + "\n" for side in (before, after)]
        return {"header": f"stack {stack['name']}", "before": as_text[0], "after": as_text[1]}

    # --- changing it
    def _make_objects(self, kind, stack):
        """Secrets or configs of the stack that do not exist yet. Their names carry a hash of their content."""
        existing = {one["Spec"]["Name"] for one in self._engine.get(f"/{kind}")}
        for name, content in stack[kind].items():
            if name not in existing:
                body = {
                    "Name": name,
                    "Data": base64.b64encode(content.encode()).decode(),
                    "Labels": {INSTANCE_LABEL: stack["name"]},
                }
                created = self._engine.call("POST", f"/{kind}/create", body=body)
                self._made.append(f"/{kind}/{created['ID']}")

    def _deploy(self, stack, services):
        """Deploys the stack, or of it only the given services beside those that run."""
        compose = self._file(stack)
        if services is None:
            prune = ["--prune"]
        else:
            prune = []
            compose["services"] = {name: compose["services"][name] for name in services}
        self._run(
            ["docker", "stack", "deploy", *prune, "--compose-file", "-", stack["name"]],
            data=json.dumps(compose, sort_keys=True),
        )

    def _run(self, command, data=None):
        code, _out, err = self._module.run_command(command, data=data)
        if code:
            raise LivchatError("STACK_DEPLOY_FAILED", f"{' '.join(command[:3])}: {err.strip()}")

    def _file(self, stack):
        """The stack file with what this engine can do beyond it."""
        compose = copy.deepcopy(stack["compose"])
        if self._api >= START_INTERVAL_API:
            compose["version"] = START_INTERVAL_SCHEMA
            for service in compose["services"].values():
                if "start_period" in service.get("healthcheck", {}):
                    service["healthcheck"].setdefault("start_interval", START_INTERVAL)
        return compose

    def _wait(self, waiting):
        """Until the named services are healthy."""
        while waiting:
            services = self._services()
            tasks = [
                task for stack in {self._stack_of(services[name]) for name in waiting} for task in self._tasks(stack)
            ]
            for name in sorted(waiting):
                service = services[name]
                mine = [task for task in tasks if task["ServiceID"] == service["ID"]]
                if self._converged(service, mine):
                    waiting.discard(name)
                else:
                    self._check_failure(service, mine)
            if waiting and time.monotonic() > self._deadline:
                raise LivchatError("STACK_DEPLOY_FAILED", f"not healthy in time: {', '.join(sorted(waiting))}")
            if waiting:
                give_way()
                time.sleep(0.3)

    @staticmethod
    def _converged(service, tasks):
        """Enough tasks of the wanted form run. With a healthcheck, Swarm calls a task running once it is healthy."""
        wanted = service["Spec"]["TaskTemplate"]["ContainerSpec"]
        running = [
            task
            for task in tasks
            if task["DesiredState"] == "running"
            and task["Status"]["State"] == "running"
            and task["Spec"]["ContainerSpec"] == wanted
        ]
        replicas = service["Spec"]["Mode"].get("Replicated", {}).get("Replicas", 1)
        updating = (service.get("UpdateStatus") or {}).get("State") in ("updating", "rollback_started")
        return len(running) >= replicas and not updating

    def _check_failure(self, service, tasks):
        name = service["Spec"]["Name"]
        before = self._before.get(service["ID"])
        update = service.get("UpdateStatus") or {}
        earlier = ((before or {}).get("UpdateStatus") or {}).get("StartedAt")
        if (
            update.get("State") in ("paused", "rollback_completed", "rollback_paused")
            and update.get("StartedAt") != earlier
        ):
            raise LivchatError("STACK_DEPLOY_FAILED", f"{name}: {update.get('Message', update['State'])}")
        started = (before or service)["UpdatedAt" if before else "CreatedAt"]
        failed = [
            task for task in tasks if task["Status"]["State"] in ("failed", "rejected") and task["CreatedAt"] >= started
        ]
        if len(failed) >= PATIENCE:
            last = max(failed, key=lambda task: task["CreatedAt"])
            reason = last["Status"].get("Err") or last["Status"].get("Message", "")
            details = {"service": name, "task_error": reason, "output": self._log(last["ID"])}
            raise LivchatError("STACK_DEPLOY_FAILED", f"{name}: its task fails: {reason}", details)

    def _log(self, task):
        """The task's last words. The module's no_log values are taken out of them by Ansible."""
        _code, out, err = self._module.run_command(["docker", "service", "logs", "--raw", "--tail", "20", task])
        return (out + err).splitlines()[-20:]

    def _put_back(self, stacks):
        services = self._services()
        for service in services.values():
            if self._stack_of(service) not in names(stacks):
                continue
            old = self._before.get(service["ID"])
            if old is None:
                self._engine.call("DELETE", f"/services/{service['ID']}")
            elif old["Spec"] != service["Spec"]:
                path = f"/services/{service['ID']}/update"
                self._engine.call("POST", path, {"version": service["Version"]["Index"]}, old["Spec"])
        # A secret cannot be removed while a task that is ending still has it; the next success prunes it then.
        for path in self._made:
            self._forget(path)

    def _prune(self, kind, stack):
        """Earlier secrets or configs of the stack."""
        for one in self._kept(kind, stack):
            if one["Spec"]["Name"] not in stack[kind]:
                self._forget(f"/{kind}/{one['ID']}")

    def _kept(self, kind, stack):
        return self._engine.get(f"/{kind}", filters={"label": [f"{INSTANCE_LABEL}={stack['name']}"]})

    def _forget(self, path):
        try:
            self._engine.call("DELETE", path)
        except LivchatError as error:
            if error.code != "ENGINE_ERROR":
                raise


def names(stacks):
    return [stack["name"] for stack in stacks]


def main():
    module = AnsibleModule(
        argument_spec={
            "entries": {"type": "list", "elements": "dict", "default": []},
            "stacks": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "compose": {"type": "dict", "default": {}},
                    "secrets": {"type": "dict", "default": {}, "no_log": True},
                    "configs": {"type": "dict", "default": {}},
                    "phases": {"type": "list", "elements": "list", "default": []},
                },
            },
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "wait": {"type": "bool", "default": True},
            "wait_for": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "int", "default": 600},
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
            hashes = {service["deploy"]["labels"]["livchat.definition"] for service in services.values()}
            stack["definition_hash"] = hashes.pop() if len(hashes) == 1 else ""
        if not module.check_mode:
            be_alone()
        worker = Stacks(module, EngineClient())
        module.exit_json(**(worker.present if module.params["state"] == "present" else worker.absent)(stacks))
    except LivchatError as error:
        fail(module, error)
    except GaveWay as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
