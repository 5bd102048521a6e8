# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""Stacks deployed through Portainer, which keeps a record of each: its file and its variables."""

from __future__ import annotations

import time
import typing as t

from ._errors import LivchatError
from ._patience import ConnectionCutError
from ._portainer import INACTIVE, SWARM_STACK, PortainerClient, Stack, Variables
from ._swarm_services import OURS
from ._yaml_text import as_yaml

HEADER = "# Deployed by livchat.setup. What is changed here lasts until livchat.setup deploys this application again.\n"
# Seconds in which a stack can still turn up whose creation was not answered.
LOST_PATIENCE = 30


class PortainerBackend:
    """Deploys through Portainer's API, and puts its records back."""

    def __init__(self, client: PortainerClient, swarm_id: str, sleep: t.Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._swarm_id = swarm_id
        self._sleep = sleep
        self._environment = 0
        self._records: dict[str, Stack] = {}
        # What was there at the first look: file, variables and status.
        self._before: dict[str, tuple[str, Variables, int]] = {}

    def look(self, names: t.Collection[str]) -> None:
        """Reads what Portainer has of these stacks."""
        self._environment = self._client.environment(self._swarm_id)
        for stack in self._client.stacks(self._environment):
            name = stack["Name"]
            if name in names:
                self._check_own_swarm(stack)
                self._records[name] = stack
                self._before[name] = (self._client.file(stack["Id"]), stack.get("Env") or [], stack["Status"])

    def holds(self, name: str) -> bool:
        return name in self._records

    def is_ours(self, name: str) -> bool:
        """Whether what Portainer has under this name was deployed by this collection."""
        return OURS in self._before[name][0]

    def deploy(self, name: str, compose: dict[str, t.Any], whole: bool) -> None:
        """Deploys the stack; unless `compose` is the whole of it, services it does not name stay."""
        content = HEADER + as_yaml(compose)
        record = self._records.get(name)
        if record is None:
            self._create(name, content, [])
        else:
            # Variables that a person gave it in Portainer stay.
            self._update(name, content, record.get("Env") or [], whole)

    def remove(self, name: str) -> None:
        self._client.delete(self._environment, self._records[name]["Id"])
        del self._records[name]

    def put_back(self, name: str) -> None:
        """Makes Portainer's record what it was at the first look."""
        # What it has by now is not what was last answered: a request may have been carried out late, or not at all.
        there = self._take_up(name)
        if name not in self._before:
            if there:
                self.remove(name)
            return
        content, variables, status = self._before[name]
        if there and self._client.file(self._records[name]["Id"]) == content:
            return
        if there:
            self._update(name, content, variables, True)
        else:
            self._create(name, content, variables)
        if status == INACTIVE:
            self._client.stop(self._environment, self._records[name]["Id"])

    def _create(self, name: str, content: str, variables: Variables) -> None:
        try:
            made = self._client.create(self._environment, self._swarm_id, name, content, variables)
        except ConnectionCutError:
            if not self._appeared(name):
                raise
            made = self._records[name]
        except LivchatError as error:
            raise self._explained(name, error) from None
        if made["Name"] != name:
            self._client.delete(self._environment, made["Id"])
            message = f"Portainer calls the stack {name} {made['Name']}; it takes lower case letters, digits, - and _"
            raise LivchatError("STACK_NAME_INVALID", message, {"stack": name})
        self._records[name] = made
        self._client.settled(made)

    def _update(self, name: str, content: str, variables: Variables, whole: bool) -> None:
        try:
            stack = self._client.update(self._environment, self._records[name]["Id"], content, variables, whole)
        except LivchatError as error:
            raise self._explained(name, error) from None
        self._client.settled(stack)

    def _appeared(self, name: str) -> bool:
        deadline = time.monotonic() + LOST_PATIENCE
        while not self._take_up(name):
            if time.monotonic() > deadline:
                return False
            self._sleep(0.5)
        return True

    def _take_up(self, name: str) -> bool:
        """Whether Portainer has a stack of this name by now; its record is taken up."""
        self._records.pop(name, None)
        for stack in self._client.stacks(self._environment):
            if stack["Name"] == name:
                self._records[name] = stack
        return name in self._records

    def _check_own_swarm(self, stack: Stack) -> None:
        if stack.get("Type") != SWARM_STACK or stack.get("SwarmId") != self._swarm_id:
            message = (
                f"Portainer has a stack {stack['Name']} that is none of this Swarm, but of an earlier one or of Docker "
                "Compose; delete it in Portainer first"
            )
            raise LivchatError("INSTANCE_CONFLICT", message, {"stack": stack["Name"]})

    @staticmethod
    def _explained(name: str, error: LivchatError) -> LivchatError:
        """The refusal of a stack, in words about the stack."""
        status, said = error.details.get("status"), error.details.get("said", error.message)
        if status == 409:
            message = (
                f"Portainer does not take the stack {name}, as something of that name was deployed outside of it: "
                f"{said}; remove that first, or choose another name for the instance"
            )
            return LivchatError("INSTANCE_CONFLICT", message, {"stack": name})
        if status in (400, 500):
            return LivchatError("STACK_DEPLOY_FAILED", f"Portainer refuses the file of {name}: {said}", error.details)
        return error
