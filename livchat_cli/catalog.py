"""The catalogue's operations.

Front doors hold no knowledge of apps, and this one is no exception: it calls the collection's own pure functions.
Running a playbook to read files that lie beside this one would cost a second for nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from livchat_cli import collection
from livchat_cli.parameters import CatalogList, CatalogOrder, CatalogShow

collection.activate()

from ansible_collections.livchat.setup.plugins.plugin_utils import _resolver  # noqa: E402
from ansible_collections.livchat.setup.plugins.plugin_utils._catalog import Catalog  # noqa: E402


def _catalog(home: Path) -> Any:
    return Catalog([str(home / "apps")])


def list_apps(home: Path, parameters: CatalogList) -> list[dict[str, Any]]:
    return [one for one in _catalog(home).info() if parameters.category in (None, one["category"])]


def show_app(home: Path, parameters: CatalogShow) -> dict[str, Any]:
    return dict(_catalog(home).get(parameters.app))


def order_apps(home: Path, parameters: CatalogOrder) -> list[str]:
    return list(_resolver.order(parameters.apps, _catalog(home)))


def names(home: Path) -> list[str]:
    """Names alone, for shell completion: no definition is read."""
    return list(_catalog(home).names())
