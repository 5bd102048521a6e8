"""What whoever exports decides."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Choices:
    """`repository` and `branch` say where the folder is going to be, `home` where jobs find the operator's home."""

    repository: str
    branch: str
    home: str
    organization: str = ""
    image: str = ""
    project: str = ""
    # Where the collection comes from; this version from Galaxy when empty.
    collection: str = ""
