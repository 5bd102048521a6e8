"""Stack files for people: what is written must be read as what it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.livchat.setup.plugins.module_utils._yaml_text import as_yaml
from hypothesis import given
from hypothesis import strategies as st

DEFINITIONS = sorted((Path(__file__).parents[4] / "apps/definitions").glob("*/*.yml"))
TEXTS = (
    st.text(alphabet=st.characters(codec="utf-8"))
    | st.from_regex(r"[ -~\n]*", fullmatch=True)
    | st.sampled_from(["yes", "~", "null", "1", "1e3", "a\nb\n", " a\nb\n", "a\n b\n\nc\n", "a: b", "- a", "#", "$$x"])
)
DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=20,
)


@pytest.mark.parametrize("path", DEFINITIONS, ids=lambda path: path.stem)
def test_definitions(path: Path) -> None:
    definition = yaml.safe_load(path.read_text())
    assert yaml.safe_load(as_yaml(definition)) == definition


@given(DATA)
def test_anything(data: Any) -> None:
    assert yaml.safe_load(as_yaml(data)) == data


def test_it_looks_as_a_person_would_write_it() -> None:
    data = {"services": {"web": {"command": ["sh", "-c", "one\n  two\n"], "labels": {"a.b": "yes"}, "ports": []}}}
    assert as_yaml(data) == (
        "services:\n"
        "  web:\n"
        "    command:\n"
        '      - "sh"\n'
        '      - "-c"\n'
        "      - |\n"
        "        one\n"
        "          two\n"
        "    labels:\n"
        '      a.b: "yes"\n'
        "    ports: []\n"
    )
