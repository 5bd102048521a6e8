# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""What `livchat.setup.stack` takes, on the controller and on the server alike."""

from __future__ import annotations

import typing as t

OPTIONS: dict[str, t.Any] = {
    "entries": {"type": "list", "elements": "dict", "default": []},
    "closed": {"type": "bool", "default": False},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "drop_volumes": {"type": "bool", "default": False},
    "wait": {"type": "bool", "default": True},
    "wait_for": {"type": "list", "elements": "str", "default": []},
    "timeout": {"type": "int", "default": 600},
    "portainer_host": {"type": "str", "default": ""},
    "portainer_address": {"type": "str", "default": "127.0.0.1"},
    "ca_file": {"type": "str", "default": ""},
}
