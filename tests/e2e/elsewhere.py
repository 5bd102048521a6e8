"""A machine that has Ansible and the collection from its tarball, and nothing of this checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Elsewhere:
    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        """`environment` is what processes get besides the paths; nothing of this process' own."""
        self.folder = folder
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
        (site,) = (folder / "venv").glob("lib/python*/site-packages")
        # A path file inside a path file is not read: this brings the packages, not the checkout they know of.
        (site / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n")
        self._python = str(folder / "venv/bin/python")
        self.environment = {
            **environment,
            "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections"),
            "PATH": f"{folder / 'venv/bin'}:{os.defpath}",
        }
        found = subprocess.run(
            [self._python, "-c", "import livchat_cli"], cwd=folder, env=self.environment, check=False
        )
        assert found.returncode != 0, "the checkout is still in sight"
        self.run("galaxy", "collection", "build", "--output-path", str(folder), cwd=ROOT)
        (tarball,) = folder.glob("livchat-setup-*.tar.gz")
        place = ("--collections-path", str(folder / "collections"))
        self.run("galaxy", "collection", "install", "--offline", *place, str(tarball))

    def run(
        self, program: str, *arguments: str, cwd: Path | None = None, extra: Mapping[str, str] | None = None
    ) -> str:
        """What `ansible-PROGRAM ARGUMENTS` printed, once it ended well."""
        done = self.attempt(program, *arguments, cwd=cwd, extra=extra)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def attempt(
        self, program: str, *arguments: str, cwd: Path | None = None, extra: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """The same, however it ends; `extra` adds to its environment."""
        command = [self._python, "-m", "ansible", program, *arguments]
        environment = {**self.environment, **(extra or {})}
        return subprocess.run(
            command, cwd=cwd or self.folder, env=environment, capture_output=True, text=True, check=False
        )
