"""Python environments beside our own, for clients whose packages cannot stand in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.throwaway import ROOT


def environment(folder: Path, name: str) -> Path:
    """The folder of the programs of `requirements/NAME.txt`, which are installed below `folder` at the first time."""
    place, lock = folder / name, ROOT / "requirements" / f"{name}.txt"
    installed = place / "installed"
    if not installed.exists() or installed.read_text() != lock.read_text():
        uv = str(Path(sys.executable).parent / "uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", str(place)], check=True)
        python = str(place / "bin" / "python")
        install = [uv, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", str(lock)]
        subprocess.run(install, check=True)
        installed.write_text(lock.read_text())
    return place / "bin"
