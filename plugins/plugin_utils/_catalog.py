# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""App definitions: read from the collection and from the operator's home, checked against the schema."""

from __future__ import annotations

import difflib
import functools
import json
import os
import typing as t

import yaml

from ..module_utils._errors import LivchatError

ROOT = os.path.join(os.path.dirname(__file__), "..", "..", "apps")
Definition = t.Dict[str, t.Any]


class Catalog:
    """The definitions in some folders; a later folder's definition replaces an earlier one's of the same name."""

    def __init__(self, folders: list[str] | None = None) -> None:
        self._folders = [os.path.join(ROOT, "definitions"), *(folders or [])]

    @functools.cached_property
    def _files(self) -> dict[str, str]:
        found = {}
        for folder in self._folders:
            for place, _, names in sorted(os.walk(folder)):
                for name in sorted(names):
                    if name.endswith((".yml", ".yaml")):
                        found[name.rsplit(".", 1)[0]] = os.path.join(place, name)
        return found

    def names(self) -> list[str]:
        return sorted(self._files)

    def get(self, name: str) -> Definition:
        """The definition of an app.

        Raises:
            LivchatError: APP_UNKNOWN, or DEFINITION_INVALID naming the file, the place in it and what is allowed there.
        """
        if name not in self._files:
            near = difflib.get_close_matches(name, self._files, 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise LivchatError("APP_UNKNOWN", f"there is no app {name!r} in the catalogue.{hint}", {"app": name})
        return self._read(name)

    @functools.lru_cache(maxsize=None)  # noqa: B019  # a catalogue lives as long as one run
    def _read(self, name: str) -> Definition:
        path = self._files[name]
        with open(path, encoding="utf-8") as handle:
            try:
                definition = yaml.safe_load(handle)
            except yaml.YAMLError as error:
                raise LivchatError("DEFINITION_INVALID", f"{path}: {error}", {"file": path}) from error
        check(definition, path)
        if definition["name"] != name:
            message = f"{path}: name is {definition['name']!r}, but the file is called {name}"
            raise LivchatError("DEFINITION_INVALID", message, {"file": path})
        return definition  # type: ignore[no-any-return]


@functools.lru_cache(maxsize=1)
def _validator() -> t.Any:
    # Importing jsonschema costs 60 ms, which an empty plan need not pay.
    import jsonschema

    with open(os.path.join(ROOT, "app.schema.json"), encoding="utf-8") as handle:
        return jsonschema.Draft202012Validator(json.load(handle))


def check(definition: t.Any, path: str) -> None:
    """Raises LivchatError DEFINITION_INVALID for the first thing the schema does not allow."""
    errors = sorted(_validator().iter_errors(definition), key=lambda error: list(map(str, error.absolute_path)))
    if errors:
        place = ".".join(str(part) for part in errors[0].absolute_path) or "the file"
        message = f"{path}: {place}: {errors[0].message}"
        raise LivchatError("DEFINITION_INVALID", message, {"file": path, "path": place})
