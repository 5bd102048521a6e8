"""YAML as people write it: blocks, keys in the order they were given, a comment on top."""

from __future__ import annotations

import re
from typing import Any

import yaml

# yamllint and ansible-lint complain from 160 on.
_WIDTH = 140
_TASK = re.compile(r"(?<!tasks:)\n(?=(    )?- name: )")


class Unsafe(str):
    """A text that Ansible must not take for a template of its own."""


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        # A list below its key, not beside it.
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # Templates are full of single quotes.
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if "{{" in text else None)


_Dumper.add_representer(str, _string)
_Dumper.add_representer(Unsafe, lambda dumper, text: dumper.represent_scalar("!unsafe", str(text), style='"'))


def text(document: Any, *comment: str) -> str:
    """The document, with the comment's lines above it, and an empty line before each play and task."""
    lines = "".join(f"# {line}\n" for line in comment)
    dumped = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return "---\n" + lines + _TASK.sub("\n\n", dumped)
