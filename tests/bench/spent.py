"""Where the time of a run of ours went, from the record of its job."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.e2e.story import Story

SHOWN = 8


def newest_job(home: Path) -> Path:
    return max(path for path in (home / "jobs").iterdir() if (path / "events.jsonl").exists())


def slowest_steps(home: Path) -> list[str]:
    """The newest job's slowest steps, a line each."""
    lines = (newest_job(home) / "events.jsonl").read_text().splitlines()
    steps: list[dict[str, Any]] = [one for line in lines if (one := json.loads(line))["kind"] != "started"]
    total = sum(one["duration"] for one in steps)
    shown = sorted(steps, key=lambda one: one["duration"], reverse=True)[:SHOWN]
    return [f"{len(steps)} steps, {total:.1f} s in them"] + [
        f"{one['duration']:6.1f} s  {one['role'] or '-'}: {one['task']}" for one in shown
    ]


def remote_calls(story: Story, name: str) -> int:
    """How many calls a redeploy without changes makes on the server. Ansible's connection tells at a high verbosity."""
    story.run("app", "install", "n8n", "--target", name, "--yes", extra={"ANSIBLE_VERBOSITY": "3"})
    return (newest_job(story.home) / "log").read_text().count("SSH: EXEC")
