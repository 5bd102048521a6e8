# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""Stacks as the engine has them: services watched until they are healthy, put back, removed with what is theirs."""

from __future__ import annotations

import base64
import copy
import time
import typing as t

from ._alone import give_way
from ._engine import EngineClient
from ._errors import LivchatError

NAMESPACE = "com.docker.stack.namespace"
# Every service that this collection deploys has this label.
OURS = "livchat.definition"
INSTANCE_LABEL = "livchat.instance"
# A service whose tasks end this often is not going to come up.
PATIENCE = 3
# How tasks end that nobody stopped. One that is unhealthy and ends in good order when told so is `complete` to Swarm.
ENDED = ("failed", "rejected", "complete")
# Seconds that what was started may take to end before what was there is put back: more than any stop_grace_period.
ENDING_PATIENCE = 120
PAUSE = 0.3
# Seconds a network takes to go after its last task, at most.
NETWORK_PATIENCE = 10
# How often services are put back, a second apart, before it is given up.
RESTORATIONS = 10
# What makes a network; its addresses are given anew.
NETWORK_FIELDS = ("Name", "Driver", "Options", "Labels", "Attachable", "Internal", "EnableIPv6")
Service = t.Dict[str, t.Any]
Services = t.Dict[str, Service]
RunCommand = t.Callable[..., t.Tuple[int, str, str]]


def labels(service: Service) -> dict[str, str]:
    return service["Spec"].get("Labels") or {}


def of_stack(services: Services, stack: str) -> list[Service]:
    return [one for one in services.values() if labels(one).get(NAMESPACE) == stack]


class SwarmServices:
    """Speaks to the engine about services, their tasks, secrets, configs and volumes.

    `deadline`, of the monotonic clock, bounds all waiting. `run_command` is the module's.
    """

    def __init__(self, engine: EngineClient, run_command: RunCommand, deadline: float) -> None:
        self._engine = engine
        self._run_command = run_command
        self._deadline = deadline
        self._before: Services = {}
        self._networks: list[dict[str, t.Any]] = []
        self._made: list[str] = []

    def all(self) -> Services:
        return {one["Spec"]["Name"]: one for one in self._engine.get("/services", status=True)}

    # --- secrets and configs
    def make_objects(self, kind: str, stack: str, contents: dict[str, str]) -> None:
        """Secrets or configs of the stack that do not exist yet. Their names carry a hash of their content."""
        existing = {one["Spec"]["Name"] for one in self._engine.get(f"/{kind}")}
        for name, content in contents.items():
            if name not in existing:
                body = {
                    "Name": name,
                    "Data": base64.b64encode(content.encode()).decode(),
                    "Labels": {INSTANCE_LABEL: stack},
                }
                created = self._engine.call("POST", f"/{kind}/create", body=body)
                self._made.append(f"/{kind}/{created['ID']}")

    def objects(self, kind: str, stack: str) -> dict[str, str]:
        """The stack's secrets or configs: names, and where the engine has them."""
        found = self._engine.get(f"/{kind}", filters={"label": [f"{INSTANCE_LABEL}={stack}"]})
        return {one["Spec"]["Name"]: f"/{kind}/{one['ID']}" for one in found}

    def prune(self, kind: str, stack: str, keep: t.Collection[str] = ()) -> None:
        """Removes secrets or configs of the stack but for those to keep."""
        for name, path in self.objects(kind, stack).items():
            if name not in keep:
                self._forget(path)

    def _forget(self, path: str) -> None:
        # What a task that is ending still has cannot be removed yet; the next success prunes it then.
        try:
            self._engine.call("DELETE", path)
        except LivchatError as error:
            if error.code != "ENGINE_ERROR":
                raise

    # --- until they are healthy
    def remember(self, services: Services, stacks: t.Collection[str]) -> None:
        """Takes the stacks as they are for what was there: failures are new ones only, `put_back` leads back to it."""
        self._before = {one["ID"]: one for stack in stacks for one in of_stack(services, stack)}
        self._networks = self._networks_of(stacks)

    def wait(self, waiting: set[str]) -> None:
        """Until the named services are healthy."""
        while waiting:
            services = self.all()
            stacks = {labels(services[name]).get(NAMESPACE, "") for name in waiting if name in services}
            tasks = [task for stack in stacks for task in self._tasks(stack)]
            for name in sorted(waiting & set(services)):
                service = services[name]
                # First, since a service that Swarm has rolled back runs well, as what it was before.
                self._check_update(service)
                mine = [task for task in tasks if task["ServiceID"] == service["ID"]]
                if _converged(service, mine):
                    waiting.discard(name)
                else:
                    self._check_tasks(service, mine)
            if waiting and time.monotonic() > self._deadline:
                self._give_up_waiting(sorted(waiting), services, tasks)
            if waiting:
                give_way()
                time.sleep(PAUSE)

    def _tasks(self, stack: str) -> list[dict[str, t.Any]]:
        found: list[dict[str, t.Any]] = self._engine.get("/tasks", filters={"label": [f"{NAMESPACE}={stack}"]})
        return found

    def _check_update(self, service: Service) -> None:
        update = service.get("UpdateStatus") or {}
        earlier = (self._before.get(service["ID"], {}).get("UpdateStatus") or {}).get("StartedAt")
        ended = update.get("State") in ("paused", "rollback_completed", "rollback_paused")
        if ended and update.get("StartedAt") != earlier:
            message = f"{service['Spec']['Name']}: {update.get('Message', update['State'])}"
            raise LivchatError("STACK_DEPLOY_FAILED", message)

    def _check_tasks(self, service: Service, tasks: list[dict[str, t.Any]]) -> None:
        name = service["Spec"]["Name"]
        before = self._before.get(service["ID"])
        started = before["UpdatedAt"] if before else service["CreatedAt"]
        ended = [task for task in tasks if task["Status"]["State"] in ENDED and task["CreatedAt"] >= started]
        if len(ended) >= PATIENCE:
            last = max(ended, key=lambda task: task["CreatedAt"])
            self._give_up(f"{name}: its task fails", name, last)

    def _give_up_waiting(self, waiting: list[str], services: Services, tasks: list[dict[str, t.Any]]) -> None:
        name = waiting[0]
        mine = [task for task in tasks if name in services and task["ServiceID"] == services[name]["ID"]]
        last = max(mine, key=lambda task: task["CreatedAt"], default=None)
        said = f"{', '.join(waiting)}: not healthy in the time there was"
        if last is None:
            raise LivchatError("STACK_DEPLOY_FAILED", said, {"service": name})
        self._give_up(said, name, last)

    def _give_up(self, said: str, name: str, task: dict[str, t.Any]) -> None:
        """Fails with what the engine knows of why: the task's error, the healthcheck's and the program's last words."""
        status = task["Status"]
        state = "it ended by itself" if status["State"] == "complete" else f"it is {status['State']}"
        reasons = [status.get("Err") or state, self._health(task)]
        reason = "; ".join(one for one in reasons if one)
        details = {"service": name, "task_error": reason, "output": self._log(task["ID"])}
        raise LivchatError("STACK_DEPLOY_FAILED", f"{said}: {reason}", details)

    def _health(self, task: dict[str, t.Any]) -> str:
        """What the healthcheck of an unhealthy container said last; a container of another node cannot be asked."""
        container = (task["Status"].get("ContainerStatus") or {}).get("ContainerID")
        try:
            health = self._engine.get(f"/containers/{container}/json")["State"].get("Health") if container else None
        except LivchatError:
            return ""
        if not health or not health.get("FailingStreak"):
            return ""
        output = " ".join(health["Log"][-1]["Output"].split()) if health.get("Log") else ""
        return f"its healthcheck fails{': ' if output else ''}{output[:300]}"

    def _log(self, task: str) -> list[str]:
        """The task's last words. The module's no_log values are taken out of them by Ansible."""
        _code, out, err = self._run_command(["docker", "service", "logs", "--raw", "--tail", "20", task])
        return (out + err).splitlines()[-20:]

    # --- back to what was there
    def remove_new(self, stack: str) -> None:
        """Removes the services of the stack that were not there when it was remembered."""
        for service in of_stack(self.all(), stack):
            if service["ID"] not in self._before:
                self._engine.call("DELETE", f"/services/{service['ID']}")

    def put_back(self, stacks: t.Collection[str]) -> None:
        """Makes the services of the stacks what they were, those that are gone included."""
        for attempt in range(RESTORATIONS):
            try:
                self._put_back(stacks, self._put_networks_back(stacks))
                return
            except LivchatError as error:
                # A network that is on its way out is still listed for a moment.
                if error.details.get("status") != 404 or attempt == RESTORATIONS - 1:
                    raise
            time.sleep(1)

    def _put_back(self, stacks: t.Collection[str], networks: dict[str, str]) -> None:
        old = {one["Spec"]["Name"]: _attached(one["Spec"], networks) for one in self._before.values()}
        now = self.all()
        for service in (one for stack in stacks for one in of_stack(now, stack)):
            name = service["Spec"]["Name"]
            if name not in old:
                self._engine.call("DELETE", f"/services/{service['ID']}")
            elif service["Spec"] != old[name]:
                path = f"/services/{service['ID']}/update"
                self._engine.call("POST", path, {"version": service["Version"]["Index"]}, old[name])
        if gone := sorted(set(old) - set(now)):
            # What they are to share volumes with may be ending still.
            self.wait_gone(stacks, ENDING_PATIENCE)
            for name in gone:
                self._engine.call("POST", "/services/create", body=old[name])
        known = {one["Name"] for one in self._networks}
        for network in self._networks_of(stacks):
            if network["Name"] not in known:
                self._forget(f"/networks/{network['Id']}")

    def _put_networks_back(self, stacks: t.Collection[str]) -> dict[str, str]:
        """Makes the stacks' own networks that are gone; what the ids of all of them have become."""
        now = {one["Name"]: one["Id"] for one in self._networks_of(stacks)}
        for network in self._networks:
            if network["Name"] not in now:
                body = {key: network[key] for key in NETWORK_FIELDS if key in network}
                now[network["Name"]] = self._engine.call("POST", "/networks/create", body=body)["Id"]
        return {network["Id"]: now[network["Name"]] for network in self._networks}

    def _networks_of(self, stacks: t.Collection[str]) -> list[dict[str, t.Any]]:
        found = []
        for stack in stacks:
            found += self._engine.get("/networks", filters={"label": [f"{NAMESPACE}={stack}"]})
        return found

    def forget_made(self) -> None:
        """Removes the secrets and configs that were made."""
        for path in self._made:
            self._forget(path)

    def wait_gone(self, stacks: t.Collection[str], patience: float | None = None) -> None:
        """Until no task is left of services that were removed: one that follows must not share its volume with it."""
        deadline = self._deadline if patience is None else time.monotonic() + patience
        while ending := [stack for stack in stacks if self._ending(stack)]:
            if time.monotonic() > deadline:
                raise LivchatError("STACK_REMOVAL_TIMEOUT", f"{', '.join(sorted(ending))}: tasks do not end")
            give_way()
            time.sleep(PAUSE)

    def wait_networks_gone(self, stacks: t.Collection[str]) -> None:
        """Until the own networks of stacks that were removed are gone, which takes a moment more."""
        # One that something else holds stays; Docker then finds and uses it.
        deadline = time.monotonic() + NETWORK_PATIENCE
        while self._networks_of(stacks) and time.monotonic() < deadline:
            time.sleep(PAUSE)

    def _ending(self, stack: str) -> bool:
        tasks = self._tasks(stack)
        existing = {one["ID"] for one in self.all().values()} if tasks else set()
        return any(task["ServiceID"] not in existing for task in tasks)

    # --- volumes
    def volumes(self, stack: str, names: t.Collection[str]) -> list[str]:
        """The volumes on this node that Swarm made for the stack, and those of the names that are nobody else's."""
        found = []
        for volume in self._engine.get("/volumes")["Volumes"] or []:
            owner = (volume.get("Labels") or {}).get(NAMESPACE)
            if owner == stack or (owner is None and volume["Name"] in names):
                found.append(volume["Name"])
        return sorted(found)

    def remove_volume(self, stack: str, name: str) -> None:
        """Removes it once no container uses it any more.

        Raises:
            LivchatError: VOLUME_IN_USE, at once when the container is none of the stack's.
        """
        while True:
            try:
                self._engine.call("DELETE", f"/volumes/{name}")
                return
            except LivchatError as error:
                if error.details.get("status") == 404:
                    return
                if error.details.get("status") != 409:
                    raise
            users = self._engine.get("/containers/json", all=True, filters={"volume": [name]})
            others = [one["Names"][0].lstrip("/") for one in users if one["Labels"].get(NAMESPACE) != stack]
            if others or time.monotonic() > self._deadline:
                who = ", ".join(others) or f"a container of {stack} that does not end"
                message = f"the volume {name} of {stack} is used by {who}; remove that first, and run this again"
                raise LivchatError("VOLUME_IN_USE", message, {"volume": name, "containers": others})
            time.sleep(PAUSE)


def _attached(spec: dict[str, t.Any], networks: dict[str, str]) -> dict[str, t.Any]:
    """The service's specification with the networks' present ids."""
    changed = copy.deepcopy(spec)
    for place in (changed, changed["TaskTemplate"]):
        for network in place.get("Networks") or []:
            network["Target"] = networks.get(network["Target"], network["Target"])
    return changed


def _converged(service: Service, tasks: list[dict[str, t.Any]]) -> bool:
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
