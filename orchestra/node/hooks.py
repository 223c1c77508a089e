"""Lifecycle hooks: what a container asks to have done right after its start and before its end."""

from __future__ import annotations

import anyio

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.api.core import Container, LifecycleHandler
from orchestra.cri import Runtime
from orchestra.errors import OrchestraError, RuntimeServiceError
from orchestra.node import http
from orchestra.node.probes import http_get


class HookError(OrchestraError):
    """A hook that failed or could not be run."""


async def run_hook(runtime: Runtime, container: Container, hook: LifecycleHandler, container_id: str, ip: str) -> None:
    """Run one hook to its end; the caller bounds the time. Raises HookError."""
    if hook.sleep is not None:
        await anyio.sleep(hook.sleep.seconds)
    elif hook.exec is not None:
        command = list(hook.exec.command)
        try:
            answer = await runtime.exec_sync(pb.ExecSyncRequest(container_id=container_id, cmd=command))
        except RuntimeServiceError as error:
            raise HookError(error.message) from error
        if answer.exit_code:
            output = (answer.stdout + answer.stderr).decode("utf-8", "replace")
            raise HookError(f"command '{' '.join(command)}' exited with {answer.exit_code}: {output}")
    elif hook.http_get is not None:
        try:
            status, _ = await http_get(container, hook.http_get, ip)
        except (ValueError, *http.HTTP_ERRORS) as error:
            raise HookError(f"HTTP hook failed: {error}") from error
        if not 200 <= status < 400:
            raise HookError(f"HTTP hook failed with status code {status}")
