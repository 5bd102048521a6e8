# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""The operator's home: one folder (0700) whose files are written whole or not at all, under a lock, with a backup."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
import typing as t

from ..module_utils._errors import LivchatError

# How many backups of a file are kept.
BACKUPS = 10


class Home:
    """`livchat_home`, else the environment's LIVCHAT_HOME, else ~/.livchat."""

    def __init__(self, path: str | None = None) -> None:
        chosen = path or os.environ.get("LIVCHAT_HOME") or "~/.livchat"
        self.path = os.path.abspath(os.path.expanduser(chosen))

    def file(self, *names: str) -> str:
        return os.path.join(self.path, *names)

    def make(self) -> None:
        os.makedirs(self.path, mode=0o700, exist_ok=True)

    @contextlib.contextmanager
    def lock(self) -> t.Iterator[None]:
        """One writer at a time, over processes; the kernel lets go of it when a process dies."""
        self.make()
        with open(self.file(".lock"), "w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def read(self, name: str) -> str | None:
        try:
            with open(self.file(name), encoding="utf-8") as handle:
                return handle.read()
        except FileNotFoundError:
            return None

    def write(self, name: str, text: str) -> None:
        """Replaces a file at once: after a crash it holds the old text or the new, never a part."""
        self.make()
        target = self.file(name)
        if os.path.exists(target):
            self._back_up(name)
        temporary = f"{target}.{os.getpid()}.tmp"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
                handle.write(text)
                handle.flush()
                os.fsync(handle.fileno())
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
        folder = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def damaged(self, name: str, why: str) -> LivchatError:
        """The error for a file that cannot be read: it names the newest backup and leaves the file alone."""
        backups = self._backups(name)
        cure = f"Restore the newest backup: cp {backups[-1]} {self.file(name)}" if backups else "There is no backup."
        return LivchatError(
            "HOME_DAMAGED", f"{self.file(name)} cannot be read: {why}. {cure}", {"file": self.file(name)}
        )

    def _backups(self, name: str) -> list[str]:
        folder = self.file("backups")
        found = os.listdir(folder) if os.path.isdir(folder) else []
        return sorted(os.path.join(folder, one) for one in found if one.startswith(f"{name}."))

    def _back_up(self, name: str) -> None:
        os.makedirs(self.file("backups"), mode=0o700, exist_ok=True)
        shutil.copy2(self.file(name), self.file("backups", f"{name}.{time.time_ns()}"))
        for old in self._backups(name)[:-BACKUPS]:
            os.unlink(old)
