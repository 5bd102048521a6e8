"""Where the collection is: packed with this package, or in the checkout that this file stands in."""

from __future__ import annotations

import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
# An installed package carries the collection; in a checkout `tools/bootstrap` lays it out under build/.
PLACES = (_PACKAGE / "collection", _PACKAGE.parent / "build" / "collections")


def find(places: tuple[Path, ...] = PLACES) -> Path:
    """The folder that holds `ansible_collections/livchat/setup`.

    Raises:
        FileNotFoundError: none of the places has it.
    """
    for place in places:
        if (place / "ansible_collections" / "livchat" / "setup" / "galaxy.yml").is_file():
            return place
    looked = ", ".join(map(str, places))
    raise FileNotFoundError(
        f"the collection livchat.setup is not there (looked in {looked}); "
        "in a checkout run `make bootstrap`, otherwise install livchat-setup again"
    )


def activate() -> Path:
    """Makes `ansible_collections.livchat.setup` importable; safe to repeat."""
    place = find()
    if str(place) not in sys.path:
        sys.path.insert(0, str(place))
    return place
