"""A Swarm and a Portainer in front of it that exist in memory."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Sequence
from typing import Any

import yaml
from ansible_collections.livchat.setup.plugins.module_utils._errors import LivchatError
from ansible_collections.livchat.setup.plugins.module_utils._patience import ConnectionCutError
from ansible_collections.livchat.setup.plugins.module_utils._portainer import ACTIVE, INACTIVE

NAMESPACE = "com.docker.stack.namespace"


class Swarm:
    """Keeps services as the engine describes them. A service is healthy once it was looked at, or fails for ever.

    The tasks of a service that was removed can be seen for a moment more, and no other may start beside them. What a
    stack file declares as its own, networks and volumes, is made with it.
    """

    def __init__(self, api: str = "1.45", failing: Sequence[str] = (), end: str = "failed") -> None:
        self.api = api
        self.failing = failing
        # The state in which tasks of those that fail end.
        self.end = end
        # Services whose updates Swarm itself rolls back.
        self.reverting: Sequence[str] = ()
        self.services: dict[str, dict[str, Any]] = {}
        self.deployed: list[list[str]] = []
        self.files: list[dict[str, Any]] = []
        self.looked_at: list[set[str]] = []
        self.removed: list[str] = []
        self.secrets: dict[str, dict[str, Any]] = {}
        self.networks: dict[str, dict[str, Any]] = {}
        self.volumes: dict[str, dict[str, Any]] = {}
        # Containers by the volume they use.
        self.users: dict[str, list[dict[str, Any]]] = {}
        self._ending: list[dict[str, Any]] = []
        self._numbers = itertools.count(1)

    # --- the engine's API
    def get(self, path: str, filters: dict[str, list[str]] | None = None, **_query: Any) -> Any:
        label = (filters or {}).get("label", [""])[0].partition("=")[2]
        if path == "/version":
            return {"ApiVersion": self.api}
        if path == "/services":
            self.looked_at.append(set(self.services))
            return copy.deepcopy(list(self.services.values()))
        if path == "/tasks":
            ending = [task for task in self._ending if task["Stack"] == label]
            self._ending = [task for task in self._ending if task["Stack"] != label]
            return ending + [self._task(name) for name in self.services if name.startswith(f"{label}_")]
        if path == "/networks":
            return [one for one in self.networks.values() if one["Labels"].get(NAMESPACE) == label]
        if path == "/volumes":
            return {"Volumes": list(self.volumes.values())}
        if path.startswith("/containers/") and path != "/containers/json":
            # Only one that is not healthy has a streak.
            log = [{"Output": "cannot connect\n"}]
            return {"State": {"Health": {"FailingStreak": int(self.end == "complete"), "Log": log}}}
        if path == "/containers/json":
            return self.users.get((filters or {})["volume"][0], [])
        kept = self.secrets if path == "/secrets" else {}
        return [one for one in kept.values() if not label or one["Spec"]["Labels"]["livchat.instance"] == label]

    def call(self, method: str, path: str, query: Any = None, body: Any = None) -> Any:
        kind, _, what = path.strip("/").partition("/")
        if path == "/secrets/create":
            self.secrets[body["Name"]] = {"ID": body["Name"], "Spec": body}
            return {"ID": body["Name"]}
        if path == "/networks/create":
            return {"Id": self._network(body["Name"], body["Labels"])}
        if path == "/services/create":
            self.add(body)
            return {"ID": self.services[body["Name"]]["ID"]}
        if method == "POST":
            service = self._by_id(what.partition("/")[0])
            service["Spec"] = copy.deepcopy(body)
            return None
        if kind == "volumes" and self.users.get(what):
            busy = [one for one in self.users[what] if one.pop("ends", False)]
            self.users[what] = [one for one in self.users[what] if one not in busy]
            raise LivchatError("ENGINE_ERROR", "volume is in use", {"status": 409})
        self.removed.append(what)
        if kind == "services":
            self._end(self._by_id(what))
        else:
            {"secrets": self.secrets, "networks": self.networks, "volumes": self.volumes}[kind].pop(what, None)
        return None

    def _by_id(self, number: str) -> dict[str, Any]:
        return next(one for one in self.services.values() if one["ID"] == number)

    # --- the docker command
    def run_command(self, command: list[str], data: str | None = None) -> tuple[int, str, str]:
        if command[:3] == ["docker", "stack", "rm"]:
            self.remove(command[3])
        if command[:3] == ["docker", "stack", "deploy"]:
            self.deploy(command[-1], json.loads(data or ""), "--prune" in command)
        return 0, "", ""

    def deploy(self, stack: str, compose: dict[str, Any], prune: bool) -> None:
        self.files.append(compose)
        self.deployed.append(sorted(compose["services"]))
        if "own" in compose.get("networks", {}) and not any(
            one["Name"] == f"{stack}_own" for one in self.networks.values()
        ):
            self._network(f"{stack}_own", {NAMESPACE: stack})
        for volume in compose.get("volumes", {}).values():
            self.volumes[volume["name"]] = {"Name": volume["name"], "Labels": {NAMESPACE: stack}}
        for name, service in compose["services"].items():
            self._put(self._spec(stack, name, service))
        if prune:
            for name in [one for one in self._names(stack) if one.partition("_")[2] not in compose["services"]]:
                self._end(self.services[name])

    def remove(self, stack: str) -> None:
        for name in self._names(stack):
            self._end(self.services[name])
        for number in [key for key, one in self.networks.items() if one["Labels"].get(NAMESPACE) == stack]:
            del self.networks[number]

    # --- what is in it
    def add(self, spec: dict[str, Any]) -> None:
        stack = spec["Labels"].get(NAMESPACE)
        assert not [one for one in self._ending if one["Stack"] == stack], "two tasks with one volume"
        for network in spec["TaskTemplate"].get("Networks", []):
            if network["Target"] not in self.networks:
                raise LivchatError("ENGINE_ERROR", f"network {network['Target']} not found", {"status": 404})
        self.services[spec["Name"]] = {
            "ID": f"service{next(self._numbers)}",
            "Version": {"Index": 1},
            "Spec": copy.deepcopy(spec),
            "ServiceStatus": {"RunningTasks": 1, "DesiredTasks": 1},
            "CreatedAt": "2026-01-01",
            "UpdatedAt": "2026-01-01",
        }

    def _put(self, spec: dict[str, Any]) -> None:
        if spec["Name"] in self.reverting:
            update = {
                "State": "rollback_completed",
                "StartedAt": f"update {next(self._numbers)}",
                "Message": "rolled back",
            }
            self.services[spec["Name"]]["UpdateStatus"] = update
        elif spec["Name"] in self.services:
            self.services[spec["Name"]]["Spec"] = spec
        else:
            self.add(spec)

    def _spec(self, stack: str, name: str, service: dict[str, Any]) -> dict[str, Any]:
        own = [{"Target": number} for number, one in self.networks.items() if one["Name"] == f"{stack}_own"]
        return {
            "Name": f"{stack}_{name}",
            "Labels": {NAMESPACE: stack, **service["deploy"]["labels"]},
            "TaskTemplate": {"ContainerSpec": {"Image": service["image"]}, "Networks": own},
            "Mode": {"Replicated": {"Replicas": 1}},
        }

    def _network(self, name: str, labels: dict[str, str]) -> str:
        number = f"network{next(self._numbers)}"
        self.networks[number] = {"Id": number, "Name": name, "Driver": "overlay", "Labels": labels}
        return number

    def _names(self, stack: str) -> list[str]:
        return [name for name, one in self.services.items() if one["Spec"]["Labels"].get(NAMESPACE) == stack]

    def _end(self, service: dict[str, Any]) -> None:
        name = service["Spec"]["Name"]
        self._ending.append({**self._task(name), "Stack": service["Spec"]["Labels"].get(NAMESPACE)})
        del self.services[name]

    def _task(self, name: str) -> dict[str, Any]:
        failing = name in self.failing
        return {
            "ID": name,
            "ServiceID": self.services[name]["ID"],
            "CreatedAt": "2026-01-02",
            "DesiredState": "shutdown" if failing else "running",
            "Status": {
                "State": self.end if failing else "running",
                "Err": "exit 1" if self.end == "failed" else "",
                "ContainerStatus": {"ContainerID": name},
            },
            "Spec": self.services[name]["Spec"]["TaskTemplate"],
        }


class FakePortainer:
    """Answers as PortainerClient does, over a Swarm in memory. `faults` are raised by the next calls of a name."""

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm
        self._numbers = itertools.count(1)
        self.records: dict[int, dict[str, Any]] = {}
        self.calls: list[str] = []
        self.prunes: list[bool] = []
        self.faults: dict[str, LivchatError] = {}
        # Whether the request that is not answered was carried out all the same.
        self.carried_out = True
        self.unreachable = False

    def environment(self, swarm_id: str) -> int:
        self._begin("environment")
        return 1

    def stacks(self, environment: int) -> list[dict[str, Any]]:
        self._begin("stacks")
        return [{key: value for key, value in one.items() if key != "file"} for one in self.records.values()]

    def file(self, stack_id: int) -> str:
        return str(self.records[stack_id]["file"])

    def create(self, environment: int, swarm_id: str, name: str, content: str, variables: Any) -> dict[str, Any]:
        fault = self._begin("create")
        if fault and not (isinstance(fault, ConnectionCutError) and self.carried_out):
            raise fault
        if self._swarm._names(name) or name in [one["Name"] for one in self.records.values()]:
            raise LivchatError("PORTAINER_ERROR", "taken", {"status": 409, "said": f"'{name}' already exists"})
        number = next(self._numbers)
        self.records[number] = {
            "Id": number,
            "Name": name,
            "Type": 1,
            "EndpointId": environment,
            "SwarmId": swarm_id,
            "Env": variables,
            "Status": ACTIVE,
            "file": content,
        }
        self._swarm.deploy(name, yaml.safe_load(content), False)
        if fault:
            raise fault
        return dict(self.records[number])

    def update(self, environment: int, stack_id: int, content: str, variables: Any, prune: bool) -> dict[str, Any]:
        if fault := self._begin("update"):
            raise fault
        record = self.records[stack_id]
        self._swarm.deploy(record["Name"], yaml.safe_load(content), prune)
        self.prunes.append(prune)
        record.update(file=content, Env=variables, Status=ACTIVE)
        return {**record, "ResourceControl": None}

    def stop(self, environment: int, stack_id: int) -> None:
        self._begin("stop")
        self._swarm.remove(self.records[stack_id]["Name"])
        self.records[stack_id]["Status"] = INACTIVE

    def delete(self, environment: int, stack_id: int) -> None:
        if fault := self._begin("delete"):
            raise fault
        self._swarm.remove(self.records.pop(stack_id)["Name"])

    def settled(self, stack: dict[str, Any]) -> None:
        pass

    def _begin(self, call: str) -> LivchatError | None:
        self.calls.append(call)
        if self.unreachable:
            raise ConnectionCutError("PORTAINER_UNREACHABLE", "no answer")
        return self.faults.pop(call, None)
