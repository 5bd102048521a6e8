"""When a setup may be skipped, and that the record looks at all that the roles leave."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.livchat.setup.plugins.modules import setup_record

ROOT = Path(__file__).parents[4]
KEPT = {"wanted": "a", "observed": {"files": "1", "units": "2"}, "at": 1000}


@pytest.mark.parametrize(
    ("kept", "wanted", "observed", "now", "reason"),
    [
        (KEPT, "a", KEPT["observed"], 1100, ""),
        (None, "a", KEPT["observed"], 1100, "no setup"),
        (KEPT, "b", KEPT["observed"], 1100, "something else"),
        (KEPT, "a", KEPT["observed"], 5000, "too long ago"),
        # A clock that was put back makes every age wrong.
        (KEPT, "a", KEPT["observed"], 900, "too long ago"),
        (KEPT, "a", {"files": "1", "units": "3"}, 1100, "differ from what the last setup left: units"),
        # A newer version looks at more than the one that kept the record.
        (KEPT, "a", {"files": "1", "units": "2", "swarm": "4"}, 1100, "swarm"),
        ({"wanted": "a"}, "a", KEPT["observed"], 1100, "too long ago"),
    ],
)
def test_a_record_counts_only_when_nothing_differs(
    kept: Any, wanted: str, observed: dict[str, str], now: int, reason: str
) -> None:
    said = setup_record.compare(kept, wanted, observed, now, 600)
    assert reason in said if reason else said == ""


def test_a_file_counts_with_content_and_mode(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("a")
    look = setup_record.Observation._file
    first = look(str(file))
    file.chmod(0o600)
    second = look(str(file))
    file.write_text("b")
    assert len({str(first), str(second), str(look(str(file))), str(look(str(tmp_path / "gone")))}) == 4


def _setup() -> dict[str, Any]:
    plays = yaml.safe_load((ROOT / "playbooks/setup.yml").read_text())
    (play,) = (one for one in plays if one["name"] == "Set servers up")
    return dict(play)


def _tasks(role: str) -> str:
    folder = ROOT / "roles" / role
    return "".join(path.read_text() for path in sorted(folder.glob("tasks/*.yml")))


def test_the_record_looks_at_every_file_the_roles_write() -> None:
    play = _setup()
    looked_at = play["module_defaults"]["livchat.setup.setup_record"]["files"]
    written = {
        place
        for role in play["vars"]["setup_roles"]
        for place in re.findall(r"^\s+(?:dest|path): (/etc/\S+)$", _tasks(role), re.MULTILINE)
    }
    assert len(written) >= 6
    missing = {one for one in written if one not in looked_at and f"{one.rsplit('/', 1)[0]}/*" not in looked_at}
    assert not missing


def test_the_record_looks_at_every_unit_and_stack_of_the_roles() -> None:
    play = _setup()
    looked_at = play["module_defaults"]["livchat.setup.setup_record"]
    text = "".join(_tasks(role) for role in play["vars"]["setup_roles"])
    assert set(re.findall(r"name: (\S+\.service)$", text, re.MULTILINE)) <= set(looked_at["units"])
    assert set(re.findall(r"^      - name: (traefik|portainer)$", text, re.MULTILINE)) == set(looked_at["stacks"])
    assert set(re.findall(r"vault_path: \"(servers/.*?)\"", text)) <= set(looked_at["secrets"])
