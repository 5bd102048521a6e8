"""Where the collection comes from: a Galaxy server, a git repository, or a tarball."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from livchat_cli.errors import LivchatError

NAME = "livchat.setup"
ALLOWED = (
    f"{NAME}, {NAME}:VERSION, git+https://HOST/PATH[,REF], git+ssh://git@HOST/PATH[,REF], https://HOST/PATH.tar.gz, "
    "or the path of a .tar.gz in the folder, such as collections/livchat-setup-1.0.0.tar.gz"
)
_HOST = r"[A-Za-z0-9.-]+(:[0-9]{1,5})?"
_STEP = r"[A-Za-z0-9_~+-][A-Za-z0-9._~+-]*"
_GALAXY = re.compile(rf"{re.escape(NAME)}(:(?P<version>[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?))?")
# Without a user and a password: who reads the folder would read them.
_GIT = re.compile(rf"(?P<name>git\+(https://|ssh://git@){_HOST}(/{_STEP})+)(,(?P<version>{_STEP}(/{_STEP})*))?")
_URL = re.compile(rf"https://{_HOST}(/{_STEP})+\.tar\.gz")
_FILE = re.compile(rf"(\./)?({_STEP}/)*{_STEP}\.tar\.gz")


def requirement(source: str, version: str) -> dict[str, str]:
    """An entry of `collections/requirements.yml`; without a source or a version, this version from Galaxy.

    Raises:
        LivchatError: INPUT_INVALID
    """
    if found := _GALAXY.fullmatch(source or NAME):
        return {"name": NAME, "version": found["version"] or version}
    if found := _GIT.fullmatch(source):
        return {"name": found["name"], "type": "git", **({"version": found["version"]} if found["version"] else {})}
    if _URL.fullmatch(source):
        return {"name": source, "type": "url"}
    if _FILE.fullmatch(source):
        return {"name": str(PurePosixPath(source)), "type": "file"}
    # Not what was given: it may hold a password.
    raise LivchatError("INPUT_INVALID", f"--collection: not allowed; allowed: {ALLOWED}", {"field": "collection"})


def building(wanted: dict[str, str]) -> dict[str, object]:
    """What ansible-builder needs besides to install it."""
    kind = wanted.get("type")
    if kind == "git":
        return {"additional_build_steps": {"prepend_galaxy": ["RUN $PKGMGR install -y git-core"]}}
    if kind == "file":
        folder = str(PurePosixPath(wanted["name"]).parent)
        return {"additional_build_files": [{"src": wanted["name"], "dest": folder}]}
    return {}
