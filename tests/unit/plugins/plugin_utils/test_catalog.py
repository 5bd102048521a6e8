from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.livchat.setup.plugins.module_utils._errors import LivchatError
from ansible_collections.livchat.setup.plugins.plugin_utils._catalog import Catalog, phases

MINIMAL: dict[str, Any] = {
    "name": "mine",
    "title": "Mine",
    "description": "An app of the operator",
    "category": "tools",
    "homepage": "https://example.com",
    "license": "MIT",
    "version": "1.0",
    "requirements": {"memory_mb": 64, "cpu_cores": 0.1, "disk_gb": 1},
    "domains": {"web": {"default": "${instance}"}},
    "secrets": {"key": {"description": "A key"}},
    "services": {
        "web": {
            "image": "example/mine:1.0",
            "environment": {"URL": "https://${domains.web}/"},
            "secrets": ["key"],
            "healthcheck": {"test": ["CMD", "true"]},
            "resources": {"memory_mb": 64, "cpus": 0.1},
            "route": {"domain": "web", "port": 80},
        }
    },
}


def written(folder: Path, definition: Any, name: str = "mine") -> Catalog:
    (folder / f"{name}.yml").write_text(definition if isinstance(definition, str) else yaml.safe_dump(definition))
    return Catalog([str(folder)])


def changed(path: str, value: Any) -> dict[str, Any]:
    definition = copy.deepcopy(MINIMAL)
    place: Any = definition
    *folders, last = path.split(".")
    for folder in folders:
        place = place[folder]
    place[last] = value
    return definition


def test_an_operators_app_stands_beside_the_collections(tmp_path: Path) -> None:
    catalog = written(tmp_path, MINIMAL)
    assert catalog.get("mine")["title"] == "Mine"
    assert {"mine", "n8n", "postgres"} <= set(catalog.names())


def test_an_operators_app_replaces_the_collections_of_the_same_name(tmp_path: Path) -> None:
    catalog = written(tmp_path, changed("name", "n8n"), "n8n")
    assert catalog.get("n8n")["title"] == "Mine"


def test_one_folder_cannot_define_an_app_twice(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    written(tmp_path / "tools", MINIMAL)
    with pytest.raises(LivchatError, match="is defined by"):
        written(tmp_path, MINIMAL).names()


def test_an_unknown_app_gets_a_suggestion() -> None:
    with pytest.raises(LivchatError, match="Did you mean wordpress") as caught:
        Catalog().get("wordpres")
    assert caught.value.code == "APP_UNKNOWN"


@pytest.mark.parametrize(
    ("path", "value", "place", "said"),
    [
        ("titel", "x", "the file", "allowed: "),
        ("category", "games", "category", "automation"),
        ("services.web.image", "example/mine:latest", "services.web.image", "pinned to an exact version"),
        ("services.web.image", "example/mine", "services.web.image", "pinned"),
        ("services.web.privileged", True, "services.web", "allowed: "),
        ("services.web.secrets", ["other"], "services.web.secrets", "there are: key"),
        ("services.web.route.domain", "api", "services.web.route.domain", "there are: web"),
        ("services.web.environment.URL", "${domains.api}", "services.web.environment.URL", "domains.web"),
        ("services.web.environment.KEY", "${secrets.key}", "services.web.environment.KEY", "is unknown"),
        ("login", {"user": "a", "secret": "none"}, "login.secret", "there are: key"),
        ("domains.web.default", "${variables.x}", "domains.web.default", "instance"),
        ("version", 1.0, "version", "is not of type 'string'"),
        ("name", "other", "name", "the file is called mine"),
    ],
)
def test_what_is_wrong_is_named_with_file_place_and_what_is_allowed(
    tmp_path: Path, path: str, value: Any, place: str, said: str
) -> None:
    with pytest.raises(LivchatError) as caught:
        written(tmp_path, changed(path, value)).get("mine")
    assert caught.value.code == "DEFINITION_INVALID"
    assert caught.value.details == {"file": str(tmp_path / "mine.yml"), "path": place}
    assert str(tmp_path / "mine.yml") in caught.value.message
    assert said.lower() in caught.value.message.lower()


@pytest.mark.parametrize("text", ["", "[]", "name: [", "name: mine\nname: mine: x", "\x00"])
def test_what_is_no_definition_at_all_is_an_error_with_its_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(LivchatError, match=r"mine\.yml"):
        written(tmp_path, text).get("mine")


def test_a_dollar_in_a_script_is_no_placeholder(tmp_path: Path) -> None:
    definition = changed("services.web.command", ["sh", "-c", "echo $$HOME $${notaname}"])
    assert written(tmp_path, definition).get("mine")


def test_services_start_in_phases() -> None:
    assert phases(Catalog().get("n8n")) == [["editor"], ["webhook", "worker"]]


@pytest.mark.parametrize(
    ("after", "said"), [(["nobody"], "services.web.after: 'nobody' is unknown"), (["web"], "web -> web")]
)
def test_services_cannot_wait_for_nobody_or_each_other(tmp_path: Path, after: list[str], said: str) -> None:
    with pytest.raises(LivchatError, match=said):
        written(tmp_path, changed("services.web.after", after)).get("mine")


REQUEST = {"name": "Set up", "domain": "web", "method": "POST", "path": "/", "status": [200]}


@pytest.mark.parametrize("content", [{"body": {"a": {"b": 1}}}, {"form": {"a": "${secrets.key}", "b": 1}}])
def test_a_request_sends_a_body_or_a_form(tmp_path: Path, content: dict[str, Any]) -> None:
    request = {**REQUEST, **content}
    assert written(tmp_path, {**MINIMAL, "post_install": [request]}).get("mine")["post_install"] == [request]


@pytest.mark.parametrize("content", [{}, {"body": {}, "form": {"a": "1"}}])
def test_neither_or_both_of_them_is_said(tmp_path: Path, content: dict[str, Any]) -> None:
    with pytest.raises(LivchatError, match=r"post_install\.0: It needs either body, .* or form") as caught:
        written(tmp_path, {**MINIMAL, "post_install": [{**REQUEST, **content}]}).get("mine")
    assert caught.value.details["path"] == "post_install.0"


@pytest.mark.parametrize("form", [{"a": {"b": 1}}, {"a": ["1"]}, {"a": None}, {}])
def test_a_field_of_a_form_is_a_text_or_a_number(tmp_path: Path, form: dict[str, Any]) -> None:
    with pytest.raises(LivchatError, match=r"post_install\.0\.form"):
        written(tmp_path, {**MINIMAL, "post_install": [{**REQUEST, "form": form}]}).get("mine")


def test_a_secret_that_a_form_names_must_exist(tmp_path: Path) -> None:
    with pytest.raises(LivchatError, match=r"post_install\.0\.form\.a.*secrets\.none"):
        request = {**REQUEST, "form": {"a": "${secrets.none}"}}
        written(tmp_path, {**MINIMAL, "post_install": [request]}).get("mine")
