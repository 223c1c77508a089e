"""The calls that every runtime with a `Book` answers alike: look-ups, lists, images, events, configuration."""

from __future__ import annotations

from datetime import UTC, datetime

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra._version import __version__
from orchestra.clock import Clock
from orchestra.cri.book import Book, Container, fill_container_status, fill_sandbox_status, list_item, sandbox_item
from orchestra.cri.events import EventHub, EventStream
from orchestra.cri.images import ImageRecord
from orchestra.cri.unimplemented import UnimplementedRuntime

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CRI_VERSION = "v1"
KUBELET_API_VERSION = "0.1.0"
"""The version of the kubelet's runtime API, which the CRI fixes at this."""


class RecordingRuntime(UnimplementedRuntime):
    """Base of the runtimes that keep their records in a `Book`.

    Subclasses set `runtime_name`, create and end things, and override the `keep_*` hooks to save what must last.
    """

    runtime_name = "orchestra"
    runtime_version = __version__
    images_have_commands = False

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._book = Book(images_have_commands=self.images_have_commands)
        self._hub = EventHub()

    # ---- for subclasses

    def now_ns(self) -> int:
        """Return the clock's wall time in nanoseconds since 1970."""
        passed = self._clock.now() - _EPOCH
        return ((passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds) * 1000

    def new_id(self) -> str:
        """Return an id that no sandbox or container here has: 64 hexadecimal digits."""
        while True:
            candidate = f"{self._clock.random.getrandbits(256):064x}"
            if candidate not in self._book.containers and candidate not in self._book.sandboxes:
                return candidate

    def announce(self, container: Container, kind: pb.ContainerEventType.ValueType) -> None:
        """Publish an event about a container, with the state of its sandbox."""
        if not self._hub:
            return
        event = pb.ContainerEventResponse(
            container_id=container.id, container_event_type=kind, created_at=self.now_ns()
        )
        fill_sandbox_status(event.pod_sandbox_status, container.sandbox)
        for other in container.sandbox.containers.values():
            fill_container_status(event.containers_statuses.add(), other)
        self._hub.publish(event)

    async def keep_images(self) -> None:
        """Save the table of images."""

    async def keep_configuration(self) -> None:
        """Save the runtime's configuration."""

    # ---- RuntimeService

    async def version(self, request: pb.VersionRequest) -> pb.VersionResponse:
        """Say which runtime this is and which version of the CRI it speaks."""
        return pb.VersionResponse(
            version=KUBELET_API_VERSION,
            runtime_name=self.runtime_name,
            runtime_version=self.runtime_version,
            runtime_api_version=CRI_VERSION,
        )

    async def status(self, request: pb.StatusRequest) -> pb.StatusResponse:
        """Say that containers can run and sandboxes get addresses."""
        conditions = [pb.RuntimeCondition(type=word, status=True) for word in ("RuntimeReady", "NetworkReady")]
        return pb.StatusResponse(
            status=pb.RuntimeStatus(conditions=conditions), info=self.facts() if request.verbose else {}
        )

    def facts(self) -> dict[str, str]:
        """Return what a verbose status tells people."""
        book = self._book
        return {
            "podCIDR": book.addresses.cidr,
            "sandboxes": str(len(book.sandboxes)),
            "containers": str(len(book.containers)),
        }

    async def runtime_config(self, request: pb.RuntimeConfigRequest) -> pb.RuntimeConfigResponse:
        """Return the cgroup driver; these runtimes use no cgroups, so it is the plain one."""
        return pb.RuntimeConfigResponse(linux=pb.LinuxRuntimeConfiguration(cgroup_driver=pb.CGROUPFS))

    async def update_runtime_config(self, request: pb.UpdateRuntimeConfigRequest) -> pb.UpdateRuntimeConfigResponse:
        """Take the block of addresses that later sandboxes get theirs from."""
        self._book.addresses.configure(request.runtime_config.network_config.pod_cidr)
        await self.keep_configuration()
        return pb.UpdateRuntimeConfigResponse()

    async def pod_sandbox_status(self, request: pb.PodSandboxStatusRequest) -> pb.PodSandboxStatusResponse:
        """Return the status of one sandbox, with those of its containers."""
        sandbox = self._book.sandbox(request.pod_sandbox_id)
        response = pb.PodSandboxStatusResponse(timestamp=self.now_ns())
        fill_sandbox_status(response.status, sandbox)
        for container in sandbox.containers.values():
            fill_container_status(response.containers_statuses.add(), container)
        return response

    async def list_pod_sandbox(self, request: pb.ListPodSandboxRequest) -> pb.ListPodSandboxResponse:
        """Return the sandboxes that match every given field of the filter."""
        found = self._book.matching_sandboxes(request.filter)
        return pb.ListPodSandboxResponse(items=[sandbox_item(sandbox) for sandbox in found])

    async def container_status(self, request: pb.ContainerStatusRequest) -> pb.ContainerStatusResponse:
        """Return the status of one container."""
        container = self._book.container(request.container_id)
        response = pb.ContainerStatusResponse(info=self.container_facts(container) if request.verbose else None)
        fill_container_status(response.status, container)
        return response

    def container_facts(self, container: Container) -> dict[str, str]:
        """Return what a verbose container status tells people."""
        return {}

    async def list_containers(self, request: pb.ListContainersRequest) -> pb.ListContainersResponse:
        """Return the containers that match every given field of the filter."""
        found = self._book.matching_containers(request.filter)
        return pb.ListContainersResponse(containers=[list_item(container) for container in found])

    async def update_container_resources(
        self, request: pb.UpdateContainerResourcesRequest
    ) -> pb.UpdateContainerResourcesResponse:
        """Record the limits; nothing enforces them here."""
        container = self._book.container(request.container_id)
        container.resources = request.linux
        return pb.UpdateContainerResourcesResponse()

    async def update_pod_sandbox_resources(
        self, request: pb.UpdatePodSandboxResourcesRequest
    ) -> pb.UpdatePodSandboxResourcesResponse:
        """Accept the resources of a sandbox; nothing enforces them here."""
        self._book.sandbox(request.pod_sandbox_id)
        return pb.UpdatePodSandboxResourcesResponse()

    def get_container_events(self, request: pb.GetEventsRequest) -> EventStream:
        """Return the events from this call on."""
        return self._hub.subscribe()

    # ---- ImageService

    async def list_images(self, request: pb.ListImagesRequest) -> pb.ListImagesResponse:
        """Return the images, or the one that the filter names."""
        wanted = request.filter.image.image
        found: list[ImageRecord | None] = [*self._book.images.all()] if not wanted else [self._book.images.find(wanted)]
        return pb.ListImagesResponse(images=[image.to_message() for image in found if image is not None])

    async def image_status(self, request: pb.ImageStatusRequest) -> pb.ImageStatusResponse:
        """Return an image by reference or id; without `image` when there is none."""
        image = self._book.images.find(request.image.image)
        return pb.ImageStatusResponse(image=None if image is None else image.to_message())

    async def pull_image(self, request: pb.PullImageRequest) -> pb.PullImageResponse:
        """Record the reference; nothing is downloaded."""
        image = self._book.images.pull(request.image.image)
        await self.keep_images()
        return pb.PullImageResponse(image_ref=image.id)

    async def remove_image(self, request: pb.RemoveImageRequest) -> pb.RemoveImageResponse:
        """Forget an image and all of its names."""
        if self._book.images.remove(request.image.image):
            await self.keep_images()
        return pb.RemoveImageResponse()

    async def image_fs_info(self, request: pb.ImageFsInfoRequest) -> pb.ImageFsInfoResponse:
        """Return an empty file system: no image takes space."""
        empty = pb.FilesystemUsage(
            timestamp=self.now_ns(),
            fs_id=pb.FilesystemIdentifier(mountpoint="/"),
            used_bytes=pb.UInt64Value(value=0),
            inodes_used=pb.UInt64Value(value=0),
        )
        return pb.ImageFsInfoResponse(image_filesystems=[empty], container_filesystems=[empty])
