"""The shim: one process for each running container, which owns its streams and outlives the control plane.

It lives in the container's directory, whose files are all that it shares with the runtime:

    spec.json   what to run (written by the runtime when the container is created)
    start       a token: the permission to start, once (written by the runtime)
    lock        held (flock) by the shim as long as it lives; holds its "pid ticks"
    control     a FIFO for commands: `signal N`, `kill`, `reopen`
    process     who runs: written before the program is executed, so nothing can run unrecorded
    exit        how it ended: written, durably, after everything below the shim has ended

Who holds `lock` decides: a shim starts its program only under the lock, only when `start` still holds the token that
it was given, and only when nothing ran before. So a runtime that takes the lock and removes `start` knows that no late
shim of a killed predecessor will start the container a second time.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import time
from typing import Any, NoReturn, TypedDict

from orchestra.cri.process.host import mounts, proc
from orchestra.cri.process.host.crilog import LineSplitter, LogFile
from orchestra.cri.process.host.launch import Program, launch, read_json, take_streams, take_terminal

READ_BYTES = 64 * 1024
DRAIN_SECONDS = 2.0
"""How long output is still read after everything has ended: only a process that escaped can hold a stream open."""
START_ERROR = 128
"""Exit code of a container whose program could not be executed (as containerd reports it)."""


class Spec(TypedDict):
    """What `spec.json` says to the shim; other keys are the runtime's own."""

    program: Program
    mounts: list[mounts.Mount]
    terminal: bool
    log_path: str


def write_json(path: str, document: dict[str, Any], durable: bool = False) -> None:
    """Write a document so that readers see all of it or nothing; `durable` survives a crash of the machine."""
    temporary = f"{path}.tmp"
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(json.dumps(document).encode())
        file.flush()
        if durable:
            os.fsync(file.fileno())
    os.rename(temporary, path)
    if durable:
        folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def take_lock(folder: str) -> int | None:
    """Return a descriptor that holds the lock of a container's directory; None when somebody else holds it."""
    fd = os.open(f"{folder}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def run(request: dict[str, Any], reply: socket.socket) -> None:
    """Start the container in directory `request["dir"]` and stay with it until it has ended.

    The answer on `reply` is `{"ok": true}` or `{"error": text}`; nobody needs to be there to read it.
    """
    folder: str = request["dir"]
    os.setsid()
    proc.prctl(proc.PR_SET_NAME, b"orchestra-shim")
    proc.prctl(proc.PR_SET_CHILD_SUBREAPER, 1)
    lock = take_lock(folder)
    if lock is None:
        answer(reply, {"error": "the container is being started already"})
        return
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()} {proc.start_ticks(os.getpid())}".encode())
    try:
        with open(f"{folder}/start") as file:
            permitted = file.read() == request["token"]
    except FileNotFoundError:
        permitted = False
    if not permitted or os.path.exists(f"{folder}/process") or os.path.exists(f"{folder}/exit"):
        os.close(lock)  # before the answer: whoever hears it may start the container at once
        answer(reply, {"error": "the permission to start the container was withdrawn"})
        return
    _Shim(folder, read_json(f"{folder}/spec.json")).serve(reply)


def answer(reply: socket.socket, document: dict[str, Any]) -> None:
    """Send an answer and close the socket; that the other side is gone does not matter."""
    with contextlib.suppress(OSError):
        reply.sendall(json.dumps(document).encode())
    reply.close()


class _Shim:
    def __init__(self, folder: str, spec: Spec) -> None:
        self._folder = folder
        self._spec = spec
        self._poll = select.poll()
        self._streams: dict[int, tuple[bytes, LineSplitter]] = {}
        self._status: int | None = None
        self._pid = 0

    def serve(self, reply: socket.socket) -> None:
        try:
            self._log = LogFile(self._spec["log_path"])
            self._control = self._open_control()
            error = self._start()
        except OSError as failure:
            error = f"unable to start container process: {failure}"
        if error:
            self._record_exit(START_ERROR, "StartError", error)
            answer(reply, {"error": error})
            return
        answer(reply, {"ok": True})
        while self._status is None:
            self._step()
        proc.kill_descendants()
        self._drain()
        code = proc.exit_code(self._status)
        self._record_exit(code, "Completed" if code == 0 else "Error", "")

    def _open_control(self) -> int:
        path = f"{self._folder}/control"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # of a shim that was killed before it could start anything
        os.mkfifo(path, 0o600)
        # Opened for writing too, so that there is no end of file between two writers.
        return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def _start(self) -> str:
        """Fork the program; return why it could not be executed, or an empty text."""
        error_read, error_write = os.pipe()
        gate_read, gate_write = os.pipe()
        wake_read, wake_write = os.pipe()
        inner, outer = self._open_streams()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(gate_write)
            self._become_program(inner, gate_read, error_write)
        for fd in {*inner, error_write, gate_read}:
            os.close(fd)
        self._record_process()
        os.write(gate_write, b"g")
        os.close(gate_write)
        error = os.read(error_read, READ_BYTES)
        os.close(error_read)
        if error:
            os.waitpid(self._pid, 0)
            return f"unable to start container process: {error.decode('utf-8', 'replace')}"
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        os.set_blocking(wake_write, False)
        os.set_blocking(wake_read, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        self._wake = wake_read
        for fd, name in zip(outer, (b"stdout", b"stderr"), strict=False):
            self._streams[fd] = (name, LineSplitter())
        for fd in (self._wake, self._control, *outer):
            os.set_blocking(fd, False)
            self._poll.register(fd, select.POLLIN)
        self._reap()  # it may have ended before the handler was there
        return ""

    def _record_process(self) -> None:
        record = {
            "pid": self._pid,
            "ticks": proc.start_ticks(self._pid),
            "shim": os.getpid(),
            "shim_ticks": proc.start_ticks(os.getpid()),
            "boot": proc.boot_id(),
            "started_at": time.time_ns(),
        }
        write_json(f"{self._folder}/process", record)

    def _open_streams(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the container's ends (input, output, error, or one terminal) and the shim's."""
        if self._spec["terminal"]:
            ours, theirs = os.openpty()
            return (theirs,), (ours,)
        out_read, out_write = os.pipe()
        error_read, error_write = os.pipe()
        return (os.open(os.devnull, os.O_RDONLY), out_write, error_write), (out_read, error_read)

    def _become_program(self, inner: tuple[int, ...], gate: int, error_fd: int) -> NoReturn:
        try:
            os.setsid()
            proc.prctl(proc.PR_SET_PDEATHSIG, signal.SIGKILL)
            proc.reset_signals()
            os.umask(0o022)
            if os.read(gate, 1) != b"g":
                os._exit(START_ERROR)  # the shim died before it could record this process
            if len(inner) == 1:
                take_terminal(inner[0])
            else:
                take_streams(*inner)
            launch(self._spec["program"], self._spec["mounts"], self._folder, error_fd)
        finally:
            os._exit(START_ERROR)

    def _step(self) -> None:
        for fd, _events in self._poll.poll():
            if fd == self._wake:
                _read(fd)
                self._reap()
            elif fd == self._control:
                for command in (_read(fd) or b"").splitlines():
                    self._obey(command)
            else:
                self._copy(fd)

    def _reap(self) -> None:
        ended = proc.reap()
        if self._pid in ended:
            self._status = ended[self._pid]

    def _obey(self, command: bytes) -> None:
        # The program has not been reaped here, so its number cannot belong to another process.
        word, _, argument = command.partition(b" ")
        if word == b"signal":
            proc.kill_group(self._pid, int(argument))
        elif word == b"kill":
            proc.kill_group(self._pid, signal.SIGKILL)
            for pid in proc.descendants(os.getpid()):
                proc.kill(pid, signal.SIGKILL)
        elif word == b"reopen":
            try:
                self._log.reopen()
            except OSError:
                return  # the runtime waits for the new file and reports that it did not come

    def _copy(self, fd: int) -> bool:
        """Copy what a stream has to the log; say whether there may be more."""
        data = _read(fd)
        if data is None:
            return False
        name, splitter = self._streams[fd]
        if data:
            self._log.write(name, splitter.feed(data))
            return True
        self._log.write(name, splitter.finish())
        self._poll.unregister(fd)
        os.close(fd)
        del self._streams[fd]
        return False

    def _drain(self) -> None:
        deadline = time.monotonic() + DRAIN_SECONDS
        while self._streams and (left := deadline - time.monotonic()) > 0:
            poll = select.poll()
            for fd in self._streams:
                poll.register(fd, select.POLLIN)
            for fd, _events in poll.poll(left * 1000):
                self._copy(fd)
        for name, splitter in self._streams.values():
            self._log.write(name, splitter.finish())

    def _record_exit(self, code: int, reason: str, message: str) -> None:
        lost = self._log.lost_bytes if hasattr(self, "_log") else 0
        record = {"exit_code": code, "finished_at": time.time_ns(), "reason": reason, "message": message}
        write_json(f"{self._folder}/exit", record | {"lost_log_bytes": lost}, durable=True)


def _read(fd: int) -> bytes | None:
    """Return what a descriptor has: None when nothing yet, empty at its end (a terminal says so by EIO)."""
    try:
        return os.read(fd, READ_BYTES)
    except BlockingIOError:
        return None
    except OSError:
        return b""
