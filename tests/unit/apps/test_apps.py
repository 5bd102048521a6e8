"""Every definition of the collection, and the overview of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
from ansible_collections.livchat.setup.plugins.plugin_utils._catalog import Catalog
from ansible_collections.livchat.setup.plugins.plugin_utils._plan import Planner, Request
from ansible_collections.livchat.setup.plugins.plugin_utils._resolver import order

APPS = Path(__file__).parents[3] / "apps"
CATALOG = Catalog()
NAMES = CATALOG.names()


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads((APPS / "app.schema.json").read_text()))


@pytest.mark.parametrize("name", NAMES)
def test_a_definition_is_valid_and_stands_in_its_category(name: str) -> None:
    assert CATALOG.get(name)["category"] == Path(CATALOG.file(name)).parent.name


@pytest.mark.parametrize("name", NAMES)
def test_a_definition_can_be_planned_on_an_empty_server(name: str) -> None:
    facts = {
        "docker": {"swarm": {"active": True}},
        "server": {"memory_free_mb": 64000, "swap_mb": 0, "disk_free_gb": 500},
        "services": [],
        "secrets": [],
    }
    request = Request("prod", "prod.example.com", "203.0.113.7", f"{name}:second", {}, "d1")
    plan = Planner(request, facts, CATALOG, lambda path: f"value of {path}").plan()
    entry = plan["levels"][-1][0]
    assert entry["instance"] == f"{name}-second"
    assert set(entry["dependencies"]) == {one["app"] for one in CATALOG.get(name).get("dependencies", [])}


@pytest.mark.parametrize("name", NAMES)
def test_secrets_reach_a_service_as_files_only(name: str) -> None:
    """A variable that says it is a password must be a path under /run/secrets, and a mounted one at that."""
    for service in CATALOG.get(name)["services"].values():
        for key, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|TOKEN|_KEY", key):
                assert key.endswith("_FILE")
                assert str(value).removeprefix("/run/secrets/") in service["secrets"]


@pytest.mark.parametrize("name", NAMES)
def test_the_version_of_an_app_is_that_of_its_image(name: str) -> None:
    definition = CATALOG.get(name)
    images = {service["image"] for service in definition["services"].values()}
    # The image of postgres is named after its extension; its tag ends with the major version.
    major = definition["version"].split(".")[0]
    assert any(definition["version"] in image or image.endswith(f"pg{major}") for image in images)


def test_the_overview_names_what_exists() -> None:
    overview = CATALOG.overview
    assert {CATALOG.get(name)["category"] for name in NAMES} <= set(overview["categories"])
    schema = json.loads((APPS / "app.schema.json").read_text())
    assert set(overview["categories"]) - {"infrastructure"} == set(schema["properties"]["category"]["enum"])
    for bundle in overview["bundles"]:
        assert order(CATALOG.bundle(bundle), CATALOG)
    for one in overview["infrastructure"].values():
        assert (APPS.parent / "roles" / one["role"].removeprefix("livchat.setup.")).is_dir()


def test_the_list_for_people_holds_every_app() -> None:
    assert sorted(one["name"] for one in CATALOG.info()) == NAMES
