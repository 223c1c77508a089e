"""One owner per file: an advisory lock beside it that ends with the process, however that ends.

POSIX record locks are used because a process that forks, as container runtimes do, does not hand them on; a lock
that a container's shim kept would outlive a killed owner. They have two weaknesses: within one process they refuse
nothing, and closing any descriptor of the file releases them. So this process also remembers what it has locked, and
asks that first.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
from pathlib import Path
from typing import Final

from orchestra.errors import StoreLocked

_FLOCK = struct.Struct("hhqqi")
"""`struct flock` of 64-bit Linux: type, whence, start, length, pid."""

_LOCKED_HERE: Final[set[str]] = set()
"""Real paths of the locks this process holds. Record locks are a matter of the process, so this has to be one too."""


class FileLock:
    """The lock of `path`, kept in a file with the suffix `.lock`, which can also remember one mark."""

    def __init__(self, path: Path) -> None:
        self._owned = path
        self._path = path.with_name(path.name + ".lock")
        self._real = os.path.realpath(self._path)
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock. Raises `StoreLocked`."""
        if self._real in _LOCKED_HERE:
            raise StoreLocked(f"{self._owned} is in use by this process already")
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = _owner(descriptor)
            os.close(descriptor)
            by = f"process {owner}" if owner else "another process"
            raise StoreLocked(f"{self._owned} is in use by {by}; stop that one first, or use another file") from error
        self._descriptor = descriptor
        _LOCKED_HERE.add(self._real)

    def release(self) -> None:
        """Give the lock back, if it is held."""
        if self._descriptor is not None:
            _LOCKED_HERE.discard(self._real)
            os.close(self._descriptor)
            self._descriptor = None

    @property
    def marked(self) -> bool:
        """Whether `mark` was ever called for this file."""
        assert self._descriptor is not None
        return os.fstat(self._descriptor).st_size > 0

    def mark(self) -> None:
        """Remember durably that the file has held something."""
        assert self._descriptor is not None
        os.pwrite(self._descriptor, b"this file was initialized; do not delete it while its owner runs\n", 0)
        os.fsync(self._descriptor)

    def unmark(self) -> None:
        """Forget the mark: the file begins anew."""
        assert self._descriptor is not None
        os.ftruncate(self._descriptor, 0)


def _owner(descriptor: int) -> int:
    """Return the id of the process that holds the lock, 0 when it is not known here."""
    if not sys.platform.startswith("linux"):
        return 0
    asked = fcntl.fcntl(descriptor, fcntl.F_GETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    return max(int(_FLOCK.unpack(asked)[4]), 0)
