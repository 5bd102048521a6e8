"""The image registry the VPSs use as mirror: Debian's docker-registry over a folder of the cache."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from pathlib import Path

from .config import LabConfig
from .engine import install

PUBLIC_REGISTRY = "https://registry-1.docker.io"


def public_registry() -> str | None:
    """The address of a public registry that answers here, or None: then the lab serves images it built itself."""
    chosen = os.environ.get("LIVCHAT_LAB_PUBLIC_REGISTRY", PUBLIC_REGISTRY)
    if not chosen:
        return None
    try:
        with urllib.request.urlopen(f"{chosen}/v2/", timeout=3):
            return chosen
    except urllib.error.HTTPError as answer:
        # 401 asks for a token, which the mirror fetches itself.
        return chosen if answer.code == 401 else None
    except OSError:
        return None


def command(config: LabConfig, upstream: str | None) -> list[str]:
    """The command line that runs the registry; with an upstream it is a pull-through mirror of it."""
    install({"docker-registry": "docker-registry"})
    settings = {
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {
            "filesystem": {"rootdirectory": str(config.cache / ("mirror" if upstream else "registry"))},
            "delete": {"enabled": True},
        },
        "http": {"addr": f":{config.registry_port}"},
    }
    if upstream:
        settings["proxy"] = {"remoteurl": upstream}
    path: Path = config.folder / "registry.yml"
    path.write_text(json.dumps(settings))
    return ["docker-registry", "serve", str(path)]
