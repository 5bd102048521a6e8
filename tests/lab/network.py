"""The lab's network: one bridge whose gateway address, on this machine, carries all lab services."""

from __future__ import annotations

from .config import LabConfig
from .engine import docker


def make(config: LabConfig) -> None:
    if config.network in docker("network", "ls", "--format", "{{.Name}}").split():
        return
    docker("network", "create", "--subnet", config.subnet, "--label", config.label, config.network)


def remove(config: LabConfig) -> None:
    if config.network in docker("network", "ls", "--format", "{{.Name}}").split():
        docker("network", "rm", config.network)


def remove_containers(config: LabConfig) -> None:
    """Every container and volume that carries the lab's label."""
    if containers := docker("ps", "--all", "--quiet", "--filter", f"label={config.label}").split():
        docker("rm", "--force", "--volumes", *containers)
    if volumes := docker("volume", "ls", "--quiet", "--filter", f"label={config.label}").split():
        docker("volume", "rm", "--force", *volumes)
