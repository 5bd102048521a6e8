"""A registry's images through its HTTP API (the OCI distribution specification): looked up, and given other names."""

from __future__ import annotations

import hashlib
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


class RegistryClient:
    """One registry, reached over plain HTTP."""

    def __init__(self, address: str) -> None:
        self._url = f"http://{address}/v2"

    def digest(self, image: str) -> str | None:
        """The digest of an image's manifest, or None where the registry has no such image."""
        name, _, tag = path(image).rpartition(":")
        try:
            _body, headers = self._send("HEAD", f"{self._url}/{name}/manifests/{tag}", headers={"Accept": MANIFEST})
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise
        return headers["Docker-Content-Digest"]

    def manifest(self, image: str) -> Any:
        name, _, tag = path(image).rpartition(":")
        return self._json(f"{self._url}/{name}/manifests/{tag}")

    def copy(self, source: str, target: str, environment: Mapping[str, str]) -> None:
        """Gives an image another name, and its containers more environment. No layer is sent or stored again."""
        source_name, _, _source_tag = path(source).rpartition(":")
        name, _, tag = path(target).rpartition(":")
        manifest = self.manifest(source)
        settings = self._json(f"{self._url}/{source_name}/blobs/{manifest['config']['digest']}")
        settings["config"]["Env"] = [
            *(settings["config"].get("Env") or []),
            *(f"{key}={value}" for key, value in environment.items()),
        ]
        for layer in manifest["layers"]:
            mount = f"?mount={layer['digest']}&from={source_name}"
            self._send("POST", f"{self._url}/{name}/blobs/uploads/{mount}", b"")
        manifest["config"].update(self._upload(name, json.dumps(settings).encode()))
        content = json.dumps(manifest).encode()
        self._send("PUT", f"{self._url}/{name}/manifests/{tag}", content, {"Content-Type": MANIFEST})

    def _upload(self, name: str, content: bytes) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        _body, headers = self._send("POST", f"{self._url}/{name}/blobs/uploads/", b"")
        separator = "&" if "?" in headers["Location"] else "?"
        kind = {"Content-Type": "application/octet-stream"}
        self._send("PUT", f"{headers['Location']}{separator}digest={digest}", content, kind)
        return {"digest": digest, "size": len(content)}

    def _json(self, url: str) -> Any:
        return json.loads(self._send("GET", url, headers={"Accept": MANIFEST})[0])

    def _send(
        self, method: str, url: str, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[bytes, Mapping[str, str]]:
        request = urllib.request.Request(url, content, dict(headers or {}), method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read(), answer.headers


def path(image: str) -> str:
    """The name's place in a registry: Docker's own keeps unprefixed names under library/."""
    return image if "/" in image else f"library/{image}"
