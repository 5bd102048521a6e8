from __future__ import annotations

import stat
from pathlib import Path

import pytest
from ansible_collections.livchat.setup.plugins.plugin_utils._audit import REDACTED, Audit, redacted
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home


def test_lines_are_added_and_tell_who_did_what(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVCHAT_ACTOR", "ana via REST")
    audit = Audit(home)
    audit.add("deploy", "prod", {"apps": "n8n"}, "success", 41.23456)
    audit.add("status", "prod", {}, "unreachable", 1, failed=["Read\nthe server"])
    first, second = audit.lines()
    assert first["actor"] == "ana via REST"
    assert (first["operation"], first["target"], first["outcome"], first["duration"]) == (
        "deploy",
        "prod",
        "success",
        41.235,
    )
    assert second["failed"] == ["Read\nthe server"]
    assert stat.S_IMODE(Path(home.file("audit.jsonl")).stat().st_mode) == 0o600


@pytest.mark.parametrize("cut", [b'{"time": "20', b'{"time": "20\n', '{"actor": "Jos\u00e9'.encode()[:-1]])
def test_a_line_cut_by_a_full_disk_hides_no_other(home: Home, cut: bytes) -> None:
    audit = Audit(home)
    audit.add("one", "prod", {}, "success", 1)
    with Path(home.file("audit.jsonl")).open("ab") as handle:
        handle.write(cut)
    audit.add("two", "prod", {}, "success", 1)
    assert [line["operation"] for line in audit.lines()] == ["one", "two"]


@pytest.mark.parametrize(
    "name", ["password", "admin_password", "db_passwd", "token", "api_token", "apiKey", "secrets", "PRIVATE_KEY"]
)
def test_values_with_secret_names_are_left_out_at_any_depth(name: str) -> None:
    assert redacted({"a": [{name: "hunter2"}]}) == {"a": [{name: REDACTED}]}


def test_the_rest_is_kept() -> None:
    given = {"password_file": "/a", "apps": ["n8n"], "count": 2, "force": True, "token": None}
    assert redacted(given) == given


@pytest.mark.parametrize(
    "text",
    ["n8n.timezone=UTC\nn8n.smtp_password=hunter2", '{"n8n": {"smtp_password": "hunter2", "timezone": "UTC"}}'],
)
def test_a_mapping_that_comes_as_text_shows_no_secret(text: str) -> None:
    kept = redacted({"survey_variables": text})["survey_variables"]
    assert "hunter2" not in kept and REDACTED in kept and "UTC" in kept
