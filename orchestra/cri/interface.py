"""The contract of a container runtime: one async method for each call of CRI v1.

Requests and responses are the CRI's own protobuf messages (`orchestra._proto.cri.v1.api_pb2`), so that a runtime can
be served to a kubelet, and a client of containerd can stand in for a runtime, without a translation between. What a
call means is defined by the comments of the CRI (Kubernetes, k8s.io/cri-api); the docstrings here are summaries.

Every call that fails raises `RuntimeServiceError` with the gRPC status code that a runtime would answer: `NotFound`,
`InvalidArgument`, `FailedPrecondition`, `AlreadyExists`, `ResourceExhausted`, `DeadlineExceeded`, `Unavailable`,
`Unimplemented`, `Internal`. Its `reason` is the word that the kubelet shows for a container that did not come up
(`CreateContainerConfigError`, `CreateContainerError`, `RunContainerError`, `ErrImagePull`), where one fits.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from orchestra._proto.cri.v1 import api_pb2 as pb


@runtime_checkable
class Runtime(Protocol):
    """Something that runs containers in sandboxes.

    Use it as an async context manager: entering opens it (takes its root, finds what still runs), leaving closes it.
    Closing does not end containers. All methods may be called concurrently, from the task that entered or others.
    """

    async def __aenter__(self) -> Self:
        """Open the runtime; raises `ConfigurationError` when another process owns its root."""
        ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the runtime and leave its containers as they are."""
        ...

    # ---- RuntimeService

    async def version(self, request: pb.VersionRequest) -> pb.VersionResponse:
        """Say which runtime this is and which version of the CRI it speaks."""
        ...

    async def run_pod_sandbox(self, request: pb.RunPodSandboxRequest) -> pb.RunPodSandboxResponse:
        """Create a sandbox; it is ready, and has its address, when this returns."""
        ...

    async def stop_pod_sandbox(self, request: pb.StopPodSandboxRequest) -> pb.StopPodSandboxResponse:
        """End everything in the sandbox and give back its address; a sandbox that is unknown is stopped."""
        ...

    async def remove_pod_sandbox(self, request: pb.RemovePodSandboxRequest) -> pb.RemovePodSandboxResponse:
        """Forget the sandbox and its containers, killing what still runs; idempotent."""
        ...

    async def pod_sandbox_status(self, request: pb.PodSandboxStatusRequest) -> pb.PodSandboxStatusResponse:
        """Return the status of one sandbox; `NotFound` when there is none."""
        ...

    async def list_pod_sandbox(self, request: pb.ListPodSandboxRequest) -> pb.ListPodSandboxResponse:
        """Return the sandboxes that match every given field of the filter."""
        ...

    def stream_pod_sandboxes(
        self, request: pb.StreamPodSandboxesRequest
    ) -> AsyncIterator[pb.StreamPodSandboxesResponse]:
        """Yield what `list_pod_sandbox` returns, in several messages."""
        ...

    async def create_container(self, request: pb.CreateContainerRequest) -> pb.CreateContainerResponse:
        """Prepare a container without starting it; what can never start is refused here."""
        ...

    async def start_container(self, request: pb.StartContainerRequest) -> pb.StartContainerResponse:
        """Start a created container; its process runs when this returns."""
        ...

    async def stop_container(self, request: pb.StopContainerRequest) -> pb.StopContainerResponse:
        """Ask the container to end, kill it after `timeout` seconds, return when it has ended; idempotent."""
        ...

    async def remove_container(self, request: pb.RemoveContainerRequest) -> pb.RemoveContainerResponse:
        """Forget a container, killing it when it still runs; idempotent."""
        ...

    async def list_containers(self, request: pb.ListContainersRequest) -> pb.ListContainersResponse:
        """Return the containers that match every given field of the filter."""
        ...

    def stream_containers(self, request: pb.StreamContainersRequest) -> AsyncIterator[pb.StreamContainersResponse]:
        """Yield what `list_containers` returns, in several messages."""
        ...

    async def container_status(self, request: pb.ContainerStatusRequest) -> pb.ContainerStatusResponse:
        """Return the status of one container; `NotFound` when there is none."""
        ...

    async def update_container_resources(
        self, request: pb.UpdateContainerResourcesRequest
    ) -> pb.UpdateContainerResourcesResponse:
        """Change limits of a container: all of them or none."""
        ...

    async def reopen_container_log(self, request: pb.ReopenContainerLogRequest) -> pb.ReopenContainerLogResponse:
        """Write to a new file at the container's log path; the old one was renamed."""
        ...

    async def exec_sync(self, request: pb.ExecSyncRequest) -> pb.ExecSyncResponse:
        """Run a command in a running container; return its output and exit code."""
        ...

    async def exec(self, request: pb.ExecRequest) -> pb.ExecResponse:
        """Return an endpoint where a command runs with live input and output."""
        ...

    async def attach(self, request: pb.AttachRequest) -> pb.AttachResponse:
        """Return an endpoint of the container's own input and output."""
        ...

    async def port_forward(self, request: pb.PortForwardRequest) -> pb.PortForwardResponse:
        """Return an endpoint of connections into the sandbox."""
        ...

    async def container_stats(self, request: pb.ContainerStatsRequest) -> pb.ContainerStatsResponse:
        """Return what one container uses."""
        ...

    async def list_container_stats(self, request: pb.ListContainerStatsRequest) -> pb.ListContainerStatsResponse:
        """Return what the matching running containers use."""
        ...

    def stream_container_stats(
        self, request: pb.StreamContainerStatsRequest
    ) -> AsyncIterator[pb.StreamContainerStatsResponse]:
        """Yield what `list_container_stats` returns, in several messages."""
        ...

    async def pod_sandbox_stats(self, request: pb.PodSandboxStatsRequest) -> pb.PodSandboxStatsResponse:
        """Return what one sandbox uses."""
        ...

    async def list_pod_sandbox_stats(self, request: pb.ListPodSandboxStatsRequest) -> pb.ListPodSandboxStatsResponse:
        """Return what the matching sandboxes use."""
        ...

    def stream_pod_sandbox_stats(
        self, request: pb.StreamPodSandboxStatsRequest
    ) -> AsyncIterator[pb.StreamPodSandboxStatsResponse]:
        """Yield what `list_pod_sandbox_stats` returns, in several messages."""
        ...

    async def update_runtime_config(self, request: pb.UpdateRuntimeConfigRequest) -> pb.UpdateRuntimeConfigResponse:
        """Take the block of addresses (`pod_cidr`) that sandboxes get theirs from."""
        ...

    async def status(self, request: pb.StatusRequest) -> pb.StatusResponse:
        """Say whether containers can run (RuntimeReady) and sandboxes get addresses (NetworkReady)."""
        ...

    async def checkpoint_container(self, request: pb.CheckpointContainerRequest) -> pb.CheckpointContainerResponse:
        """Write the state of a running container to a file."""
        ...

    async def checkpoint_pod(self, request: pb.CheckpointPodRequest) -> pb.CheckpointPodResponse:
        """Write the state of a running sandbox to a file."""
        ...

    async def restore_pod(self, request: pb.RestorePodRequest) -> pb.RestorePodResponse:
        """Make a sandbox from a checkpoint."""
        ...

    def get_container_events(self, request: pb.GetEventsRequest) -> AsyncIterator[pb.ContainerEventResponse]:
        """Yield what happens to containers from this call on, before the iteration starts.

        The buffer is bounded: a reader that falls behind gets `ResourceExhausted` and must list again.
        """
        ...

    async def list_metric_descriptors(
        self, request: pb.ListMetricDescriptorsRequest
    ) -> pb.ListMetricDescriptorsResponse:
        """Return which metrics `list_pod_sandbox_metrics` reports."""
        ...

    async def list_pod_sandbox_metrics(
        self, request: pb.ListPodSandboxMetricsRequest
    ) -> pb.ListPodSandboxMetricsResponse:
        """Return the metrics of every sandbox."""
        ...

    def stream_pod_sandbox_metrics(
        self, request: pb.StreamPodSandboxMetricsRequest
    ) -> AsyncIterator[pb.StreamPodSandboxMetricsResponse]:
        """Yield what `list_pod_sandbox_metrics` returns, in several messages."""
        ...

    async def runtime_config(self, request: pb.RuntimeConfigRequest) -> pb.RuntimeConfigResponse:
        """Return what the runtime wants its caller to match."""
        ...

    async def update_pod_sandbox_resources(
        self, request: pb.UpdatePodSandboxResourcesRequest
    ) -> pb.UpdatePodSandboxResourcesResponse:
        """Take the changed resources of a sandbox's Pod; best effort."""
        ...

    # ---- ImageService

    async def list_images(self, request: pb.ListImagesRequest) -> pb.ListImagesResponse:
        """Return the images that match the filter."""
        ...

    def stream_images(self, request: pb.StreamImagesRequest) -> AsyncIterator[pb.StreamImagesResponse]:
        """Yield what `list_images` returns, in several messages."""
        ...

    async def image_status(self, request: pb.ImageStatusRequest) -> pb.ImageStatusResponse:
        """Return an image by reference or id; without `image` when there is none."""
        ...

    async def pull_image(self, request: pb.PullImageRequest) -> pb.PullImageResponse:
        """Bring an image onto the node; return what its reference resolved to."""
        ...

    async def remove_image(self, request: pb.RemoveImageRequest) -> pb.RemoveImageResponse:
        """Forget an image and all of its names; idempotent."""
        ...

    async def image_fs_info(self, request: pb.ImageFsInfoRequest) -> pb.ImageFsInfoResponse:
        """Return how full the file systems of images are."""
        ...


@runtime_checkable
class Probing(Protocol):
    """An optional power: the runtime answers probes for its containers itself.

    For runtimes whose containers have no network that a prober could reach. It stands for the HTTP, TCP and gRPC
    actions; commands still go through `exec_sync`.
    """

    async def probe(self, container_id: str, kind: str) -> str:
        """Return why a probe (`startup`, `liveness` or `readiness`) failed, or an empty text when it succeeded.

        Lifecycle hooks that send a request (`postStart`, `preStop`) are asked for in the same way.

        Raises `RuntimeServiceError` when the container does not run.
        """
        ...
