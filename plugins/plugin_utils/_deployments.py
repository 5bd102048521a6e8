# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""Deployments as they are listed: the newest first, some of them."""

from __future__ import annotations

import typing as t

from ..module_utils._errors import LivchatError


def chosen(
    kept: t.Sequence[dict[str, t.Any]],
    server: str | None = None,
    status: t.Collection[str] = (),
    limit: int = 50,
    before: str | None = None,
) -> list[dict[str, t.Any]]:
    """The newest deployments that are asked for; `before` names one that the list goes on after.

    Raises:
        LivchatError: DEPLOYMENT_UNKNOWN, when nothing is known of that one.
    """
    newest_first = [_shown(one) for one in reversed(kept)]
    if before is not None:
        ids = [one["id"] for one in newest_first]
        if before not in ids:
            message = f"there is no deployment {before}; the oldest are forgotten"
            raise LivchatError("DEPLOYMENT_UNKNOWN", message, {"deployment": before})
        newest_first = newest_first[ids.index(before) + 1 :]
    wanted = [
        one for one in newest_first if server in (None, one["server"]) and (not status or one["status"] in status)
    ]
    return wanted[:limit]


def _shown(kept: dict[str, t.Any]) -> dict[str, t.Any]:
    return {
        "id": kept["id"],
        "server": kept["server"],
        "operation": kept.get("operation", ""),
        "apps": list(kept.get("apps") or []),
        "status": kept["status"],
        "started_at": kept.get("started_at"),
        "finished_at": kept.get("finished_at"),
    }
