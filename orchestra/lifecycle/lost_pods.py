"""Which Pods nobody will ever end, so that they have to be taken away: pure, after the pod garbage collector."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum

import attrs

from orchestra.api.core import Node, Pod
from orchestra.api.rules.conditions import condition_true, is_terminal

OUT_OF_SERVICE_TAINT = "node.kubernetes.io/out-of-service"


class Loss(Enum):
    """Why a Pod is lost; the value is what the Pod's condition says of it, empty when it needs no explanation."""

    NODE_GONE = "PodGC: node no longer exists"
    OUT_OF_SERVICE = "PodGC: node is out of service"
    NEVER_PLACED = "PodGC: pod was deleted before it was scheduled"
    SURPLUS = ""


@attrs.frozen
class LostPod:
    """A Pod to take away."""

    pod: Pod
    loss: Loss


def lost_pods(
    pods: Iterable[Pod], node_of: Callable[[str], Node | None], terminated_threshold: int
) -> tuple[LostPod, ...]:
    """Return the Pods that nobody will end.

    These are Pods of nodes that do not exist, terminating Pods of nodes out of service, terminating Pods without a
    node, and the oldest of more than `terminated_threshold` Pods that have ended.
    """
    lost: list[LostPod] = []
    ended: list[Pod] = []
    for pod in pods:
        name = pod.spec.node_name
        node = node_of(name) if name else None
        leaving = pod.metadata.deletion_timestamp is not None
        if name and node is None:
            lost.append(LostPod(pod, Loss.NODE_GONE))
        elif leaving and not name:
            lost.append(LostPod(pod, Loss.NEVER_PLACED))
        elif leaving and node is not None and _out_of_service(node):
            lost.append(LostPod(pod, Loss.OUT_OF_SERVICE))
        elif is_terminal(pod) and not leaving:
            ended.append(pod)
    surplus = len(ended) - terminated_threshold
    if terminated_threshold > 0 and surplus > 0:
        ended.sort(key=lambda pod: (_created(pod), pod.key))
        lost += [LostPod(pod, Loss.SURPLUS) for pod in ended[:surplus]]
    return tuple(lost)


def _created(pod: Pod) -> float:
    created = pod.metadata.creation_timestamp
    return created.timestamp() if created is not None else 0.0


def _out_of_service(node: Node) -> bool:
    return not condition_true(node, "Ready") and any(taint.key == OUT_OF_SERVICE_TAINT for taint in node.spec.taints)
