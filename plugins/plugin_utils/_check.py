# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""Checks: what was looked at, how it was found, and what to do about it."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import typing as t

from ..module_utils._errors import LivchatError

# Nearly all of it is waiting for answers.
WORKERS = 16


@dataclasses.dataclass(frozen=True)
class Check:
    """One thing looked at: `status` is ok, warning or failed; `cure` says what to do about it."""

    check: str
    status: str
    found: str
    cure: str = ""


Look = t.Callable[[], t.Union[Check, "list[Check]"]]


def examine(looks: t.Sequence[tuple[str, Look]]) -> list[Check]:
    """What all of them found, in their order. One that ends with an error is a failed check of its name."""

    def attempt(pair: tuple[str, Look]) -> list[Check]:
        name, look = pair
        try:
            found = look()
        except LivchatError as error:
            return [Check(name, "failed", error.code, error.message)]
        return found if isinstance(found, list) else [found]

    with concurrent.futures.ThreadPoolExecutor(max_workers=WORKERS) as pool:
        return [check for checks in pool.map(attempt, looks) for check in checks]


def report(checks: t.Sequence[Check]) -> dict[str, t.Any]:
    """`checks` as plain data, and whether all is well (`healthy`): warnings are."""
    healthy = all(one.status != "failed" for one in checks)
    return {"healthy": healthy, "checks": [dataclasses.asdict(one) for one in checks]}
