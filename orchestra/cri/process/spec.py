"""From a container's configuration to what its shim runs; everything that can be refused is refused here."""

from __future__ import annotations

import os
import posixpath
import signal

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.cri.process.host.launch import DEFAULT_PATH, Identity, Program
from orchestra.cri.process.host.mounts import Mount
from orchestra.cri.process.host.shim import Spec
from orchestra.cri.process.identity import choose_identity
from orchestra.errors import RuntimeServiceError

MOST_MOUNTS = 1024


def refuse(message: str, code: str = "InvalidArgument") -> RuntimeServiceError:
    """Return the error of a container that cannot be created."""
    return RuntimeServiceError(message, code=code, reason="CreateContainerError")


def build_spec(config: pb.ContainerConfig, log_path: str) -> Spec:
    """Return what the shim needs; raises `RuntimeServiceError` with reason CreateContainerError."""
    return Spec(
        program=_program(config),
        mounts=[_mount(mount) for mount in _bounded(config)],
        terminal=config.tty,
        log_path=log_path,
    )


def _program(config: pb.ContainerConfig) -> Program:
    # As in every runtime, the image's entrypoint is missing here, so arguments alone are the command.
    argv = [*config.command, *config.args]
    if any("\0" in word for word in argv):
        raise refuse("the command contains a NUL byte")
    cwd = config.working_dir or "/"
    if not cwd.startswith("/") or "\0" in cwd:
        raise refuse(f"the working directory {cwd!r} is not an absolute path")
    security = config.linux.security_context
    return Program(
        argv=argv,
        env=_environment(config),
        cwd=cwd,
        identity=_identity(security),
        no_new_privs=security.no_new_privs,
        oom_score_adj=config.linux.resources.oom_score_adj or None,
    )


def _identity(security: pb.LinuxContainerSecurityContext) -> Identity:
    try:
        return choose_identity(security)
    except PermissionError as error:
        raise refuse(str(error), code="PermissionDenied") from error
    except LookupError as error:
        raise refuse(str(error).strip("'")) from error


def _environment(config: pb.ContainerConfig) -> dict[str, str]:
    env: dict[str, str] = {}
    for pair in config.envs:
        if not pair.key or "=" in pair.key or "\0" in pair.key or b"\0" in pair.value:
            raise refuse(f"invalid environment variable {pair.key!r}")
        env[pair.key] = os.fsdecode(pair.value)
    # The image of every container here is the host, so its PATH is the one that finds the host's programs.
    env.setdefault("PATH", os.environ.get("PATH") or DEFAULT_PATH)
    return env


def _bounded(config: pb.ContainerConfig) -> list[pb.Mount]:
    devices = [
        pb.Mount(container_path=device.container_path, host_path=device.host_path)
        for device in config.devices
        if device.container_path != device.host_path  # the host's devices are there already
    ]
    wanted = [*config.mounts, *devices]
    if len(wanted) > MOST_MOUNTS:
        raise refuse(f"{len(wanted)} mounts are more than {MOST_MOUNTS}")
    return wanted


def _mount(mount: pb.Mount) -> Mount:
    """Return one mount with normalised paths. The host's side must exist: the runtime makes nothing on the host."""
    target = mount.container_path
    if not target.startswith("/") or ".." in target.split("/") or "\0" in target or posixpath.normpath(target) == "/":
        raise refuse(f"mount at {target!r}: the path in the container must be absolute, without .., and not /")
    if mount.image.image:
        raise refuse(f"mount at {target!r}: this runtime has no images to mount", code="Unimplemented")
    if mount.propagation == pb.PROPAGATION_BIDIRECTIONAL:
        raise refuse(f"mount at {target!r}: bidirectional propagation is not supported", code="Unimplemented")
    if mount.recursive_read_only:
        raise refuse(f"mount at {target!r}: recursive read-only is not supported", code="Unimplemented")
    source = mount.host_path
    if not source.startswith("/") or ".." in source.split("/") or "\0" in source:
        raise refuse(f"mount at {target!r}: the host path {source!r} must be absolute and without ..")
    try:
        os.stat(source)
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise refuse(f'failed to stat "{source}": stat {source}: {reason}', code="NotFound") from error
    return Mount(
        source=source,
        target=posixpath.normpath(target).replace("//", "/"),
        readonly=mount.readonly,
        slave=mount.propagation == pb.PROPAGATION_HOST_TO_CONTAINER,
    )


def signal_number(name: pb.Signal.ValueType) -> int:
    """Return this machine's number of a signal of the CRI; SIGTERM for the runtime's default."""
    word = pb.Signal.Name(name).removeprefix("SIGNAL_")
    if word.startswith("SIGRTMINPLUS"):
        return signal.SIGRTMIN + int(word.removeprefix("SIGRTMINPLUS"))
    if word.startswith("SIGRTMAXMINUS"):
        return signal.SIGRTMAX - int(word.removeprefix("SIGRTMAXMINUS"))
    aliases = {"SIGCLD": "SIGCHLD", "SIGIOT": "SIGABRT", "SIGPOLL": "SIGIO", "RUNTIME_DEFAULT": "SIGTERM"}
    return int(signal.Signals[aliases.get(word, word)])
