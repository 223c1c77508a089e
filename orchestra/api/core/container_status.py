"""What a node reports of a container."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from attrs import frozen

from orchestra.api.frozen import ABSENT_MAP
from orchestra.api.object import Struct, declared, freeze_fields, int32, list_map, omit_empty
from orchestra.api.quantity import Quantity

if TYPE_CHECKING:
    from orchestra.api.core.resources import ResourceRequirements


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ContainerStateWaiting(Struct):
    """The container has not started, and `reason` says why: ContainerCreating, CrashLoopBackOff, ..."""

    reason: str = omit_empty()
    message: str = omit_empty()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ContainerStateRunning(Struct):
    """The container runs."""

    started_at: datetime | None = declared(nullable=True)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ContainerStateTerminated(Struct):
    """The container has ended."""

    exit_code: int = int32(0)
    signal: int = omit_empty(0, int32=True)
    reason: str = omit_empty()
    message: str = omit_empty()
    started_at: datetime | None = declared(nullable=True)
    finished_at: datetime | None = declared(nullable=True)
    container_id: str = omit_empty()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ContainerState(Struct):
    """In which of three states a container is; none set means waiting."""

    waiting: ContainerStateWaiting | None = None
    running: ContainerStateRunning | None = None
    terminated: ContainerStateTerminated | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ImageVolumeStatus(Struct):
    """The image that an image volume was mounted from, with its digest."""

    image_ref: str = omit_empty()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class VolumeStatus(Struct):
    """What a node reports of one mounted volume."""

    image: ImageVolumeStatus | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class VolumeMountStatus(Struct):
    """How a volume is mounted in a container."""

    name: str = ""
    mount_path: str = ""
    read_only: bool = omit_empty(False)
    recursive_read_only: str | None = declared(go="v1.RecursiveReadOnlyMode")
    volume_status: VolumeStatus | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class LinuxContainerUser(Struct):
    """The user that the first process of a container began as."""

    uid: int = 0
    gid: int = 0
    supplemental_groups: tuple[int, ...] = ()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ContainerUser(Struct):
    """The user that a container began as."""

    linux: LinuxContainerUser | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ResourceHealth(Struct):
    """Whether one device of a container is healthy."""

    resource_id: str = declared("", go="v1.ResourceID")
    health: str = omit_empty(go="v1.ResourceHealthStatus")
    message: str | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ResourceStatus(Struct):
    """The health of a container's devices of one kind."""

    name: str = declared("", go="v1.ResourceName")
    resources: tuple[ResourceHealth, ...] = list_map("resourceID", merge_key="")


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ContainerStatus(Struct):
    """What a node reports of one container."""

    name: str = ""
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()
    ready: bool = False
    restart_count: int = int32(0)
    image: str = ""
    image_id: str = ""
    container_id: str = omit_empty()
    started: bool | None = None
    allocated_resources: Mapping[str, Quantity] = ABSENT_MAP
    resources: ResourceRequirements | None = None
    volume_mounts: tuple[VolumeMountStatus, ...] = list_map("mountPath")
    user: ContainerUser | None = None
    allocated_resources_status: tuple[ResourceStatus, ...] = list_map("name")
    stop_signal: str | None = declared(go="v1.Signal")
