"""The bundle for Claude Desktop, and what the gateway's package says of itself."""

from __future__ import annotations

import importlib.util
import json
import re
import tomllib
import zipfile
from pathlib import Path

from livchat_cli import __version__ as of_setup
from livchat_mcp import __version__

HERE = Path(__file__).parents[3] / "mcp-server"


def test_versions_agree() -> None:
    project = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
    manifest = json.loads((HERE / "manifest.json").read_text())
    assert project["version"] == manifest["version"] == __version__
    assert f"livchat-setup=={of_setup}" in project["dependencies"]


def test_the_bundle_asks_for_all_that_its_command_uses() -> None:
    manifest = json.loads((HERE / "manifest.json").read_text())
    used = set(re.findall(r"\$\{user_config\.(\w+)\}", json.dumps(manifest["server"])))
    assert used == set(manifest["user_config"])
    assert manifest["user_config"]["api_token"]["sensitive"] is True


def test_the_bundle_holds_both_packages(tmp_path: Path) -> None:
    about = importlib.util.spec_from_file_location("build_mcpb", HERE / "build_mcpb.py")
    assert about and about.loader
    builder = importlib.util.module_from_spec(about)
    about.loader.exec_module(builder)
    with zipfile.ZipFile(builder.build(tmp_path)) as bundle:
        names = bundle.namelist()
        project = tomllib.loads(bundle.read("pyproject.toml").decode())
        assert {"manifest.json", "server.py", "pyproject.toml"} <= set(names)
        sources = project["tool"]["uv"]["sources"]
        assert sorted(sources) == sorted(project["project"]["dependencies"]) == ["livchat-mcp", "livchat-setup"]
        assert all(one["path"] in names for one in sources.values())
