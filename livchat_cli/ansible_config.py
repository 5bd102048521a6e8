"""Ansible's settings for our playbooks: in the environment of a run, and in the ansible.cfg of an exported folder."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    section: str
    option: str
    # The environment variable that means the same.
    variable: str
    value: str


SETTINGS = (
    Setting("defaults", "callbacks_enabled", "ANSIBLE_CALLBACKS_ENABLED", "livchat.setup.audit"),
    Setting("defaults", "forks", "ANSIBLE_FORKS", "20"),
    Setting("defaults", "host_key_checking", "ANSIBLE_HOST_KEY_CHECKING", "True"),
    Setting("defaults", "interpreter_python", "ANSIBLE_PYTHON_INTERPRETER", "auto_silent"),
    Setting(
        "inventory", "enable_plugins", "ANSIBLE_INVENTORY_ENABLED", "livchat.setup.hetzner,auto,yaml,ini,host_list"
    ),
    Setting("ssh_connection", "pipelining", "ANSIBLE_PIPELINING", "True"),
    Setting("ssh_connection", "ssh_args", "ANSIBLE_SSH_ARGS", "-o ControlMaster=auto -o ControlPersist=60s"),
)
