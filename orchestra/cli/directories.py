"""Data directories: where they are unless said otherwise, and that only their user may enter them."""

from __future__ import annotations

import os
from pathlib import Path


def default_data_dir() -> Path:
    """Return where a user's own plane keeps its state."""
    return Path.home() / ".orchestra" / "data"


def private_directory(path: Path) -> Path:
    """Make a directory that only its user may enter; one that is open to others is closed only while it is empty.

    Raises ConfigurationError when it holds something already: it may be somebody's shared directory.
    """
    from orchestra.errors import ConfigurationError

    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.stat()
        if found.st_uid != os.geteuid() or (found.st_mode & 0o077 and any(path.iterdir())):
            raise ConfigurationError(f"{path} is open to other users: choose another directory, or `chmod 700` it")
        os.chmod(path, 0o700)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    return path.absolute()
