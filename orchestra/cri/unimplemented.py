"""A runtime that refuses every call: the base for runtimes that implement some."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.errors import RuntimeServiceError

STREAM_ITEMS = 500
"""Most items that one message of a streaming list carries."""


def unimplemented(method: str) -> RuntimeServiceError:
    """Return the error of a CRI method that this runtime does not have."""
    return RuntimeServiceError(f"unknown method {method}: not implemented by this runtime", code="Unimplemented")


class UnimplementedRuntime:
    """Answers every call with `RuntimeServiceError` of code `Unimplemented`.

    Override what your runtime can do. The streaming lists already work on top of the plain ones.
    """

    async def __aenter__(self) -> Self:
        """Open nothing."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close nothing."""

    async def version(self, request: pb.VersionRequest) -> pb.VersionResponse:
        """Refuse."""
        raise unimplemented("Version")

    async def run_pod_sandbox(self, request: pb.RunPodSandboxRequest) -> pb.RunPodSandboxResponse:
        """Refuse."""
        raise unimplemented("RunPodSandbox")

    async def stop_pod_sandbox(self, request: pb.StopPodSandboxRequest) -> pb.StopPodSandboxResponse:
        """Refuse."""
        raise unimplemented("StopPodSandbox")

    async def remove_pod_sandbox(self, request: pb.RemovePodSandboxRequest) -> pb.RemovePodSandboxResponse:
        """Refuse."""
        raise unimplemented("RemovePodSandbox")

    async def pod_sandbox_status(self, request: pb.PodSandboxStatusRequest) -> pb.PodSandboxStatusResponse:
        """Refuse."""
        raise unimplemented("PodSandboxStatus")

    async def list_pod_sandbox(self, request: pb.ListPodSandboxRequest) -> pb.ListPodSandboxResponse:
        """Refuse."""
        raise unimplemented("ListPodSandbox")

    async def stream_pod_sandboxes(
        self, request: pb.StreamPodSandboxesRequest
    ) -> AsyncIterator[pb.StreamPodSandboxesResponse]:
        """Yield what `list_pod_sandbox` returns, in several messages."""
        listed = await self.list_pod_sandbox(pb.ListPodSandboxRequest(filter=request.filter))
        for start in range(0, len(listed.items), STREAM_ITEMS):
            yield pb.StreamPodSandboxesResponse(pod_sandboxes=listed.items[start : start + STREAM_ITEMS])

    async def create_container(self, request: pb.CreateContainerRequest) -> pb.CreateContainerResponse:
        """Refuse."""
        raise unimplemented("CreateContainer")

    async def start_container(self, request: pb.StartContainerRequest) -> pb.StartContainerResponse:
        """Refuse."""
        raise unimplemented("StartContainer")

    async def stop_container(self, request: pb.StopContainerRequest) -> pb.StopContainerResponse:
        """Refuse."""
        raise unimplemented("StopContainer")

    async def remove_container(self, request: pb.RemoveContainerRequest) -> pb.RemoveContainerResponse:
        """Refuse."""
        raise unimplemented("RemoveContainer")

    async def list_containers(self, request: pb.ListContainersRequest) -> pb.ListContainersResponse:
        """Refuse."""
        raise unimplemented("ListContainers")

    async def stream_containers(
        self, request: pb.StreamContainersRequest
    ) -> AsyncIterator[pb.StreamContainersResponse]:
        """Yield what `list_containers` returns, in several messages."""
        listed = await self.list_containers(pb.ListContainersRequest(filter=request.filter))
        for start in range(0, len(listed.containers), STREAM_ITEMS):
            yield pb.StreamContainersResponse(containers=listed.containers[start : start + STREAM_ITEMS])

    async def container_status(self, request: pb.ContainerStatusRequest) -> pb.ContainerStatusResponse:
        """Refuse."""
        raise unimplemented("ContainerStatus")

    async def update_container_resources(
        self, request: pb.UpdateContainerResourcesRequest
    ) -> pb.UpdateContainerResourcesResponse:
        """Refuse."""
        raise unimplemented("UpdateContainerResources")

    async def reopen_container_log(self, request: pb.ReopenContainerLogRequest) -> pb.ReopenContainerLogResponse:
        """Refuse."""
        raise unimplemented("ReopenContainerLog")

    async def exec_sync(self, request: pb.ExecSyncRequest) -> pb.ExecSyncResponse:
        """Refuse."""
        raise unimplemented("ExecSync")

    async def exec(self, request: pb.ExecRequest) -> pb.ExecResponse:
        """Refuse."""
        raise unimplemented("Exec")

    async def attach(self, request: pb.AttachRequest) -> pb.AttachResponse:
        """Refuse."""
        raise unimplemented("Attach")

    async def port_forward(self, request: pb.PortForwardRequest) -> pb.PortForwardResponse:
        """Refuse."""
        raise unimplemented("PortForward")

    async def container_stats(self, request: pb.ContainerStatsRequest) -> pb.ContainerStatsResponse:
        """Refuse."""
        raise unimplemented("ContainerStats")

    async def list_container_stats(self, request: pb.ListContainerStatsRequest) -> pb.ListContainerStatsResponse:
        """Refuse."""
        raise unimplemented("ListContainerStats")

    async def stream_container_stats(
        self, request: pb.StreamContainerStatsRequest
    ) -> AsyncIterator[pb.StreamContainerStatsResponse]:
        """Yield what `list_container_stats` returns, in several messages."""
        listed = await self.list_container_stats(pb.ListContainerStatsRequest(filter=request.filter))
        for start in range(0, len(listed.stats), STREAM_ITEMS):
            yield pb.StreamContainerStatsResponse(container_stats=listed.stats[start : start + STREAM_ITEMS])

    async def pod_sandbox_stats(self, request: pb.PodSandboxStatsRequest) -> pb.PodSandboxStatsResponse:
        """Refuse."""
        raise unimplemented("PodSandboxStats")

    async def list_pod_sandbox_stats(self, request: pb.ListPodSandboxStatsRequest) -> pb.ListPodSandboxStatsResponse:
        """Refuse."""
        raise unimplemented("ListPodSandboxStats")

    async def stream_pod_sandbox_stats(
        self, request: pb.StreamPodSandboxStatsRequest
    ) -> AsyncIterator[pb.StreamPodSandboxStatsResponse]:
        """Yield what `list_pod_sandbox_stats` returns, in several messages."""
        listed = await self.list_pod_sandbox_stats(pb.ListPodSandboxStatsRequest(filter=request.filter))
        for start in range(0, len(listed.stats), STREAM_ITEMS):
            yield pb.StreamPodSandboxStatsResponse(pod_sandbox_stats=listed.stats[start : start + STREAM_ITEMS])

    async def update_runtime_config(self, request: pb.UpdateRuntimeConfigRequest) -> pb.UpdateRuntimeConfigResponse:
        """Refuse."""
        raise unimplemented("UpdateRuntimeConfig")

    async def status(self, request: pb.StatusRequest) -> pb.StatusResponse:
        """Refuse."""
        raise unimplemented("Status")

    async def checkpoint_container(self, request: pb.CheckpointContainerRequest) -> pb.CheckpointContainerResponse:
        """Refuse."""
        raise unimplemented("CheckpointContainer")

    async def checkpoint_pod(self, request: pb.CheckpointPodRequest) -> pb.CheckpointPodResponse:
        """Refuse."""
        raise unimplemented("CheckpointPod")

    async def restore_pod(self, request: pb.RestorePodRequest) -> pb.RestorePodResponse:
        """Refuse."""
        raise unimplemented("RestorePod")

    def get_container_events(self, request: pb.GetEventsRequest) -> AsyncIterator[pb.ContainerEventResponse]:
        """Refuse."""
        raise unimplemented("GetContainerEvents")

    async def list_metric_descriptors(
        self, request: pb.ListMetricDescriptorsRequest
    ) -> pb.ListMetricDescriptorsResponse:
        """Refuse."""
        raise unimplemented("ListMetricDescriptors")

    async def list_pod_sandbox_metrics(
        self, request: pb.ListPodSandboxMetricsRequest
    ) -> pb.ListPodSandboxMetricsResponse:
        """Refuse."""
        raise unimplemented("ListPodSandboxMetrics")

    async def stream_pod_sandbox_metrics(
        self, request: pb.StreamPodSandboxMetricsRequest
    ) -> AsyncIterator[pb.StreamPodSandboxMetricsResponse]:
        """Yield what `list_pod_sandbox_metrics` returns, in several messages."""
        listed = await self.list_pod_sandbox_metrics(pb.ListPodSandboxMetricsRequest())
        for start in range(0, len(listed.pod_metrics), STREAM_ITEMS):
            yield pb.StreamPodSandboxMetricsResponse(
                pod_sandbox_metrics=listed.pod_metrics[start : start + STREAM_ITEMS]
            )

    async def runtime_config(self, request: pb.RuntimeConfigRequest) -> pb.RuntimeConfigResponse:
        """Refuse."""
        raise unimplemented("RuntimeConfig")

    async def update_pod_sandbox_resources(
        self, request: pb.UpdatePodSandboxResourcesRequest
    ) -> pb.UpdatePodSandboxResourcesResponse:
        """Refuse."""
        raise unimplemented("UpdatePodSandboxResources")

    async def list_images(self, request: pb.ListImagesRequest) -> pb.ListImagesResponse:
        """Refuse."""
        raise unimplemented("ListImages")

    async def stream_images(self, request: pb.StreamImagesRequest) -> AsyncIterator[pb.StreamImagesResponse]:
        """Yield what `list_images` returns, in several messages."""
        listed = await self.list_images(pb.ListImagesRequest(filter=request.filter))
        for start in range(0, len(listed.images), STREAM_ITEMS):
            yield pb.StreamImagesResponse(images=listed.images[start : start + STREAM_ITEMS])

    async def image_status(self, request: pb.ImageStatusRequest) -> pb.ImageStatusResponse:
        """Refuse."""
        raise unimplemented("ImageStatus")

    async def pull_image(self, request: pb.PullImageRequest) -> pb.PullImageResponse:
        """Refuse."""
        raise unimplemented("PullImage")

    async def remove_image(self, request: pb.RemoveImageRequest) -> pb.RemoveImageResponse:
        """Refuse."""
        raise unimplemented("RemoveImage")

    async def image_fs_info(self, request: pb.ImageFsInfoRequest) -> pb.ImageFsInfoResponse:
        """Refuse."""
        raise unimplemented("ImageFsInfo")
