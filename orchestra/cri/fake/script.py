"""What the containers of a `FakeRuntime` do: values, and functions that choose them. Pure."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from orchestra._proto.cri.v1 import api_pb2 as pb


@attrs.frozen(kw_only=True)
class ExecResult:
    """What one command answers after `seconds`; `error` means that it could not be run at all."""

    exit_code: int = 0
    stdout: bytes = b""
    stderr: bytes = b""
    seconds: float = 0.0
    error: str = ""


@attrs.frozen(kw_only=True)
class PullResult:
    """What pulling one image does after `seconds`; `error` is the message of a pull that fails."""

    seconds: float = 0.0
    error: str = ""


def _succeed(_command: tuple[str, ...], _running_seconds: float) -> ExecResult:
    return ExecResult()


def _pass(_kind: str, _running_seconds: float) -> str:
    return ""


@attrs.frozen(kw_only=True)
class ContainerScript:
    """The life of one container.

    It is created (or refused with `create_error`), takes `start_seconds` to start (or fails with `start_error`), runs
    for `run_seconds` (None: until it is stopped) and ends with `exit_code`. When it is asked to stop it takes
    `stop_seconds` and ends with `stop_exit_code`; with less time than that it is killed (137).

    `run_command` answers each command of ExecSync, `probe` each probe (see `Probing` in `interface.py`); both are told
    how many seconds the container has been running.
    """

    create_error: str = ""
    start_seconds: float = 0.0
    start_error: str = ""
    run_seconds: float | None = None
    exit_code: int = 0
    reason: str = ""
    """Completed or Error, after the exit code, when empty."""
    message: str = ""
    stop_seconds: float = 0.0
    stop_exit_code: int = 143
    run_command: Callable[[tuple[str, ...], float], ExecResult] = _succeed
    probe: Callable[[str, float], str] = _pass


_DEFAULT = ContainerScript()
_PULLED = PullResult()


def _run_for_ever(_sandbox: pb.PodSandboxConfig, _container: pb.ContainerConfig) -> ContainerScript:
    return _DEFAULT


def _pull_everything(_reference: str) -> PullResult:
    return _PULLED


@attrs.frozen(kw_only=True)
class Script:
    """What happens on one runtime: `container` chooses the life of each container, `pull` that of each image.

    Example: containers named "job" end well after five seconds, the others run until they are stopped:

        Script(container=lambda sandbox, config: (
            ContainerScript(run_seconds=5) if config.metadata.name == "job" else ContainerScript()
        ))
    """

    container: Callable[[pb.PodSandboxConfig, pb.ContainerConfig], ContainerScript] = _run_for_ever
    pull: Callable[[str], PullResult] = _pull_everything
