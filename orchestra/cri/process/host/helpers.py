"""Helpers beside the shims: a rehearsal of mounts, and commands that are run in a container (ExecSync)."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from typing import Any, NoReturn

from orchestra.cri.process.host import mounts, proc
from orchestra.cri.process.host.launch import LaunchError, Program, execute, read_json, take_streams
from orchestra.cri.process.host.shim import answer

ERROR_BYTES = 4096


def rehearse(request: dict[str, Any], reply: socket.socket) -> None:
    """Make the mounts of the container in `request["dir"]` in a namespace that ends with this process.

    So a mount that is impossible is refused when the container is created. Answers `{"ok": true}` or an error.
    """
    wanted: list[mounts.Mount] = read_json(f"{request['dir']}/spec.json")["mounts"]
    try:
        mounts.enter_namespace(any(mount["slave"] for mount in wanted))
        mounts.mount_all(wanted, request["dir"])
    except OSError as error:
        answer(reply, {"error": error.strerror or str(error)})
    else:
        answer(reply, {"ok": True})


def run_command(request: dict[str, Any], reply: socket.socket, stdout: int, stderr: int) -> None:
    """Run `request["argv"]` as a member of the container in `request["dir"]` and answer how it ended.

    Answers `{"exit_code": n}`, `{"timeout": true}` or `{"error": text}`. The command is killed when its time is up,
    when the container ends, or when the other side of `reply` goes away. What the command leaves running in the
    background belongs to the container: this helper stays and ends it together with the container.
    """
    os.setsid()
    proc.prctl(proc.PR_SET_NAME, b"orchestra-exec")
    proc.prctl(proc.PR_SET_CHILD_SUBREAPER, 1)
    container: dict[str, Any] = read_json(f"{request['dir']}/process")
    program: Program = read_json(f"{request['dir']}/spec.json")["program"]
    program["argv"] = request["argv"]
    try:
        pidfd = os.pidfd_open(container["pid"])
        alive = proc.is_alive(container["pid"], container["ticks"])
    except ProcessLookupError:
        alive = False
    if not alive:
        answer(reply, {"error": "container is in CONTAINER_EXITED state"})
        return
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    os.set_blocking(wake_read, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    error_read, error_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become_command(program, container["pid"], (stdout, stderr), error_write)
    for fd in (stdout, stderr, error_write):
        os.close(fd)
    error = os.read(error_read, ERROR_BYTES)
    if error:
        answer(reply, {"error": f"exec failed: unable to start container process: {error.decode('utf-8', 'replace')}"})
        return
    result = _wait(pid, pidfd, wake_read, reply, request["timeout_seconds"])
    if "exit_code" not in result:
        proc.kill_descendants()
    answer(reply, result)
    _stay(pidfd, wake_read)


def _become_command(program: Program, container: int, streams: tuple[int, int], error_fd: int) -> NoReturn:
    try:
        os.setsid()
        proc.reset_signals()
        os.umask(0o022)
        take_streams(os.open(os.devnull, os.O_RDONLY), *streams)
        mounts.join_namespaces(container)
        execute(program)
    except LaunchError as error:
        text = str(error)
    except OSError as error:
        text = error.strerror or str(error)
    os.write(error_fd, text.encode("utf-8", "surrogateescape")[:ERROR_BYTES])
    os._exit(128)


def _wait(pid: int, pidfd: int, wake: int, reply: socket.socket, timeout_seconds: float) -> dict[str, Any]:
    """Wait until the command ends or must be ended; return the answer. A timeout of 0 is none."""
    deadline = time.monotonic() + timeout_seconds if timeout_seconds else None
    poll = select.poll()
    poll.register(wake, select.POLLIN)
    poll.register(pidfd, select.POLLIN)
    poll.register(reply, select.POLLIN)  # readable means closed: the other side sends nothing more
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        ready = dict(poll.poll(left))
        ended = proc.reap()
        if pid in ended:
            return {"exit_code": proc.exit_code(ended[pid])}
        if wake in ready:
            _empty(wake)
        if pidfd in ready or reply.fileno() in ready:
            return {"error": "the container ended while the command ran"}
        if deadline is not None and time.monotonic() >= deadline:
            return {"timeout": True}


def _stay(pidfd: int, wake: int) -> None:
    """Wait until nothing is left below this process, or the container ends; then end the rest."""
    poll = select.poll()
    poll.register(wake, select.POLLIN)
    poll.register(pidfd, select.POLLIN)
    proc.reap()
    while proc.descendants(os.getpid()):
        if pidfd in dict(poll.poll()):
            proc.kill_descendants()
            return
        _empty(wake)
        proc.reap()


def _empty(fd: int) -> None:
    try:
        while os.read(fd, 4096):
            pass
    except BlockingIOError:
        return
