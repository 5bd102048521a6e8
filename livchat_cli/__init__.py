"""The command line of livchat.setup: names operations and runs their playbooks; knows nothing of servers or apps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from livchat_cli.client import Client

__all__ = ["Client"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Loaded on first use: `livchat-setup --help` imports this package too, and needs none of it.
    if name == "Client":
        from livchat_cli.client import Client  # noqa: PLC0415

        return Client
    raise AttributeError(name)
