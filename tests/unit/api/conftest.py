"""One API for the tests that only ask; those that stop, kill or limit one have their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home
from ansible_collections.livchat.setup.plugins.plugin_utils._vault import Vault

from tests.throwaway import Tree
from tests.unit.api.running import PASSWORD, Running, state

CANARY = "cAnArY-4f60b1aa-secret"


@pytest.fixture(scope="session")
def api(tree: Tree, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """With two servers of two applications each, and a vault that holds the canary."""
    running = Running(tree, tmp_path_factory.mktemp("api") / "home")
    running.write_state(state())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIVCHAT_VAULT_PASSWORD", PASSWORD)
        Vault(Home(str(running.home))).set_all({"tokens/cloudflare": CANARY, "servers/s0/portainer/password": CANARY})
    running.start()
    yield running
    running.stop()
