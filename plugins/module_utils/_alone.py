# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""One module of ours at a time changes a server.

A module goes on when its controller has died: what was begun is finished, or put back. But when the next run needs the
server, it ends where it is, and leaves the rest to that run.
"""

from __future__ import annotations

import fcntl
import os
import select
import time

from ._errors import LivchatError

FOLDER = "/run/livchat"
# Seconds to wait for a module of another controller, which may itself wait for services to become healthy.
PATIENCE = 900
_held = []


class GaveWay(Exception):
    """The module's controller has gone, and another module waits."""


def be_alone(patience=PATIENCE):
    """Waits until no other module changes this server, and keeps others waiting until this process ends.

    Raises:
        LivchatError: SERVER_BUSY, when that takes longer than so many seconds.
    """
    os.makedirs(FOLDER, mode=0o700, exist_ok=True)
    # Stays open, and so locked, for as long as the process lives; the system lets go of it however that ends.
    lock = open(os.path.join(FOLDER, "lock"), "a", encoding="utf-8")
    _held.append(lock)
    if _locked(lock):
        return
    with open(os.path.join(FOLDER, "waiting"), "a", encoding="utf-8") as waiting:
        fcntl.flock(waiting, fcntl.LOCK_SH)
        deadline = time.monotonic() + patience
        while not _locked(lock):
            if time.monotonic() > deadline:
                message = "another run has been changing this server for %d s; try again" % patience
                raise LivchatError("SERVER_BUSY", message, {}, retry_after=60)
            time.sleep(0.1)


def give_way():
    """To be called where a module waits for something: ends it when it is abandoned and another waits.

    Raises:
        GaveWay
    """
    if _abandoned() and _awaited():
        raise GaveWay("the controller has gone, and the next run goes on from here")


def _abandoned():
    """Whether nobody reads any more what this module prints: the other end of SSH has gone."""
    poll = select.poll()
    poll.register(1, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _descriptor, event in poll.poll(0))


def _awaited():
    with open(os.path.join(FOLDER, "waiting"), "a", encoding="utf-8") as waiting:
        return not _locked(waiting)


def _locked(handle):
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
