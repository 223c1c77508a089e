"""Having the image of a container on the node."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.api.core import Pod
from orchestra.errors import RuntimeServiceError
from orchestra.node.configs import check_image
from orchestra.node.context import NodeContext
from orchestra.node.environment import ContainerConfigError
from orchestra.node.model import Waiting
from orchestra.node.probes import rpc_text

if TYPE_CHECKING:
    from orchestra.api.core import Container

AWAY = frozenset({"Unavailable", "Cancelled"})
"""Codes of a runtime that did not take the call: no fault of the container."""


@attrs.frozen(kw_only=True)
class StartFailed(Exception):
    """Why a container is not running: the reason in its status, and the Events that tell of it (reason, message).

    `hold`: there is no run that has ended, so the next try waits for a time of its own.
    """

    waiting: Waiting
    events: tuple[tuple[str, str], ...]
    hold: bool = True


async def ensure_image(node: NodeContext, pod: Pod, container: Container, field: str) -> str:
    """Return the id of the container's image on the node, pulling it as its policy says; raises StartFailed."""
    name = container.image
    try:
        check_image(name)
    except ContainerConfigError as error:
        raise _failed("InvalidImageName", str(error), ("InspectFailed", str(error))) from None
    spec = pb.ImageSpec(image=name)
    held = (await node.runtime.image_status(pb.ImageStatusRequest(image=spec))).image
    policy = container.image_pull_policy or "IfNotPresent"
    if held.id and policy != "Always":
        text = f'Container image "{name}" already present on machine and can be accessed by the pod'
        node.events.normal(pod, "Pulled", text, field_path=field)
        return held.id
    if policy == "Never":
        text = f'Container image "{name}" is not present with pull policy of Never'
        raise _failed("ErrImageNeverPull", text, ("ErrImageNeverPull", text))
    return await _pull(node, pod, spec, field)


async def _pull(node: NodeContext, pod: Pod, spec: pb.ImageSpec, field: str) -> str:
    name = spec.image
    node.events.normal(pod, "Pulling", f'Pulling image "{name}"', field_path=field)
    began = node.clock.monotonic()
    try:
        answer = await node.runtime.pull_image(pb.PullImageRequest(image=spec))
    except RuntimeServiceError as error:
        if error.code in AWAY:
            raise
        why = rpc_text(error)
        raise _failed("ErrImagePull", why, ("Failed", f'Failed to pull image "{name}": {why}')) from None
    took = int((node.clock.monotonic() - began) * 1000)
    size = (await node.runtime.image_status(pb.ImageStatusRequest(image=spec))).image.size
    text = f'Successfully pulled image "{name}" in {took}ms ({took}ms including waiting). Image size: {size} bytes.'
    node.events.normal(pod, "Pulled", text, field_path=field)
    return answer.image_ref


def _failed(reason: str, message: str, event: tuple[str, str]) -> StartFailed:
    return StartFailed(waiting=Waiting(reason, message), events=(event, ("Failed", f"Error: {reason}")))
