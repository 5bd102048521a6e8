"""Builds the repository when it is first wanted, and serves it."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from tests.lab import base_image
from tests.lab.config import LabConfig
from tests.lab.engine import docker

HERE = Path(__file__).parent
RELEASE = "debian-13"
NEWEST, OLDER = (f"5:26.1.{last}-1~debian.13~trixie" for last in (5, 4))


def _inputs() -> str:
    texts = [(HERE / name).read_bytes() for name in ("Dockerfile", "repack.sh")]
    return hashlib.sha256(b"".join(texts)).hexdigest()


def make(config: LabConfig) -> None:
    """Builds it, unless the cache has it already."""
    mark = config.docker_repository / "inputs"
    if mark.exists() and mark.read_text() == _inputs():
        return
    base_image.make_vps(config, RELEASE)
    tag = "livchat-lab/docker-repository"
    docker("build", "--quiet", "--build-arg", f"VPS={base_image.vps_tag(RELEASE)}", "--tag", tag, str(HERE))
    container = docker("create", tag).strip()
    shutil.rmtree(config.docker_repository, ignore_errors=True)
    docker("cp", f"{container}:/repository", str(config.docker_repository))
    docker("rm", container)
    docker("rmi", tag)
    mark.write_text(_inputs())


def create_app(config: LabConfig) -> Starlette:
    """What of it there is, from the moment it is there."""
    return Starlette(routes=[Mount("/", StaticFiles(directory=config.docker_repository, check_dir=False))])
