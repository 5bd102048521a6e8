"""The catalogue's operations.

Front doors hold no knowledge of apps, and this one is no exception: it calls the collection's own pure functions.
Running a playbook to read files that lie beside this one would cost a second for nothing.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

from livchat_cli import collection
from livchat_cli.parameters import CatalogList, CatalogOrder, CatalogShow

collection.activate()

from ansible_collections.livchat.setup.plugins.plugin_utils import _resolver  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._catalog import ROOT, Catalog  # noqa: E402

_Version = tuple[tuple[str, int], ...]


def _catalog(home: Path) -> Any:
    """The catalogue, read anew when a definition has changed: a process that lives long asks often."""
    own = home / "apps"
    return _read(own, (*_version(Path(ROOT, "definitions")), *_version(own)))


@functools.lru_cache(maxsize=2)
def _read(own: Path, _version: _Version) -> Any:
    return Catalog([str(own)])


def _version(folder: Path) -> _Version:
    files = (Path(place, name) for place, _folders, names in os.walk(folder) for name in names)
    return tuple(sorted((str(one), one.stat().st_mtime_ns) for one in files))


def list_apps(home: Path, parameters: CatalogList) -> list[dict[str, Any]]:
    return [one for one in _catalog(home).info() if parameters.category in (None, one["category"])]


def show_app(home: Path, parameters: CatalogShow) -> dict[str, Any]:
    return dict(_catalog(home).get(parameters.app))


def order_apps(home: Path, parameters: CatalogOrder) -> list[str]:
    return list(_resolver.order(parameters.apps, _catalog(home)))


def names(home: Path) -> list[str]:
    """Names alone, for shell completion: no definition is read."""
    return list(_catalog(home).names())
