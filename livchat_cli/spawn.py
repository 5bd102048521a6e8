"""Starts the process of a job. Whoever does needs nothing of what that process needs, which takes a while to import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TextIO, cast

from livchat_cli import collection
from livchat_cli.jobs import JobFolder

if TYPE_CHECKING:
    from ansible_collections.livchat.setup.plugins.plugin_utils._turns import Place

collection.activate()

from ansible_collections.livchat.setup.plugins.plugin_utils import _processes as processes  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._audit import REQUEST  # noqa: E402

PASSWORD = "LIVCHAT_VAULT_PASSWORD"  # noqa: S105  # the variable's name


def start(
    home: Path, folder: JobFolder, lock: TextIO, request: Mapping[str, Any], actor: str, *, place: Place | None
) -> dict[str, Any]:
    """Starts the job's process, hands the job's lock and place over to it, and returns the job's record at once.

    Nothing that happens to the caller ends it.

    Raises:
        OSError: it could not be started.
    """
    environment = {**os.environ, "LIVCHAT_HOME": str(home), "LIVCHAT_ACTOR": actor, processes.VARIABLE: folder.id}
    environment[REQUEST] = folder.record().get("request_id", "")
    # What the environment of a process says, others can read for as long as it lives.
    password = environment.pop(PASSWORD, None)
    process = subprocess.Popen(
        # -P: not from whatever folder the caller happens to stand in.
        [sys.executable, "-P", "-m", "livchat_cli.worker"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[lock.fileno(), *([place.descriptor] if place else [])],
        start_new_session=True,
    )
    # Before the process may begin, which changes the record as well.
    record = folder.update(pid=process.pid)
    handed = {**request, "job": folder.id, "lock": lock.fileno(), "vault_password": password}
    handed["place"] = place.told() if place else None
    with cast("IO[bytes]", process.stdin) as pipe:
        pipe.write(json.dumps(handed).encode())
    # Nobody waits for it here: it must not stay as a zombie of a caller that lives long.
    threading.Thread(target=process.wait, daemon=True).start()
    return record
