"""The log of a job, whole: what a secret goes over, the ends of lines and of pages, is known only there."""

from __future__ import annotations

import anyio.to_thread

from livchat_mcp.blast import Read
from livchat_mcp.clean import Cleaner

# Lines that are asked for at once; the operation gives no more.
_AT_ONCE = 10_000
# Characters of a line at most; a longer one goes on in the next. As JSON it may take twice of that.
_WIDTH = 3_500


async def lines_of(read: Read, clean: Cleaner, job: str) -> list[str]:
    """Its lines, cleaned, and none too long for a page; there are none before the job has ended.

    Raises:
        LivchatError: JOB_UNKNOWN, or what reading it failed with.
    """
    found: list[str] = []
    while True:
        part = await read("jobs.log", {"job": job, "lines": _AT_ONCE, "skip": len(found)})
        found = [*part["lines"], *found]
        if not part["lines"] or len(found) >= part["total"]:
            break
    if not found:
        return []
    text = await anyio.to_thread.run_sync(clean.text, "\n".join(found))
    return [line[start : start + _WIDTH] for line in text.split("\n") for start in range(0, max(1, len(line)), _WIDTH)]
