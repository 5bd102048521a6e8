# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""Stacks deployed by Docker's own command."""

from __future__ import annotations

import json
import typing as t

from ._errors import LivchatError
from ._swarm_services import RunCommand


class DockerBackend:
    """Deploys with `docker stack deploy`. Of a stack nothing exists beyond its services."""

    def __init__(self, run_command: RunCommand) -> None:
        self._run_command = run_command

    def deploy(self, name: str, compose: dict[str, t.Any], whole: bool) -> None:
        """Deploys the stack; unless `compose` is the whole of it, services it does not name stay."""
        prune = ["--prune"] if whole else []
        command = ["docker", "stack", "deploy", *prune, "--compose-file", "-", name]
        self._run(command, json.dumps(compose, sort_keys=True))

    def remove(self, name: str) -> None:
        self._run(["docker", "stack", "rm", name])

    def _run(self, command: list[str], data: str | None = None) -> None:
        code, _out, err = self._run_command(command, data=data)
        if code:
            raise LivchatError("STACK_DEPLOY_FAILED", f"{' '.join(command[:3])}: {err.strip()}")
