"""The one error of the project, as the collection defines it."""

from __future__ import annotations

from livchat_cli import collection

collection.importable()

from ansible_collections.livchat.setup.plugins.module_utils._errors import LivchatError  # noqa: E402  # see above

__all__ = ["LivchatError"]
