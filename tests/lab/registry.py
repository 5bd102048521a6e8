"""The image registry the VPSs use as mirror: Debian's docker-registry over a folder of the cache."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from pathlib import Path

from .config import LabConfig
from .engine import LabError, install

PUBLIC_REGISTRY = "https://registry-1.docker.io"


def public_registry() -> str | None:
    """The address of a public registry that answers here, or None: then the lab serves images it built itself.

    Raises:
        LabError: LIVCHAT_LAB_PUBLIC_REGISTRY is set and no URL.
    """
    chosen = os.environ.get("LIVCHAT_LAB_PUBLIC_REGISTRY", PUBLIC_REGISTRY).rstrip("/")
    if not chosen:
        return None
    if not chosen.startswith(("http://", "https://")):
        raise LabError(f"LIVCHAT_LAB_PUBLIC_REGISTRY {chosen!r} must be a URL such as {PUBLIC_REGISTRY}, or empty")
    try:
        with urllib.request.urlopen(f"{chosen}/v2/", timeout=3):
            return chosen
    except urllib.error.HTTPError as answer:
        # 401 asks for a token, which the mirror fetches itself.
        return chosen if answer.code == 401 else None
    except OSError:
        return None


def remember(config: LabConfig, upstream: str | None) -> None:
    """Notes, for `mirrors`, what the registry that starts now is."""
    note = config.folder / "mirror"
    if upstream:
        note.write_text(upstream)
    else:
        note.unlink(missing_ok=True)


def mirrors(config: LabConfig) -> bool:
    """Whether the lab's registry is a mirror of a public one, which takes no images of the lab's own."""
    return (config.folder / "mirror").exists()


def command(config: LabConfig, upstream: str | None, address: str) -> list[str]:
    """The command line that runs the registry on an address; with an upstream it is a pull-through mirror of it."""
    install({"docker-registry": "docker-registry"})
    settings = {
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {
            "filesystem": {"rootdirectory": str(config.cache / ("mirror" if upstream else "registry"))},
            "delete": {"enabled": True},
        },
        "http": {"addr": f"{address}:{config.registry_port}"},
    }
    if upstream:
        settings["proxy"] = {"remoteurl": upstream}
    path: Path = config.folder / f"registry-{address}.yml"
    path.write_text(json.dumps(settings))
    return ["docker-registry", "serve", str(path)]
