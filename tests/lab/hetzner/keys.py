"""SSH keys."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from typing import Any

from . import bodies
from .errors import invalid, not_unique
from .project import Project
from .store import now

KINDS = (
    "ssh-ed25519",
    "ssh-rsa",
    "ssh-dss",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)


class Keys:
    def __init__(self, project: Project) -> None:
        self._project = project
        self._store = project.store

    def create(self, body: bodies.CreateSshKey) -> dict[str, Any]:
        fingerprint = fingerprint_of(body.public_key)
        with self._store.changing():
            self._store.check_free("ssh_keys", body.name)
            if any(key["fingerprint"] == fingerprint for key in self._store.all("ssh_keys")):
                raise not_unique("public_key")
            key = {
                "name": body.name,
                "fingerprint": fingerprint,
                "public_key": body.public_key.strip(),
                "labels": body.labels,
                "created": now(),
            }
            return self._project.show("ssh_keys", self._store.add("ssh_keys", key))

    def delete(self, number: int) -> None:
        with self._store.changing():
            self._store.must("ssh_keys", number)
            self._store.remove("ssh_keys", number)


def fingerprint_of(public_key: str) -> str:
    """The MD5 fingerprint that Hetzner shows.

    Raises:
        ApiError: not an OpenSSH public key (422).
    """
    words = public_key.split()
    try:
        kind, blob = words[0], base64.b64decode(words[1], validate=True)
        (length,) = struct.unpack(">I", blob[:4])
        # The key's own bytes begin with its kind.
        named = blob[4 : 4 + length].decode()
    except (IndexError, ValueError, binascii.Error, struct.error) as error:
        raise invalid("public_key", "is not an OpenSSH public key") from error
    if kind not in KINDS or named != kind or "\n" in public_key.strip():
        raise invalid("public_key", "is not an OpenSSH public key")
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[at : at + 2] for at in range(0, 32, 2))
