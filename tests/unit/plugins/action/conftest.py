from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

Play = Callable[..., dict[str, Any]]
FACTS = {
    "docker": {"swarm": {"active": True}},
    "server": {"memory_free_mb": 16000, "swap_mb": 0, "disk_free_gb": 100},
    "services": [],
    "secrets": [],
}


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Runs tasks with the real ansible-playbook against a server that is this machine; the results by task's name."""

    def run(
        tasks: list[dict[str, Any]],
        *options: str,
        failing: bool = False,
        environment: Mapping[str, str] | None = None,
        **variables: Any,
    ) -> dict[str, Any]:
        book = tmp_path / "deploy.yml"
        book.write_text(yaml.safe_dump([{"hosts": "prod", "gather_facts": False, "tasks": tasks}]))
        # Which of a machine's interpreters Ansible would choose is of no interest here.
        here = {"ansible_python_interpreter": sys.executable}
        extra = {"livchat_home": str(tmp_path / "home"), "facts": FACTS, **here, **variables}
        given = tmp_path / "variables.json"
        given.write_text(json.dumps(extra))
        seen = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "LIVCHAT_"))},
            "ANSIBLE_CONFIG": str(Path(__file__).parents[4] / "ansible.cfg"),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
            "ANSIBLE_CALLBACKS_ENABLED": "livchat.setup.audit",
            "LIVCHAT_VAULT_PASSWORD": "a password",
            "LIVCHAT_ACTOR": "a test",
            **(environment or {}),
        }
        command = ["-m", "ansible", "playbook", "-i", "prod,", "-c", "local", *options, "-e", f"@{given}", str(book)]
        done = subprocess.run(
            [sys.executable, *command], capture_output=True, text=True, env=seen, check=False, cwd=tmp_path
        )
        assert (done.returncode != 0) is failing, done.stdout + done.stderr
        output = json.loads(done.stdout[done.stdout.index("{") :])
        return {one["task"]["name"]: one["hosts"]["prod"] for one in output["plays"][0]["tasks"]}

    return run
