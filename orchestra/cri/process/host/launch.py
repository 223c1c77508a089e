"""From a freshly forked process to a container's (or an exec's) program. Nothing here returns on success."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import termios
from typing import Any, NoReturn, TypedDict

from orchestra.cri.process.host import mounts, proc

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""PATH of a container whose configuration has none, on a host that has none either."""


class Identity(TypedDict):
    """Who the program runs as; None keeps what the runtime itself has."""

    uid: int | None
    gid: int | None
    groups: list[int] | None


class Program(TypedDict):
    """What is executed: the part of a container's specification that its exec calls share.

    Strings are as `os.fsdecode` makes them, so that bytes that are no UTF-8 pass through.
    """

    argv: list[str]
    env: dict[str, str]
    cwd: str
    identity: Identity
    no_new_privs: bool
    oom_score_adj: int | None


class LaunchError(Exception):
    """The program cannot be started; the text says why in the words that runc uses."""


def read_json(path: str) -> Any:
    """Return the document in a file; raises `FileNotFoundError` or `ValueError`."""
    with open(path, "rb") as file:
        return json.loads(file.read())


def launch(program: Program, mounted: list[mounts.Mount], staging: str, error_fd: int) -> NoReturn:
    """Become `program` in a namespace with its mounts; a reason why not is written to `error_fd`."""
    try:
        if mounted:
            mounts.enter_namespace(any(mount["slave"] for mount in mounted))
            mounts.mount_all(mounted, staging)
        execute(program)
    except LaunchError as error:
        text = str(error)
    except OSError as error:
        text = f"error during container init: {error.strerror or error}" if error.errno else f"{error}"
    os.write(error_fd, text.encode("utf-8", "surrogateescape")[:4096])
    os._exit(128)


def execute(program: Program) -> NoReturn:
    """Replace the calling process; raises `LaunchError` or `OSError`."""
    if program["oom_score_adj"] is not None:
        _set_oom_score(program["oom_score_adj"])
    _enter_directory(program["cwd"])
    _take_identity(program["identity"])
    # Changing the user clears this setting, hence its place. It ends the program when its shim is killed.
    proc.prctl(proc.PR_SET_PDEATHSIG, signal.SIGKILL)
    if program["no_new_privs"]:
        proc.prctl(proc.PR_SET_NO_NEW_PRIVS, 1)
    path = find_program(program["argv"][0], program["env"].get("PATH", ""))
    try:
        os.execve(path, program["argv"], program["env"])  # noqa: S606 - running it is the purpose
    except OSError as error:
        raise LaunchError(f"exec {path}: {_reason(error)}") from error


def find_program(name: str, search: str) -> str:
    """Return the file that `name` means under the search path `search`; raises `LaunchError` in Go's words."""
    if not name:
        raise LaunchError('exec: "": executable file not found in $PATH')
    if "/" in name:
        try:
            os.stat(name)
        except OSError as error:
            raise LaunchError(f'exec: "{name}": stat {name}: {_reason(error)}') from error
        if os.path.isdir(name):
            raise LaunchError(f'exec: "{name}": is a directory')
        if not os.access(name, os.X_OK):
            raise LaunchError(f'exec: "{name}": permission denied')
        return name
    for folder in search.split(":"):
        candidate = os.path.join(folder or ".", name)
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
    raise LaunchError(f'exec: "{name}": executable file not found in $PATH')


def take_terminal(terminal: int) -> None:
    """Make `terminal` the controlling terminal of the calling process, a session leader, and its three streams."""
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    take_streams(terminal, terminal, terminal)


def take_streams(stdin: int, stdout: int, stderr: int) -> None:
    """Make the three descriptors standard input, output and error."""
    # Moved out of the way first: one of them may have a number that another is about to take.
    moved = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (stdin, stdout, stderr)]
    for number, fd in enumerate(moved):
        os.dup2(fd, number, inheritable=True)


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _set_oom_score(value: int) -> None:
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write(str(value))
    except PermissionError:
        return  # lowering it takes CAP_SYS_RESOURCE; the host's own value stays, as with other runtimes


def _enter_directory(path: str) -> None:
    try:
        os.chdir(path)
    except OSError as error:
        raise LaunchError(f"error during container init: chdir {path}: {_reason(error)}") from error


def _take_identity(identity: Identity) -> None:
    groups, gid, uid = identity["groups"], identity["gid"], identity["uid"]
    if groups is not None and (os.geteuid() == 0 or set(groups) != set(os.getgroups())):
        os.setgroups(groups)
    if gid is not None:
        os.setresgid(gid, gid, gid)
    if uid is not None:
        os.setresuid(uid, uid, uid)
