# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to this collection: may change without notice.

"""The operator's home: one folder (0700) whose files are written whole or not at all, under a lock, with a backup."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import time
import typing as t

from ..module_utils._errors import LivchatError

# How many backups of a file are kept.
BACKUPS = 10
# A change takes milliseconds; who waits longer than this waits for something that hangs.
LOCK_PATIENCE = 30.0
# What a file is called while it is written, and where such are.
_TEMPORARY = ".tmp"
_FOLDERS = ("ssh_keys", "turns")


class Home:
    """`livchat_home`, else the environment's LIVCHAT_HOME, else ~/.livchat."""

    def __init__(self, path: str | None = None) -> None:
        chosen = path or os.environ.get("LIVCHAT_HOME") or "~/.livchat"
        self.path = os.path.abspath(os.path.expanduser(chosen))

    def file(self, *names: str) -> str:
        return os.path.join(self.path, *names)

    def make(self) -> None:
        """Makes the folder, and closes one that others can look into."""
        with writing(self.path):
            os.makedirs(self.path, mode=0o700, exist_ok=True)
            if os.stat(self.path).st_mode & 0o077:
                os.chmod(self.path, 0o700)

    @contextlib.contextmanager
    def lock(self, patience: float = LOCK_PATIENCE) -> t.Iterator[None]:
        """One writer at a time, over processes; the kernel lets go of it when a process dies.

        Raises:
            LivchatError: HOME_LOCKED, when another holds it for longer than that.
        """
        self.make()
        deadline = time.monotonic() + patience
        with writing(self.file(".lock")):
            descriptor = os.open(self.file(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if time.monotonic() > deadline:
                        message = f"another process has been changing {self.path} for {patience:g} s; try again"
                        raise LivchatError("HOME_LOCKED", message, {"home": self.path}, retry_after=10) from error
                    time.sleep(0.02)
            self._sweep()
            yield
        finally:
            os.close(descriptor)

    def read(self, name: str) -> str | None:
        """The file's text, or None when there is no such file.

        Raises:
            LivchatError: HOME_DAMAGED, when it is no text; HOME_UNREADABLE, when the system refuses it.
        """
        try:
            with open(self.file(name), encoding="utf-8") as handle:
                return handle.read()
        except FileNotFoundError:
            return None
        except UnicodeDecodeError as error:
            raise self.damaged(name, "it is no text") from error
        except OSError as error:
            message = f"{self.file(name)} cannot be read: {error.strerror}"
            raise LivchatError("HOME_UNREADABLE", message, {"file": self.file(name)}) from error

    def write(self, name: str, text: str, back_up: bool = True) -> None:
        """Replaces a file at once: after a crash it holds the old text or the new, never a part.

        What changes by itself all the time is no reason to `back_up`: it would push out what somebody may want back.

        Raises:
            LivchatError: HOME_UNWRITABLE, such as on a full disk; the file is as it was.
        """
        self.make()
        target = self.file(name)
        folder = os.path.dirname(target)
        temporary = f"{target}.{os.getpid()}{_TEMPORARY}"
        with writing(target):
            os.makedirs(folder, mode=0o700, exist_ok=True)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
                    handle.write(text)
                    handle.flush()
                    os.fsync(handle.fileno())
                if back_up and os.path.exists(target):
                    self._back_up(name)
                os.replace(temporary, target)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary)
                raise
            place = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(place)
            finally:
                os.close(place)

    def append(self, name: str, line: str) -> None:
        """Adds a line in one write, so that lines of several processes never mix.

        Raises:
            LivchatError: HOME_UNWRITABLE
        """
        self.make()
        with writing(self.file(name)):
            descriptor = os.open(self.file(name), os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                size = os.fstat(descriptor).st_size
                # What a killed process or a full disk cut off is a line of its own, not the beginning of this one.
                cut = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
                text = ("\n" if cut else "") + line.replace("\n", " ") + "\n"
                encoded = text.encode()
                if os.write(descriptor, encoded) < len(encoded):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            finally:
                os.close(descriptor)

    def damaged(self, name: str, why: str, good: t.Callable[[str], object] | None = None) -> LivchatError:
        """The error for a file that cannot be understood. It names the newest good backup and leaves the file alone.

        `good` is given a backup's text and raises when that is damaged too.
        """
        file = self.file(name)
        backup = next((one for one in reversed(self.backups(name)) if self._is_good(one, good)), None)
        cure = f"Restore the newest good backup: cp {backup} {file}" if backup else "There is no good backup."
        details = {"file": file, "backup": backup}
        return LivchatError("HOME_DAMAGED", f"{file} cannot be understood: {why}. {cure}", details)

    def backups(self, name: str) -> list[str]:
        """Paths of the file's backups, oldest first."""
        folder = self.file("backups")
        prefix = self._backup_prefix(name)
        found = os.listdir(folder) if os.path.isdir(folder) else []
        mine = [one for one in found if one.startswith(prefix) and one[len(prefix) :].isdigit()]
        return [os.path.join(folder, one) for one in sorted(mine, key=lambda one: int(one[len(prefix) :]))]

    @staticmethod
    def _is_good(path: str, good: t.Callable[[str], object] | None) -> bool:
        try:
            with open(path, encoding="utf-8") as handle:
                text = handle.read()
            if good:
                good(text)
        # Whatever a reader says of a damaged text, that text is not the one to restore.
        except Exception:
            return False
        return True

    @staticmethod
    def _backup_prefix(name: str) -> str:
        return f"{name.replace(os.sep, '-')}."

    def _back_up(self, name: str) -> None:
        os.makedirs(self.file("backups"), mode=0o700, exist_ok=True)
        backup = self.file("backups", f"{self._backup_prefix(name)}{time.time_ns()}")
        try:
            # The file is about to be replaced, not changed: its content may stay where it is, and needs no room.
            os.link(self.file(name), backup)
        except OSError:
            # Not every file system knows links.
            shutil.copy2(self.file(name), backup)
        for old in self.backups(name)[:-BACKUPS]:
            os.unlink(old)

    def _sweep(self) -> None:
        """Removes what writers left that were killed; who holds the lock is the only writer that lives."""
        for folder in (self.path, *(self.file(one) for one in _FOLDERS)):
            for name in os.listdir(folder) if os.path.isdir(folder) else ():
                if name.endswith(_TEMPORARY):
                    with contextlib.suppress(OSError):
                        os.unlink(os.path.join(folder, name))


@contextlib.contextmanager
def writing(path: str) -> t.Iterator[None]:
    """What the system says against writing, as an error of ours.

    Raises:
        LivchatError: HOME_UNWRITABLE
    """
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        cure = "make room on its disk" if full else "check its owner, its rights and its disk"
        message = f"{path} cannot be written: {error.strerror}; {cure}, then run the same again"
        raise LivchatError("HOME_UNWRITABLE", message, {"file": path, "reason": error.strerror}) from error
