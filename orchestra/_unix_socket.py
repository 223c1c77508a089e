"""The place of a Unix socket that only its user may open.

The socket is bound under another name in a folder of mode 0700 and moved into place with mode 0600, so at no moment
can anybody else open it. A lock beside it says that a server lives there: it ends with its process, so a socket without
a locked one was left behind and is replaced.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from orchestra.errors import ConfigurationError

MAX_PATH_BYTES: Final = 107
"""The longest path that Linux lets a socket have."""


class SocketPlace:
    """Where to bind, and the step that lets clients find it."""

    def __init__(self, path: Path, hidden: Path) -> None:
        self._path = path
        self.hidden = hidden
        self._inode = 0

    def publish(self) -> None:
        """Move the bound socket to its place; nothing else of it is left to clean up if the server is killed."""
        os.chmod(self.hidden, 0o600)
        self._inode = self.hidden.stat().st_ino
        os.rename(self.hidden, self._path)
        self.hidden.parent.rmdir()

    def withdraw(self) -> None:
        """Remove the socket, unless somebody else has put another one there."""
        with contextlib.suppress(FileNotFoundError):
            if self._path.lstat().st_ino == self._inode:
                self._path.unlink()


@contextlib.contextmanager
def claim_socket(path: Path) -> Iterator[SocketPlace]:
    """Claim the place of a socket; raises ConfigurationError when it is taken or not safe.

    The folder is made with mode 0700 when it is missing; one that others may write to is refused.
    """
    folder = path.parent
    _make_private(folder)
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(f"another server listens at {path}") from None
        _check_place(path)
        hidden = Path(tempfile.mkdtemp(prefix=".", dir=folder))
        place = SocketPlace(path, hidden / "s")
        if max(len(os.fsencode(place.hidden)), len(os.fsencode(path))) > MAX_PATH_BYTES:
            shutil.rmtree(hidden)
            raise ConfigurationError(f"{path}: the path of a socket can have {MAX_PATH_BYTES - 10} bytes at most")
        try:
            yield place
        finally:
            place.withdraw()
            shutil.rmtree(hidden, ignore_errors=True)
    finally:
        os.close(lock)


def _make_private(folder: Path) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.stat()
    except OSError as error:
        raise ConfigurationError(f"{folder}: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode):
        raise ConfigurationError(f"{folder} is no folder")
    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise ConfigurationError(f"{folder} must belong to this user and be writable by nobody else")


def _check_place(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise ConfigurationError(f"{path} is there and is no socket")
    # Servers of other makes hold no lock of ours: ask whether anybody answers.
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except OSError:
            return
    raise ConfigurationError(f"another server listens at {path}")
