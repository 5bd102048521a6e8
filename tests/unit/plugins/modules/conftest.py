from __future__ import annotations

import pytest
from ansible.module_utils import _internal


@pytest.fixture(autouse=True)
def on_a_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules run on targets. Tests of the controller's plugins, in the same process, make Ansible think otherwise."""
    monkeypatch.setattr(_internal, "is_controller", False)
