"""All that is secret of a home, and the places of a server where nothing of it may be."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home
from ansible_collections.livchat.setup.plugins.plugin_utils._vault import Vault

from tests.e2e.story import Story

# Where on a server nothing of ours may keep a secret; Swarm's own store is none of these.
PLACES = ("/etc", "/home", "/opt", "/root", "/srv", "/tmp", "/var/lib/livchat", "/var/log", "/var/tmp")


def canaries(story: Story) -> list[str]:
    """The vault's password, both tokens, and every value in the vault."""
    password = (story.home.parent / "vault-password").read_text().strip()
    tokens = [story.lab.hetzner_token, story.lab.cloudflare_token]
    found = [password, *tokens, *_leaves(Vault(Home(str(story.home)))._load())]
    # A key is told by a line from its middle: the first ones are the same in all keys.
    wanted = [one.splitlines()[2] if "PRIVATE KEY" in one else one for one in found]
    assert all(len(one) >= 16 for one in wanted if one != "admin")
    return sorted({one for one in wanted if one != "admin"})


def on_server(target: Any, secrets: list[str]) -> str:
    """The server's files that hold one of them."""
    return str(target.run(f"{_patterns(secrets)} | grep -rlF -f - {' '.join(PLACES)} 2>/dev/null").stdout)


def in_container_logs(target: Any, secrets: list[str]) -> str:
    """What containers printed, as Docker keeps it: the files that hold one of them."""
    return str(target.run(f"{_patterns(secrets)} | grep -lF -f - /var/lib/docker/containers/*/*-json.log").stdout)


def in_journal(target: Any, secrets: list[str]) -> str:
    """The lines of the server's journal that hold one of them."""
    return str(target.run(f"journalctl --output=cat | grep -F -f <({_patterns(secrets)})").stdout)


def _patterns(secrets: list[str]) -> str:
    """A command that prints them, one a line; not as they are, for a test may be looking at command lines meanwhile."""
    joined = base64.b64encode("\n".join(secrets).encode()).decode()
    return f"echo {joined} | base64 --decode"


def _leaves(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        for one in tree.values():
            yield from _leaves(one)
    else:
        yield str(tree)
