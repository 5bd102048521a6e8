from __future__ import annotations

import pytest
from ansible.module_utils import _internal
from ansible_collections.livchat.setup.plugins.module_utils import _swarm_services


@pytest.fixture(autouse=True)
def on_a_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules run on targets. Tests of the controller's plugins, in the same process, make Ansible think otherwise."""
    monkeypatch.setattr(_internal, "is_controller", False)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What exists in memory is as it will be at once, and a task that fails there fails for ever."""
    monkeypatch.setattr(_swarm_services, "PATIENCE", 1)
    monkeypatch.setattr(_swarm_services.time, "sleep", lambda _seconds: None)
