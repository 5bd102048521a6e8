"""Which variables a playbook takes from outside: what it reads, without what it, its roles or Ansible define."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, nodes

# Keywords whose texts are expressions without braces.
_EXPRESSIONS = ("when", "that", "until", "failed_when", "changed_when")
_OF_ANSIBLE = {"groups", "hostvars", "inventory_hostname", "item", "lookup", "now", "omit", "query", "undef"}
_OF_THE_INVENTORY = {"server_domain"}
_PREFIXES = ("ansible_", "livchat_")
_IMPORT = "ansible.builtin.import_playbook"


class PlaybookVariables:
    """The plays of a file; those of playbooks that it imports are read with `imported`."""

    def __init__(self, path: Path) -> None:
        self.imported: list[PlaybookVariables] = []
        self._roles = {one.name for one in (path.parents[1] / "roles").iterdir()}
        self._defined: set[str] = set()
        self._read: set[str] = set()
        self._environment = Environment(autoescape=True)
        for play in yaml.safe_load(path.read_text(encoding="utf-8")):
            if name := play.pop(_IMPORT, None):
                self.imported.append(one := PlaybookVariables(path.with_name(name)))
                self._defined |= one._defined
            self._walk(play)

    def own(self) -> set[str]:
        """The names that whoever runs it has to give, or may give, and that this file reads itself."""
        # What a role defines begins with the role's name.
        roles = tuple(f"{hidden}{role}_" for role in self._roles for hidden in ("", "__"))
        found = self._read - self._defined - _OF_ANSIBLE - _OF_THE_INVENTORY
        return {name for name in found if not name.startswith((*roles, *_PREFIXES))}

    def all(self) -> set[str]:
        """Those that the imported playbooks read as well."""
        return self.own().union(*(one.all() for one in self.imported))

    def _walk(self, part: Any, keyword: str = "") -> None:
        if isinstance(part, Mapping):
            for key, value in part.items():
                if key in ("vars", "ansible.builtin.set_fact") and isinstance(value, Mapping):
                    self._defined |= set(value)
                elif key in ("register", "loop_var"):
                    self._defined.add(value)
                self._walk(value, key)
        elif isinstance(part, list):
            for one in part:
                self._walk(one, keyword)
        elif isinstance(part, str):
            self._read |= set(self._names(f"{{{{ {part} }}}}" if keyword in _EXPRESSIONS else part))

    def _names(self, template: str) -> Iterator[str]:
        found = list(self._environment.parse(template).find_all(nodes.Name))
        set_there = {one.name for one in found if one.ctx != "load"}
        yield from (one.name for one in found if one.ctx == "load" and one.name not in set_there)
