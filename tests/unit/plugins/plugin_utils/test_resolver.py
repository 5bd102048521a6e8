from __future__ import annotations

import random
from typing import Any

import pytest
from ansible_collections.livchat.setup.plugins.module_utils._errors import LivchatError
from ansible_collections.livchat.setup.plugins.plugin_utils._catalog import Catalog
from ansible_collections.livchat.setup.plugins.plugin_utils._resolver import levels, order, parse, version_matches
from hypothesis import given
from hypothesis import strategies as st


class Apps:
    """A catalogue of apps that consist of what they depend on."""

    def __init__(self, **apps: dict[str, Any]) -> None:
        self.apps = {name.replace("_", "-"): one for name, one in apps.items()}

    def get(self, name: str) -> dict[str, Any]:
        if name not in self.apps:
            raise LivchatError("APP_UNKNOWN", f"there is no app {name!r} in the catalogue.")
        return {"name": name, "version": "1.0", "services": {}, **self.apps[name]}


def needs(*apps: str, **more: Any) -> dict[str, Any]:
    return {"dependencies": [{"app": app, **more} for app in apps]}


def test_the_designs_example() -> None:
    wanted = ["postgres", "redis", "mysql", "n8n", "wordpress"]
    assert order(["n8n", "wordpress"], Catalog()) == wanted
    assert order("n8n, wordpress", Catalog()) == wanted
    assert order(["n8n", "wordpress", "redis", "n8n"], Catalog()) == wanted


def test_an_instance_shares_what_its_app_depends_on() -> None:
    assert order(["n8n", "n8n:cliente1"], Catalog()) == ["postgres", "redis", "n8n", "n8n-cliente1"]


def test_a_dedicated_dependency_is_an_instance_of_its_own() -> None:
    apps = Apps(db={}, a=needs("db", dedicated=True), b=needs("db"))
    assert order(["a", "b", "a:x"], apps) == ["a-db", "db", "a-x-db", "a", "b", "a-x"]
    by_name = {one.name: one for level in levels(["a", "b"], apps) for one in level}
    assert by_name["a"].providers == {"db": "a-db"}
    assert by_name["b"].providers == {"db": "db"}


def test_a_level_needs_only_levels_before_it() -> None:
    apps = Apps(a={}, b=needs("a"), c=needs("b"), d=needs("a", "c"), e={})
    assert [[one.name for one in level] for level in levels(["d", "e", "b"], apps)] == [["a", "e"], ["b"], ["c"], ["d"]]


@pytest.mark.parametrize("dedicated", [False, True])
def test_a_cycle_is_shown(dedicated: bool) -> None:
    apps = Apps(a=needs("b"), b=needs("c", dedicated=dedicated), c=needs("a", dedicated=dedicated))
    with pytest.raises(LivchatError) as caught:
        order(["a"], apps)
    assert caught.value.code == "DEPENDENCY_CYCLE"
    assert caught.value.details["path"][:2] == ["a", "b"]


def test_an_unknown_dependency_is_named_with_the_way_to_it() -> None:
    with pytest.raises(LivchatError, match="a -> b -> x"):
        order(["a"], Apps(a=needs("b"), b=needs("x")))


def test_a_version_that_cannot_be_had_is_refused() -> None:
    apps = Apps(a=needs("db", version=">=2"), db={"version": "1.9"})
    with pytest.raises(LivchatError, match=r"a -> db: needs db >=2; the catalogue has 1\.9") as caught:
        order(["a"], apps)
    assert caught.value.code == "DEPENDENCY_VERSION"


def test_a_missing_extension_is_refused_also_when_the_database_was_resolved_before() -> None:
    apps = Apps(a=needs("db"), b=needs("db", extensions=["vector"]), db={"provides": {"extensions": ["hstore"]}})
    with pytest.raises(LivchatError, match="b -> db: db has no vector; it has: hstore") as caught:
        order(["a", "b"], apps)
    assert caught.value.code == "DEPENDENCY_CAPABILITY"


def test_two_apps_cannot_have_one_name() -> None:
    apps = Apps(a={}, a_x={})
    with pytest.raises(LivchatError, match="INSTANCE_CONFLICT"):
        order(["a:x", "a-x"], apps)


@pytest.mark.parametrize(
    "bad", ["", [], "N8N", "n8n:", "n8n:A", "n8n;rm", "../n8n", "n8n:a:b", {"n8n": 1}, "n8n:" + "a" * 40, 7]
)
def test_what_is_no_app_is_refused(bad: Any) -> None:
    with pytest.raises(LivchatError, match="REQUEST_INVALID"):
        parse(bad)


@pytest.mark.parametrize(
    ("version", "constraint", "fits"),
    [
        ("17.6", ">=15, <18", True),
        ("18.0", ">=15, <18", False),
        ("17", ">=17.0", True),
        ("17.6", "17", True),
        ("17.6", "==17.5", False),
        ("8.4.7", ">8.4", True),
        ("9", "<10", True),
        ("6.8.3-php8.4", "<=6.8.3", True),
        ("2.0", "<=1.9", False),
    ],
)
def test_versions_are_compared_as_numbers(version: str, constraint: str, fits: bool) -> None:
    assert version_matches(version, constraint) is fits


@given(st.data())
def test_everything_comes_after_what_it_needs_whatever_is_asked(data: st.DataObject) -> None:
    # Each app may depend on apps of lower numbers, so there is no cycle.
    size = data.draw(st.integers(1, 8))
    chosen = {f"app{n}": data.draw(st.sets(st.integers(0, n - 1)) if n else st.just(set())) for n in range(size)}
    apps = Apps(**{name: needs(*(f"app{n}" for n in sorted(below))) for name, below in chosen.items()})
    asked = data.draw(st.lists(st.sampled_from(sorted(chosen)), min_size=1))
    found = order(asked, apps)
    assert len(set(found)) == len(found)
    assert set(asked) <= set(found)
    for name in found:
        assert all(found.index(f"app{n}") < found.index(name) for n in chosen[name])
    random.seed(0)
    assert order(asked, apps) == found
