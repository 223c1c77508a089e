"""Lifecycle hooks: what a container asks to have done right after its start and before its end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

import anyio

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.cri import Probing, Runtime
from orchestra.errors import OrchestraError, RuntimeServiceError
from orchestra.node import asking
from orchestra.node.probes import ProbeTarget

if TYPE_CHECKING:
    from orchestra.api.core import HTTPGetAction, LifecycleHandler

HOOK_TIMEOUT_SECONDS = 300.0
"""How long one HTTP request of a hook may take; other hooks last as long as the caller lets them."""


class HookError(OrchestraError):
    """A hook that failed or could not be run."""


async def run_hook(
    runtime: Runtime, target: ProbeTarget, hook: LifecycleHandler, kind: Literal["postStart", "preStop"]
) -> None:
    """Run one hook to its end; the caller bounds the time. Raises HookError."""
    if hook.sleep is not None:
        await anyio.sleep(hook.sleep.seconds)
    elif hook.exec is not None:
        await _command(runtime, target, hook.exec.command)
    elif hook.http_get is not None:
        await _request(runtime, target, hook.http_get, kind)


async def _command(runtime: Runtime, target: ProbeTarget, command: tuple[str, ...]) -> None:
    request = pb.ExecSyncRequest(container_id=target.container_id, cmd=command)
    shown = " ".join(command)
    try:
        answer = await runtime.exec_sync(request)
    except RuntimeServiceError as error:
        why, output = error.message, b""
    else:
        if not answer.exit_code:
            return
        stderr = answer.stderr.decode("utf-8", "replace")
        why = f"command '{shown}' exited with {answer.exit_code}: {stderr}"
        output = answer.stdout + answer.stderr
    text = json.dumps(output.decode("utf-8", "replace"), ensure_ascii=False)
    raise HookError(f"Exec lifecycle hook ([{shown}]) for {_whose(target)} failed - error: {why}, message: {text}")


async def _request(runtime: Runtime, target: ProbeTarget, action: HTTPGetAction, kind: str) -> None:
    problem = ""
    try:
        if isinstance(runtime, Probing):
            problem = await runtime.probe(target.container_id, kind)
        else:
            answer = await asking.get(target.container, action, target.ip, HOOK_TIMEOUT_SECONDS)
            problem = "" if answer.good else f"HTTP hook failed with statuscode: {answer.status}"
    except (asking.NoAnswer, asking.BadPort) as error:
        problem = str(error)
    except RuntimeServiceError as error:
        problem = error.message
    if problem:
        raise HookError(f"HTTP lifecycle hook ({action.path}) for {_whose(target)} failed - error: {problem}")


def _whose(target: ProbeTarget) -> str:
    meta = target.pod.metadata
    return f'Container "{target.container.name}" in Pod "{meta.name}_{meta.namespace}({meta.uid})"'
