"""The bundle for Claude Desktop, and what the gateway's package says of itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest
from mcp import Client, types

from livchat_cli import __version__ as of_setup
from livchat_mcp import __version__
from tests.bundle import HERE, Bundle

COLLECTION = "livchat_cli/collection/ansible_collections/livchat/setup"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def programs(bundle: Bundle) -> Path:
    """Where the programs of the bundle's environment are, once it has one."""
    return bundle.install()


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


def test_the_bundle_holds_both_packages(bundle: Bundle) -> None:
    with zipfile.ZipFile(bundle.archive) as archive:
        names = archive.namelist()
        project = tomllib.loads(archive.read("pyproject.toml").decode())
    assert {"manifest.json", "server.py", "pyproject.toml"} <= set(names)
    sources = project["tool"]["uv"]["sources"]
    assert sorted(sources) == sorted(project["project"]["dependencies"]) == ["livchat-mcp", "livchat-setup"]
    assert all(one["path"] in names for one in sources.values())


def test_its_packages_hold_every_file_of_theirs(bundle: Bundle) -> None:
    held = {name for wheel in bundle.wheels for name in zipfile.ZipFile(wheel).namelist()}
    root = HERE.parent
    sources = [(root / "livchat_cli", "livchat_cli"), (HERE / "livchat_mcp", "livchat_mcp")]
    sources += [(root / name, f"{COLLECTION}/{name}") for name in ("apps", "meta", "playbooks", "plugins", "roles")]
    wanted = {
        f"{place}/{path.relative_to(source)}"
        for source, place in sources
        for path in source.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert wanted - held == set() and f"{COLLECTION}/galaxy.yml" in held


@pytest.mark.anyio
async def test_it_starts_as_its_manifest_says(bundle: Bundle, programs: Path, home: Path) -> None:
    async with Client(bundle.server(home), mode="legacy") as client:
        assert client.server_info and client.server_info.name == "livchat"
        tools = {one.name for one in (await client.list_tools()).tools}
        # Its definitions are part of the collection.
        result = await client.call_tool("catalogo", {"acao": "list"})
    assert {"listar-servidores", "instalar-app", "destruir-servidor", "operacao"} <= tools
    (block,) = result.content
    assert isinstance(block, types.TextContent) and '"name":"n8n"' in block.text


@pytest.mark.anyio
async def test_the_command_that_it_prints_to_approve_a_plan_reaches_that_plan(
    bundle: Bundle, programs: Path, tmp_path: Path
) -> None:
    home = tmp_path / "a home"
    async with Client(bundle.server(home), mode="legacy") as client:
        result = await client.call_tool("destruir-servidor", {"name": "prod"})
    (block,) = result.content
    assert isinstance(block, types.TextContent)
    found = re.search(r"LIVCHAT_HOME=.* approve plano_\S{22}", json.loads(block.text)["proximo"])
    assert found
    environment = {"PATH": os.defpath, "HOME": str(tmp_path)}
    done = subprocess.run(
        ["/bin/sh", "-c", found[0]], env=environment, cwd="/", capture_output=True, text=True, check=False
    )
    # It has found the plan, and asks no program.
    assert "APPROVAL_REQUIRED" in done.stderr, done.stderr


def test_the_packages_command_says_its_version(bundle: Bundle, programs: Path) -> None:
    command = [str(programs / "livchat-mcp"), "--version"]
    done = subprocess.run(command, env=bundle.environment, cwd="/", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"livchat-mcp {__version__}\n", "")
