"""What a node agent knows about a Pod: what the runtime shows, and what the agent itself remembers.

Observations are values, translated from CRI messages; the memory of a Pod belongs to its one worker. Both are plain
data, so that the functions that decide can be tested without a runtime.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum

import attrs

from orchestra._proto.cri.v1 import api_pb2 as pb

POD_NAME_LABEL = "io.kubernetes.pod.name"
POD_NAMESPACE_LABEL = "io.kubernetes.pod.namespace"
POD_UID_LABEL = "io.kubernetes.pod.uid"
CONTAINER_NAME_LABEL = "io.kubernetes.container.name"
CONTAINER_HASH_ANNOTATION = "io.kubernetes.container.hash"
GRACE_ANNOTATION = "io.kubernetes.pod.terminationGracePeriod"
TERMINATION_LOG_ANNOTATION = "io.kubernetes.container.terminationMessagePath"


class ContainerState(Enum):
    """The states of a container in the CRI."""

    CREATED = pb.CONTAINER_CREATED
    RUNNING = pb.CONTAINER_RUNNING
    EXITED = pb.CONTAINER_EXITED
    UNKNOWN = pb.CONTAINER_UNKNOWN


@attrs.frozen(kw_only=True)
class ObservedContainer:
    """One run of a container: `attempt` counts the runs from 0, times are None while they have not come."""

    id: str
    name: str
    sandbox_id: str
    attempt: int
    state: ContainerState
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    image: str = ""
    image_id: str = ""
    hash: str = ""
    log_path: str = ""

    @property
    def failed(self) -> bool:
        """Whether it ended in any way but well."""
        return self.state is not ContainerState.RUNNING and self.exit_code != 0


@attrs.frozen(kw_only=True)
class ObservedSandbox:
    """One sandbox of a Pod: `attempt` counts them from 0."""

    id: str
    attempt: int
    ready: bool
    ip: str = ""
    created_at: datetime


@attrs.frozen(kw_only=True)
class ObservedPod:
    """Everything that the runtime has of one Pod: sandboxes and runs of containers, the newest first."""

    sandboxes: tuple[ObservedSandbox, ...] = ()
    containers: tuple[ObservedContainer, ...] = ()

    @property
    def sandbox(self) -> ObservedSandbox | None:
        """The newest sandbox, when it is ready."""
        return self.sandboxes[0] if self.sandboxes and self.sandboxes[0].ready else None

    def runs(self, name: str) -> tuple[ObservedContainer, ...]:
        """Return the runs of one container, the newest first."""
        return tuple(c for c in self.containers if c.name == name)

    def latest(self, name: str) -> ObservedContainer | None:
        """Return the newest run of a container."""
        return next((c for c in self.containers if c.name == name), None)

    @property
    def running(self) -> tuple[ObservedContainer, ...]:
        """Every run that is not over."""
        return tuple(c for c in self.containers if c.state is ContainerState.RUNNING)


@attrs.frozen
class Waiting:
    """Why a container is not running, in the words of `state.waiting`."""

    reason: str
    message: str = ""


@attrs.define(kw_only=True)
class ContainerMemory:
    """What the agent remembers of one container beyond its runs."""

    waiting: Waiting | None = None
    backoff_seconds: float = 0.0
    """The delay after the newest failure; 0 before the first."""
    backoff_since: datetime | None = None
    hold_seconds: float = 0.0
    """How long no new start is tried after one that failed before the container existed (pull, configuration)."""
    hold_since: datetime | None = None
    ready: bool | None = None
    """What the readiness probe says; None without one, or before its first answer."""
    started: bool | None = None
    """Whether the startup probe has succeeded; None without one."""
    unhealthy: str = ""
    """Why the current run must end, from a liveness or startup probe or a failed postStart hook."""
    unhealthy_grace_seconds: int | None = None
    probed_run: str = ""
    """The run (container id) that `ready`, `started` and `unhealthy` are about."""


@attrs.define(kw_only=True)
class PodMemory:
    """What the agent remembers of one Pod; lost with the process, and then rebuilt from what is observed."""

    containers: dict[str, ContainerMemory] = attrs.field(factory=dict)
    start_time: datetime | None = None
    ip: str = ""
    finished: bool = False
    """All containers are over for good and the sandbox is stopped."""
    rejected: Waiting | None = None
    """Why the node refuses the Pod or ended it early (a Pod-level reason and message)."""

    def of(self, name: str) -> ContainerMemory:
        """Return the memory of a container, a new one when there is none."""
        return self.containers.setdefault(name, ContainerMemory())


def _time(nanoseconds: int) -> datetime | None:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC) if nanoseconds else None


_ORIGIN = datetime.fromtimestamp(0, UTC)


def observe_container(status: pb.ContainerStatus, sandbox_id: str) -> ObservedContainer:
    """Translate a CRI container status."""
    return ObservedContainer(
        id=status.id,
        name=status.metadata.name,
        sandbox_id=sandbox_id,
        attempt=status.metadata.attempt,
        state=ContainerState(status.state),
        created_at=_time(status.created_at) or _ORIGIN,
        started_at=_time(status.started_at),
        finished_at=_time(status.finished_at),
        exit_code=status.exit_code,
        reason=status.reason,
        message=status.message,
        image=status.image.user_specified_image or status.image.image,
        image_id=status.image_id or status.image_ref,
        hash=status.annotations.get(CONTAINER_HASH_ANNOTATION, ""),
        log_path=status.log_path,
    )


def observe_sandbox(status: pb.PodSandboxStatus) -> ObservedSandbox:
    """Translate a CRI sandbox status."""
    return ObservedSandbox(
        id=status.id,
        attempt=status.metadata.attempt,
        ready=status.state == pb.SANDBOX_READY,
        ip=status.network.ip,
        created_at=_time(status.created_at) or _ORIGIN,
    )
