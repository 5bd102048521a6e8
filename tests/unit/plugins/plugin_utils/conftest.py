from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.delenv("LIVCHAT_VAULT_PASSWORD_FILE", raising=False)
    for name in ("HCLOUD_TOKEN", "CLOUDFLARE_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LIVCHAT_VAULT_PASSWORD", "a password")
    return Home(str(tmp_path / "home"))
