"""Keeping container logs within bounds: a full log is renamed, and the runtime goes on in a new file.

The logs of a Pod go with the Pod, or when the agent next starts.

The bounds and the names are those of a kubelet: 10 MiB and five files for each container.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.cri import Runtime

ROTATE_SECONDS = 10.0
"""How often sizes are looked at."""

MAX_LOG_BYTES = 10 * 1024 * 1024
MAX_LOG_FILES = 5
"""Files of one run of a container, the one that is being written included."""


def full_logs(root: Path, logs: Iterable[tuple[str, str]], max_bytes: int = MAX_LOG_BYTES) -> list[tuple[str, Path]]:
    """Return those of (container id, log) whose log is as large as it may become; none when `root` does not exist."""
    if not root.is_dir():  # a runtime that writes none
        return []
    return [(container_id, Path(log)) for container_id, log in logs if _size(log) >= max_bytes]


async def rotate(runtime: Runtime, container_id: str, path: Path, now: datetime) -> None:
    """Put a full log aside, have the runtime begin a new one, and remove the oldest.

    Raises RuntimeServiceError when the runtime cannot; the log then has its name again.
    """
    aside = path.with_name(f"{path.name}.{now:%Y%m%d-%H%M%S}")
    os.rename(path, aside)
    try:
        await runtime.reopen_container_log(pb.ReopenContainerLogRequest(container_id=container_id))
    except BaseException:
        os.rename(aside, path)
        raise
    _remove_oldest(path)


def logged_pods(root: Path) -> tuple[str, ...]:
    """Return the uids of the Pods that have logs below `root`, in folders named `<namespace>_<name>_<uid>`."""
    return tuple(sorted(entry.name.rpartition("_")[2] for entry in root.iterdir())) if root.is_dir() else ()


def remove_logs(root: Path, uid: str) -> None:
    """Remove the logs of a Pod; what is written to them afterwards goes nowhere."""
    if root.is_dir():
        for folder in root.glob(f"*_{uid}"):
            shutil.rmtree(folder, ignore_errors=True)


def _remove_oldest(path: Path) -> None:
    rotated = sorted(path.parent.glob(f"{path.name}.*"))
    for old in rotated[: max(0, len(rotated) - (MAX_LOG_FILES - 1))]:
        old.unlink(missing_ok=True)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
