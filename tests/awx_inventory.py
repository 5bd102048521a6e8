"""The inventory as AWX gives it to a job: a program that prints it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write(path: Path, listed: Mapping[str, Any]) -> Path:
    """`listed` is as `ansible-inventory --list` prints it; the file's name has no suffix that tells what it is."""
    path.write_text(f"#!/usr/bin/env python3\nprint({json.dumps(listed)!r})\n", encoding="utf-8")
    path.chmod(0o700)
    return path
