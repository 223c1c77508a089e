"""The runtime's side of the zygote: asks it for processes and reads their answers."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio

from orchestra._log import get_logger
from orchestra.cri.process.host.zygote import HEAD, REQUEST_BYTES
from orchestra.errors import RuntimeServiceError

ANSWER_BYTES = 64 * 1024
"""Longest answer."""
END_SECONDS = 5.0
"""How long closing waits for the zygote, which ends as soon as its socket is closed."""

_CODE = (
    "import socket, sys; sys.path.insert(0, sys.argv[2]);"
    "from orchestra.cri.process.host.zygote import serve; serve(socket.socket(fileno=int(sys.argv[1])))"
)

log = get_logger("cri.process")


class ZygoteLink:
    """Starts the zygote, again when it has died, and carries requests to its forks."""

    def __init__(self, open_log: Callable[[], int]) -> None:
        self._open_log = open_log
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    def start(self) -> None:
        """Start the zygote; it is ready when it answers, which nobody waits for here."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        library = str(Path(__file__).resolve().parents[3])
        errors = self._open_log()
        try:
            # -I and -S: neither the environment nor installed packages change what runs, and starting stays fast.
            # A session of its own keeps the terminal's Ctrl-C away.
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _CODE, str(theirs.fileno()), library],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
                cwd="/",
                env={},
            )
        except OSError as error:
            ours.close()
            raise RuntimeServiceError(f"the zygote cannot be started: {error}", code="Unavailable") from error
        finally:
            theirs.close()
            os.close(errors)
        self._socket = ours

    async def stop(self) -> None:
        """End the zygote; what it has forked goes on."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        process, self._process = self._process, None
        if process is None:
            return
        ended = os.pidfd_open(process.pid)
        try:
            with anyio.move_on_after(END_SECONDS, shield=True) as waiting:
                await anyio.wait_readable(ended)
        finally:
            os.close(ended)
        if waiting.cancelled_caught:
            process.kill()
        process.wait()

    async def ask(self, role: str, request: dict[str, Any], fds: tuple[int, ...] = ()) -> dict[str, Any] | None:
        """Have a process forked for `role`, give it `request` and `fds`, and return its answer.

        None means that it ended without one. The descriptors are closed here in every case. When this call is
        cancelled the process sees its socket closed.
        """
        body = json.dumps(request).encode()
        ours, theirs = socket.socketpair()
        try:
            ours.setblocking(False)
            try:
                if len(body) > REQUEST_BYTES:
                    raise RuntimeServiceError(f"a request of {len(body)} bytes is too long", code="InvalidArgument")
                await self._send(role.encode(), (theirs.fileno(), *fds))
            finally:
                theirs.close()
                for fd in fds:
                    os.close(fd)
            try:
                await _send_all(ours, HEAD.pack(len(body)) + body)
                data = await _read_to_end(ours)
            except OSError:
                return None
        finally:
            ours.close()
        try:
            answer: dict[str, Any] = json.loads(data)
        except ValueError:
            return None
        return answer

    async def _send(self, role: bytes, fds: tuple[int, ...]) -> None:
        for attempt in (1, 2):
            if self._process is None or self._socket is None:
                raise RuntimeServiceError("the runtime is not open", code="Unavailable")
            if self._process.poll() is not None:
                log.warning("the zygote has died and is started again", exit_code=self._process.returncode)
                self._socket.close()
                self.start()
            try:
                await self._send_once(role, fds)
            except OSError as error:
                if attempt == 2:
                    raise RuntimeServiceError(f"the zygote does not answer: {error}", code="Unavailable") from error
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(timeout=0.1)  # the socket broke, so it is ending; a poll might come too early
            else:
                return

    async def _send_once(self, role: bytes, fds: tuple[int, ...]) -> None:
        sock = self._socket
        assert sock is not None
        while True:
            try:
                socket.send_fds(sock, [role], list(fds))
            except BlockingIOError:
                await anyio.wait_writable(sock)
            else:
                return


async def _send_all(sock: socket.socket, data: bytes) -> None:
    while data:
        try:
            data = data[sock.send(data) :]
        except BlockingIOError:
            await anyio.wait_writable(sock)


async def _read_to_end(sock: socket.socket) -> bytes:
    data = b""
    while len(data) <= ANSWER_BYTES:
        await anyio.wait_readable(sock)
        try:
            part = sock.recv(ANSWER_BYTES)
        except BlockingIOError:
            continue
        if not part:
            break
        data += part
    return data
