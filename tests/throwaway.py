"""A copy of the package and the collection with one more operation: what a new operation needs, and nothing else.

The operation `server.nap` changes servers and takes as long as it is told: for tests of jobs, without any server.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DECLARATION = """    Operation(
        name="server.nap",
        event="server.rested",
        summary="Let servers rest for a while",
        summary_pt="Deixa servidores descansarem um pouco",
        effect=Effect.WRITE,
        target="server",
        parameters="AppInstall",
        playbook="nap",
        changes="target",
        positionals=("target",),
        timeout=60,
        examples=("server nap prod --apps n8n",),
    ),
"""
# The variable `nap.seconds` says how long; what it prints and hands over holds whatever else it was given. `nap.makes`
# is a path in the vault, for a secret that the job makes itself.
PLAYBOOK = """---
- name: Rest
  hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: Sleep
      ansible.builtin.command:
        argv: [sleep, "{{ variables.nap.seconds | default('0.1') }}"]
      changed_when: true
    - name: Make a secret
      livchat.setup.secret:
        entries: [{secrets: [{vault_path: "{{ variables.nap.makes }}", generate: {length: 32}}]}]
      when: variables.nap.makes is defined
    - name: Tell it
      ansible.builtin.debug:
        msg: "made {{ lookup('livchat.setup.vaulted', variables.nap.makes) }}"
      when: variables.nap.makes is defined
    - name: Fail with it
      ansible.builtin.fail:
        msg: "does not start with {{ lookup('livchat.setup.vaulted', variables.nap.makes) }}"
      when: variables.nap.makes is defined and variables.nap.fails is defined
    - name: Talk
      ansible.builtin.debug:
        msg: "said {{ variables.nap.secret | default('nothing') }}"
    - name: Fail
      ansible.builtin.fail:
        msg: "woken by {{ variables.nap.secret | default('nobody') }}"
      when: variables.nap.fails is defined
    - name: Hand the result over
      ansible.builtin.set_stats:
        data:
          livchat_result:
            rested: "{{ target }}"
            said: "{{ variables.nap.secret | default('') }}{{
              lookup('livchat.setup.vaulted', variables.nap.makes) if variables.nap.makes is defined else '' }}"
        per_host: false
"""


@dataclass(frozen=True)
class Tree:
    """The copy, and how to run it."""

    path: Path

    def environment(self, home: Path) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("LIVCHAT_", "ANSIBLE_"))}
        for name in ("HCLOUD_TOKEN", "CLOUDFLARE_API_TOKEN"):
            kept.pop(name, None)
        path = f"{self.path}:{self.path / 'mcp-server'}"
        return {**kept, "LIVCHAT_HOME": str(home), "PYTHONPATH": path}

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-P", "-m", "livchat_cli", *arguments]


def plant(folder: Path) -> Tree:
    """Makes the copy in an empty folder."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "livchat_cli", folder / "livchat_cli", ignore=ignore)
    if (ROOT / "mcp-server").is_dir():
        shutil.copytree(ROOT / "mcp-server", folder / "mcp-server", ignore=ignore)
    (folder / "docs" / "reference").mkdir(parents=True)
    collection = folder / "build" / "collections" / "ansible_collections" / "livchat" / "setup"
    for name in ("apps", "meta", "playbooks", "plugins", "roles"):
        shutil.copytree(ROOT / name, collection / name, ignore=ignore)
    shutil.copy(ROOT / "galaxy.yml", collection)
    (collection / "playbooks" / "nap.yml").write_text(PLAYBOOK)
    operations = folder / "livchat_cli" / "operations.py"
    before = operations.read_text()
    after = before.replace("\n)\n_BY_NAME", f"\n{DECLARATION})\n_BY_NAME")
    if before == after:
        raise ValueError("the list of operations ends in another way now")
    operations.write_text(after)
    return Tree(folder)
