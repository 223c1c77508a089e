"""Commands that are run in a running container and waited for (ExecSync)."""

from __future__ import annotations

import os
from typing import Any

import anyio
import attrs

from orchestra.cri.process.link import ZygoteLink
from orchestra.errors import RuntimeServiceError

OUTPUT_BYTES = 16 * 1024 * 1024
"""Most output that is kept of each stream (as in containerd); the rest is read and dropped."""
READ_BYTES = 64 * 1024
GRACE_SECONDS = 10.0
"""How much longer than its timeout the helper of a command may take to answer."""


@attrs.frozen(kw_only=True)
class CommandResult:
    """What a command wrote and how it ended."""

    stdout: bytes
    stderr: bytes
    exit_code: int


async def run_command(link: ZygoteLink, folder: str, argv: list[str], timeout_seconds: float) -> CommandResult:
    """Run a command as a member of the container in `folder`; a timeout of 0 is none.

    Raises `RuntimeServiceError`: DeadlineExceeded when it was killed at its timeout, Unknown when it could not run.
    """
    if not argv or any("\0" in word for word in argv):
        raise RuntimeServiceError(
            "failed to exec in container: the command is empty or has a NUL", code="InvalidArgument"
        )
    answer: dict[str, Any] | None = None
    stdout, stderr = _Output(), _Output()
    request = {"dir": folder, "argv": argv, "timeout_seconds": timeout_seconds}
    try:
        async with anyio.create_task_group() as readers:
            for output in (stdout, stderr):
                readers.start_soon(output.follow)
            limit = timeout_seconds + GRACE_SECONDS if timeout_seconds else None
            with anyio.move_on_after(limit):
                answer = await link.ask("exec", request, (stdout.take_writer(), stderr.take_writer()))
            # What the command itself wrote is in the pipes by now. Something that it left in the background may keep
            # them open for ever, so their end is not waited for.
            readers.cancel_scope.cancel()
        for output in (stdout, stderr):
            output.read_available()
    finally:
        stdout.close()
        stderr.close()
    if answer is None:
        raise RuntimeServiceError("failed to exec in container: the helper was killed", code="Unknown")
    if "timeout" in answer:
        text = f"failed to exec in container: timeout {timeout_seconds:g}s exceeded: context deadline exceeded"
        raise RuntimeServiceError(text, code="DeadlineExceeded")
    if "error" in answer:
        raise RuntimeServiceError(f"failed to exec in container: {answer['error']}", code="Unknown")
    return CommandResult(stdout=bytes(stdout.data), stderr=bytes(stderr.data), exit_code=answer["exit_code"])


class _Output:
    """One pipe from a command."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        self.data = bytearray()

    def take_writer(self) -> int:
        """Return the writing end, which the caller closes from now on."""
        writer, self._writer = self._writer, -1
        return writer

    async def follow(self) -> None:
        """Read until the end of the stream."""
        while True:
            await anyio.wait_readable(self._reader)
            if self.read_available():
                return

    def read_available(self) -> bool:
        """Read what there is; say whether the stream has ended."""
        while True:
            try:
                part = os.read(self._reader, READ_BYTES)
            except BlockingIOError:
                return False
            if not part:
                return True
            self.data += part[: OUTPUT_BYTES - len(self.data)]

    def close(self) -> None:
        os.close(self._reader)
        if self._writer != -1:
            os.close(self._writer)
