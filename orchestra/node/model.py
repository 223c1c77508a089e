"""What a node agent knows about a Pod: what the runtime shows, and what the agent itself remembers.

Observations are values, translated from CRI messages; the memory of a Pod belongs to its one worker. Both are plain
data, so that the functions that decide can be tested without a runtime.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING

import attrs

from orchestra._proto.cri.v1 import api_pb2 as pb

if TYPE_CHECKING:
    from orchestra.api.core import ContainerUser

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
    user: ContainerUser | None = None

    @property
    def over(self) -> bool:
        """Whether it has run and ended."""
        return self.state in (ContainerState.EXITED, ContainerState.UNKNOWN)


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


@attrs.frozen
class Refusal:
    """Why the node refuses a Pod or ends it early, in the words of the Pod's status.

    `admitted`: the Pod had been taken on, and what became of its containers is told as well.
    """

    reason: str
    message: str
    admitted: bool


@attrs.define(kw_only=True)
class ContainerMemory:
    """What the agent remembers of one container beyond its runs."""

    waiting: Waiting | None = None
    """Why the newest try to start it failed, until one succeeds."""
    backoff_seconds: float = 0.0
    """The delay after the newest failure; 0 before the first."""
    backoff_since: datetime | None = None
    announced_backoff: bool = False
    """Whether an Event has told of the present delay."""
    ended_run: str = ""
    """The run (container id) that the agent ended so that another one follows it."""
    replaced: bool = False
    """Whether `ended_run` is followed by another one at once, even when its exit code would be the end of it."""
    hold_seconds: float = 0.0
    """How long no new start is tried after one that failed before the container existed (pull, configuration)."""
    hold_since: datetime | None = None
    hold_image: str = ""
    """The image that was asked for then; with another one the next try is immediate."""
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
    reported_end: bool = False
    """An earlier agent had brought the Pod to its end."""
    refusal: Refusal | None = None

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
        user=_user(status.user) if status.HasField("user") else None,
    )


def _user(user: pb.ContainerUser) -> ContainerUser:
    from orchestra.api.core import ContainerUser, LinuxContainerUser

    linux = user.linux
    groups = tuple(linux.supplemental_groups)
    return ContainerUser(linux=LinuxContainerUser(uid=linux.uid, gid=linux.gid, supplemental_groups=groups))


def observe_sandbox(status: pb.PodSandboxStatus) -> ObservedSandbox:
    """Translate a CRI sandbox status."""
    return ObservedSandbox(
        id=status.id,
        attempt=status.metadata.attempt,
        ready=status.state == pb.SANDBOX_READY,
        ip=status.network.ip,
        created_at=_time(status.created_at) or _ORIGIN,
    )
