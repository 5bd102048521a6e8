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
    # `auto` finds ours by what the file says; named here too, it would be tried a second time when it fails.
    Setting("inventory", "enable_plugins", "ANSIBLE_INVENTORY_ENABLED", "auto,yaml,ini,host_list"),
    # Servers that could not be listed are not the same as no servers.
    Setting("inventory", "any_unparsed_is_failed", "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED", "True"),
    Setting("ssh_connection", "pipelining", "ANSIBLE_PIPELINING", "True"),
    # A server that reboots or a network that fails for half a minute is waited for.
    Setting("ssh_connection", "retries", "ANSIBLE_SSH_RETRIES", "5"),
    Setting("ssh_connection", "ssh_args", "ANSIBLE_SSH_ARGS", "-o ControlMaster=auto -o ControlPersist=60s"),
)
# What a person may set otherwise for a run.
CHOSEN = ("ANSIBLE_FORKS", "ANSIBLE_SSH_RETRIES")
