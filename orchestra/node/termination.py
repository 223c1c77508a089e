"""What a container says of its own end: its termination message.

A container writes it into the file at `terminationMessagePath`, which the agent mounts. A mount needs privileges and
takes some milliseconds, so a container only gets it when it seems to want it: when the Pod sets another path or policy
than the defaults, or the default path occurs in the command or its arguments. With FallbackToLogsOnError the end of
the log stands in for an empty message of a container that failed. Bounds: Kubernetes documentation, "Determine the
Reason for Pod Failure".
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.api.core import Pod
from orchestra.node.logs import parse_line

if TYPE_CHECKING:
    from orchestra.api.core import Container

DEFAULT_PATH = "/dev/termination-log"
FALLBACK = "FallbackToLogsOnError"
MESSAGE_BYTES = 4096
POD_MESSAGE_BYTES = 12 * 1024
FALLBACK_BYTES = 2048
FALLBACK_LINES = 80


def wants_message(container: Container) -> bool:
    """Whether a container gets a file for its message."""
    path, policy = container.termination_message_path, container.termination_message_policy
    if path not in ("", DEFAULT_PATH) or policy not in ("", "File"):
        return True
    return any(DEFAULT_PATH in word for word in (*container.command, *container.args))


def message_file(pod_directory: Path, container: str, attempt: int) -> Path:
    """Return where the message of one run lies on the node."""
    return pod_directory / "containers" / container / f"{attempt}.message"


def message_mount(path: Path, container: Container) -> pb.Mount:
    """Make the file, for any user to write, and return its mount."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    path.chmod(0o666)
    return pb.Mount(container_path=container.termination_message_path or DEFAULT_PATH, host_path=str(path))


def read_message(pod: Pod, container: Container, file: Path, log: Path, exit_code: int) -> str:
    """Return the message of a run that is over, empty when it left none."""
    count = len(pod.spec.containers) + len(pod.spec.init_containers)
    text = _end_of(file, min(MESSAGE_BYTES, POD_MESSAGE_BYTES // count))
    if text or container.termination_message_policy != FALLBACK or not exit_code:
        return text.decode("utf-8", "replace")
    # Each line carries a time and a stream, so a multiple of the bound is read.
    lines = _end_of(log, FALLBACK_BYTES * 4).splitlines(keepends=True)[-FALLBACK_LINES:]
    return b"".join(parse_line(line)[1] for line in lines)[-FALLBACK_BYTES:].decode("utf-8", "replace")


def _end_of(path: Path, size_bytes: int) -> bytes:
    try:
        with path.open("rb") as file:
            length = file.seek(0, 2)
            file.seek(max(0, length - size_bytes))
            return file.read(size_bytes)
    except OSError:
        return b""
