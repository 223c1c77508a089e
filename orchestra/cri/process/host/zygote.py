"""The zygote: one small process for each open runtime, whose forks become shims and helpers.

Starting an interpreter takes 20 ms, a fork 1 ms. The zygote reads one datagram for each wanted process: the name of a
role, with descriptors attached of which the first is a socket that carries the request and the answer. It ends when
the runtime closes its socket, or dies; what it has forked does not depend on it.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import struct
import sys
import traceback
from typing import Any

from orchestra.cri.process.host import helpers, shim

ROLE_BYTES = 16
MOST_FDS = 3
REQUEST_SECONDS = 10.0
"""How long a forked process waits for its request."""
REQUEST_BYTES = 4 * 1024 * 1024
"""Longest request; the kernel's own limit on a command line is lower."""
HEAD = struct.Struct("!I")


def serve(control: socket.socket) -> None:
    """Fork a process for each datagram until the other side closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Ended forks are reaped by the kernel: nobody asks for their exit status.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.freeze()
    while True:
        role, fds, _flags, _address = socket.recv_fds(control, ROLE_BYTES, MOST_FDS)
        if not role:
            return
        try:
            pid = os.fork()
        except OSError:
            pid = -1  # closing the descriptors is the answer: the other side reads the end of the stream
        if pid == 0:
            control.close()
            _become(role, fds)
        for fd in fds:
            os.close(fd)


def _become(role: bytes, fds: list[int]) -> None:
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for fd in fds:
            os.set_inheritable(fd, False)
        with socket.socket(fileno=fds[0]) as reply:
            request = _read_request(reply)
            if request is not None:
                _play(role, request, reply, fds[1:])
        status = 0
    except BaseException:  # noqa: BLE001 - a fork must never return into the loop; host.log has the trace
        traceback.print_exc()
    finally:
        os._exit(status)


def _play(role: bytes, request: dict[str, Any], reply: socket.socket, streams: list[int]) -> None:
    if role == b"shim":
        shim.run(request, reply)
    elif role == b"rehearse":
        helpers.rehearse(request, reply)
    elif role == b"exec":
        helpers.run_command(request, reply, *streams)


def _read_request(sock: socket.socket) -> dict[str, Any] | None:
    """Return the request; None when the runtime went away, or was killed, before it had sent all of it."""
    sock.settimeout(REQUEST_SECONDS)
    try:
        (length,) = HEAD.unpack(_read_exactly(sock, HEAD.size))
        if length > REQUEST_BYTES:
            raise ValueError(f"a request of {length} bytes is longer than {REQUEST_BYTES}")
        request: dict[str, Any] = json.loads(_read_exactly(sock, length))
    except ConnectionError:
        return None
    return request


def _read_exactly(sock: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        part = sock.recv(length - len(data))
        if not part:
            raise ConnectionError("the runtime went away before it had sent its request")
        data += part
    return data


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
