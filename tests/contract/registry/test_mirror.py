"""The lab's registry as a mirror of a public one. Both are real; the engine pushes to one and pulls from the other."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import tarfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab import registry
from tests.lab.config import LabConfig
from tests.lab.engine import LabError, docker
from tests.lab.registry_client import RegistryClient

IMAGE = "library/tiny:1.0"


@dataclass
class Running:
    """A registry that runs, the process included."""

    address: str
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=10)


def start(folder: Path, monkeypatch: pytest.MonkeyPatch, upstream: str | None) -> Running:
    monkeypatch.setenv("LIVCHAT_LAB_DIR", str(folder))
    monkeypatch.setenv("LIVCHAT_LAB_CACHE", str(folder / "cache"))
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = LabConfig(hetzner_token="unused", cloudflare_token="unused", registry_port=port)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(registry.command(config, upstream, "127.0.0.1"), stdout=log, stderr=log)
    running = Running(f"127.0.0.1:{port}", process)
    for _ in range(100):
        try:
            urllib.request.urlopen(f"http://{running.address}/v2/", timeout=1).close()
            return running
        except OSError:
            time.sleep(0.1)
    running.stop()
    raise AssertionError((folder / "log").read_text())


@pytest.fixture
def public(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    running = start(tmp_path / "public", monkeypatch, None)
    yield running
    running.stop()


@pytest.fixture
def mirror(public: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setenv("LIVCHAT_LAB_PUBLIC_REGISTRY", f"http://{public.address}")
    upstream = registry.public_registry()
    assert upstream == f"http://{public.address}"
    running = start(tmp_path / "mirror", monkeypatch, upstream)
    yield running
    running.stop()


@pytest.fixture
def pushed(public: Running) -> str:
    """An image in the public registry, and in no engine; its manifest's digest."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a-file"))
    name = f"{public.address}/{IMAGE}"
    docker("import", "-", name, stdin=content.getvalue())
    try:
        docker("push", "--quiet", name)
        return digest_in_engine(name)
    finally:
        docker("rmi", name)


def digest_in_engine(name: str) -> str:
    repository, _, _tag = name.rpartition(":")
    digests = json.loads(docker("image", "inspect", "--format", "{{json .RepoDigests}}", name))
    (digest,) = (one.partition("@")[2] for one in digests if one.startswith(f"{repository}@"))
    return str(digest)


def pull(running: Running) -> str:
    """Pulls the image anew; its manifest's digest as the engine has it."""
    name = f"{running.address}/{IMAGE}"
    docker("pull", "--quiet", name)
    try:
        return digest_in_engine(name)
    finally:
        docker("rmi", name)


def test_an_image_comes_through_with_its_digest_and_outlives_the_public_registry(
    public: Running, mirror: Running, pushed: str
) -> None:
    assert pull(mirror) == pushed
    assert RegistryClient(mirror.address).digest(IMAGE) == pushed
    public.stop()
    assert pull(mirror) == pushed


def test_a_mirror_has_what_the_public_registry_has_and_takes_nothing_else(mirror: Running, pushed: str) -> None:
    assert RegistryClient(mirror.address).digest("library/tiny:2.0") is None
    pull(mirror)
    with pytest.raises(OSError, match="405"):
        RegistryClient(mirror.address).copy(IMAGE, "library/other:1.0", {})


def test_one_that_is_no_registry_any_more_gives_an_error_not_an_empty_image(mirror: Running, public: Running) -> None:
    public.stop()
    with pytest.raises(LabError, match="pull"):
        pull(mirror)


def test_a_copy_shares_its_layers_and_adds_to_the_environment(public: Running, pushed: str) -> None:
    client = RegistryClient(public.address)
    client.copy(IMAGE, "example/other:1.0", {"STAND_IN_PORTS": "80,8080"})
    name = f"{public.address}/example/other:1.0"
    docker("pull", "--quiet", name)
    try:
        (inspected,) = json.loads(docker("image", "inspect", name))
    finally:
        docker("rmi", name)
    assert inspected["Config"]["Env"] == ["STAND_IN_PORTS=80,8080"]
    assert digest_of_layers(client, IMAGE) == digest_of_layers(client, "example/other:1.0")


def digest_of_layers(client: RegistryClient, image: str) -> list[str]:
    return [layer["digest"] for layer in client.manifest(image)["layers"]]
