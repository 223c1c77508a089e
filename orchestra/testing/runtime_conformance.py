"""Proof that a runtime keeps its contract: one check per sentence of `orchestra.cri.interface`, to run on your own.

Each check is a plain async function that takes a function which makes the runtime. Called again it must make a runtime
on the same sandboxes and containers, entered after the one before was left; a check begins without any. The
containers run `sleep`, `sh` and a program that does not exist; a runtime that runs nothing plays what `COMMANDS` says.
With pytest, derive:

    class TestMyRuntime(RuntimeConformance):
        @pytest.fixture
        def open_runtime(self, tmp_path):
            return lambda: MyRuntime(tmp_path)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import anyio
import pytest

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.cri import Runtime, remove_all
from orchestra.errors import RuntimeServiceError

__all__ = ["COMMANDS", "RUNTIME_CHECKS", "Check", "RuntimeConformance", "RuntimeFactory"]

RuntimeFactory: TypeAlias = Callable[[], Runtime]
Check: TypeAlias = Callable[[RuntimeFactory], Awaitable[None]]

IMAGE: Final = "example.test/conformance/image:1"
RUN_FOR_EVER: Final = ("/bin/sleep", "600")
END_WELL: Final = ("/bin/sh", "-c", "exit 0")
END_BADLY: Final = ("/bin/sh", "-c", "exit 3")
MISSING: Final = ("/no/such/program",)
EXEC: Final = ("/bin/sh", "-c", "echo out; echo err >&2; exit 4")
COMMANDS: Final = {
    RUN_FOR_EVER: "runs until it is stopped; SIGTERM ends it",
    END_WELL: "ends with exit code 0",
    END_BADLY: "ends with exit code 3",
    MISSING: "cannot be started",
    EXEC: "run by exec_sync: writes `out` and `err`, exit code 4",
}
"""What the containers and commands of the checks do."""
PATIENCE_SECONDS: Final = 30.0
"""How long a check waits for something that must happen."""


def sandbox_config(name: str, *, attempt: int = 0, labels: dict[str, str] | None = None) -> pb.PodSandboxConfig:
    """Return the configuration of a sandbox in namespace `default`."""
    metadata = pb.PodSandboxMetadata(name=name, namespace="default", uid=f"uid-{name}", attempt=attempt)
    return pb.PodSandboxConfig(metadata=metadata, labels=labels)


def container_config(name: str, command: tuple[str, ...], labels: dict[str, str] | None = None) -> pb.ContainerConfig:
    """Return the configuration of a container."""
    metadata = pb.ContainerMetadata(name=name)
    return pb.ContainerConfig(metadata=metadata, image=pb.ImageSpec(image=IMAGE), command=command, labels=labels)


async def run_sandbox(runtime: Runtime, name: str = "a", labels: dict[str, str] | None = None) -> str:
    """Run a sandbox, with the image of the checks pulled; return its id."""
    await runtime.pull_image(pb.PullImageRequest(image=pb.ImageSpec(image=IMAGE)))
    config = sandbox_config(name, labels=labels)
    return (await runtime.run_pod_sandbox(pb.RunPodSandboxRequest(config=config))).pod_sandbox_id


async def create(runtime: Runtime, sandbox_id: str, config: pb.ContainerConfig) -> str:
    """Create a container; return its id."""
    response = await runtime.create_container(pb.CreateContainerRequest(pod_sandbox_id=sandbox_id, config=config))
    return response.container_id


async def run(runtime: Runtime, sandbox_id: str, name: str, command: tuple[str, ...] = RUN_FOR_EVER) -> str:
    """Create and start a container; return its id."""
    container_id = await create(runtime, sandbox_id, container_config(name, command))
    await runtime.start_container(pb.StartContainerRequest(container_id=container_id))
    return container_id


async def status_of(runtime: Runtime, container_id: str) -> pb.ContainerStatus:
    """Return a container's status."""
    return (await runtime.container_status(pb.ContainerStatusRequest(container_id=container_id))).status


async def ended(runtime: Runtime, container_id: str) -> pb.ContainerStatus:
    """Wait until a container has ended; return its status."""
    events = runtime.get_container_events(pb.GetEventsRequest())
    with anyio.fail_after(PATIENCE_SECONDS):
        while (status := await status_of(runtime, container_id)).state != pb.CONTAINER_EXITED:
            await anext(events)
    return status


async def sandbox_of(runtime: Runtime, sandbox_id: str) -> pb.PodSandboxStatus:
    """Return a sandbox's status."""
    return (await runtime.pod_sandbox_status(pb.PodSandboxStatusRequest(pod_sandbox_id=sandbox_id))).status


async def refused(call: Awaitable[object], code: str, reason: str = "") -> RuntimeServiceError:
    """Expect that a call raises `RuntimeServiceError` with this code (and reason); return the error."""
    with pytest.raises(RuntimeServiceError) as caught:
        await call
    assert caught.value.code == code, caught.value
    assert not reason or caught.value.reason == reason, caught.value
    return caught.value


async def it_is_ready_and_speaks_v1(open_runtime: RuntimeFactory) -> None:
    async with open_runtime() as runtime:
        assert isinstance(runtime, Runtime)
        version = await runtime.version(pb.VersionRequest())
        assert version.runtime_api_version == "v1"
        assert version.runtime_name
        conditions = (await runtime.status(pb.StatusRequest())).status.conditions
        assert {condition.type: condition.status for condition in conditions} == {
            "RuntimeReady": True,
            "NetworkReady": True,
        }


async def an_image_is_found_by_name_and_id_until_it_is_removed(open_runtime: RuntimeFactory) -> None:
    async with open_runtime() as runtime:
        named = pb.ImageSpec(image=IMAGE)
        assert not (await runtime.image_status(pb.ImageStatusRequest(image=named))).HasField("image")
        reference = (await runtime.pull_image(pb.PullImageRequest(image=named))).image_ref
        for name in (IMAGE, reference):
            found = await runtime.image_status(pb.ImageStatusRequest(image=pb.ImageSpec(image=name)))
            assert list(found.image.repo_tags) == [IMAGE]
        assert [image.id for image in (await runtime.list_images(pb.ListImagesRequest())).images] == [found.image.id]
        for _ in range(2):
            await runtime.remove_image(pb.RemoveImageRequest(image=named))
        assert not (await runtime.list_images(pb.ListImagesRequest())).images


async def a_sandbox_is_ready_with_an_address_of_the_block(open_runtime: RuntimeFactory) -> None:
    async with open_runtime() as runtime:
        network = pb.NetworkConfig(pod_cidr="127.77.5.0/29")
        config = pb.UpdateRuntimeConfigRequest(runtime_config=pb.RuntimeConfig(network_config=network))
        await runtime.update_runtime_config(config)
        ids = [await run_sandbox(runtime, f"p{number}") for number in range(6)]
        addresses = {(await sandbox_of(runtime, sandbox_id)).network.ip for sandbox_id in ids}
        assert addresses == {f"127.77.5.{number}" for number in range(1, 7)}
        await refused(run_sandbox(runtime, "one-too-many"), "ResourceExhausted")
        await runtime.stop_pod_sandbox(pb.StopPodSandboxRequest(pod_sandbox_id=ids[2]))
        stopped = await sandbox_of(runtime, ids[2])
        assert (stopped.state, stopped.network.ip) == (pb.SANDBOX_NOTREADY, "")
        again = await sandbox_of(runtime, await run_sandbox(runtime, "again"))
        assert (again.state, again.network.ip) == (pb.SANDBOX_READY, "127.77.5.3")


async def a_name_is_taken_once(open_runtime: RuntimeFactory) -> None:
    async with open_runtime() as runtime:
        sandbox_id = await run_sandbox(runtime)
        await refused(run_sandbox(runtime), "AlreadyExists")
        again = pb.RunPodSandboxRequest(config=sandbox_config("a", attempt=1))
        assert (await runtime.run_pod_sandbox(again)).pod_sandbox_id != sandbox_id
        await create(runtime, sandbox_id, container_config("c", RUN_FOR_EVER))
        await refused(create(runtime, sandbox_id, container_config("c", RUN_FOR_EVER)), "AlreadyExists")


async def ending_and_removing_twice_is_no_error(open_runtime: RuntimeFactory) -> None:
    async with open_runtime() as runtime:
        sandbox_id = await run_sandbox(runtime)
        container_id = await run(runtime, sandbox_id, "c")
        for _ in range(2):
            await runtime.stop_container(pb.StopContainerRequest(container_id=container_id, timeout=10))
        for _ in range(2):
            await runtime.remove_container(pb.RemoveContainerRequest(container_id=container_id))
        for _ in range(2):
            await runtime.stop_pod_sandbox(pb.StopPodSandboxRequest(pod_sandbox_id=sandbox_id))
        for _ in range(2):
            await runtime.remove_pod_sandbox(pb.RemovePodSandboxRequest(pod_sandbox_id=sandbox_id))
        await refused(status_of(runtime, container_id), "NotFound")
        await refused(sandbox_of(runtime, sandbox_id), "NotFound")


async def a_container_is_created_started_and_ends(open_runtime: RuntimeFactory) -> None:
    async with open_runtime() as runtime:
        sandbox_id = await run_sandbox(runtime)
        container_id = await create(runtime, sandbox_id, container_config("c", RUN_FOR_EVER))
        created = await status_of(runtime, container_id)
        assert (created.state, created.started_at, created.finished_at) == (pb.CONTAINER_CREATED, 0, 0)
        await runtime.start_container(pb.StartContainerRequest(container_id=container_id))
        running = await status_of(runtime, container_id)
        assert (running.state, running.finished_at) == (pb.CONTAINER_RUNNING, 0)
        await refused(
            runtime.start_container(pb.StartContainerRequest(container_id=container_id)), "FailedPrecondition"
        )
        await runtime.stop_container(pb.StopContainerRequest(container_id=container_id, timeout=10))
        status = await status_of(runtime, container_id)
        assert (status.state, status.exit_code, status.reason) == (pb.CONTAINER_EXITED, 143, "Error")
        assert 0 < status.created_at <= status.started_at <= status.finished_at
        assert status.image.image == IMAGE
        await refused(
            runtime.start_container(pb.StartContainerRequest(container_id=container_id)), "FailedPrecondition"
        )


async def an_exit_code_is_reported(open_runtime: RuntimeFactory) -> None:
    async with open_runtime() as runtime:
        sandbox_id = await run_sandbox(runtime)
        well = await ended(runtime, await run(runtime, sandbox_id, "well", END_WELL))
        badly = await ended(runtime, await run(runtime, sandbox_id, "badly", END_BADLY))
        assert (well.exit_code, well.reason) == (0, "Completed")
        assert (badly.exit_code, badly.reason) == (3, "Error")


async def a_timeout_of_zero_kills(open_runtime: RuntimeFactory) -> None:
    async with open_runtime() as runtime:
        container_id = await run(runtime, await run_sandbox(runtime), "c")
        await runtime.stop_container(pb.StopContainerRequest(container_id=container_id, timeout=0))
        assert (await status_of(runtime, container_id)).exit_code == 137


async def what_cannot_start_says_why(open_runtime: RuntimeFactory) -> None:
    async with open_runtime() as runtime:
        sandbox_id = await run_sandbox(runtime)
        container_id = await create(runtime, sandbox_id, container_config("c", MISSING))
        start = runtime.start_container(pb.StartContainerRequest(container_id=container_id))
        error = await refused(start, "Unknown", "RunContainerError")
        assert MISSING[0] in error.message
        status = await status_of(runtime, container_id)
        assert (status.state, status.exit_code, status.reason) == (pb.CONTAINER_EXITED, 128, "StartError")
        assert status.message == error.message


async def what_makes_no_sense_is_refused(open_runtime: RuntimeFactory) -> None:
    async with open_runtime() as runtime:
        sandbox_id = await run_sandbox(runtime)
        await refused(create(runtime, "nowhere", container_config("c", RUN_FOR_EVER)), "NotFound")
        await refused(create(runtime, sandbox_id, pb.ContainerConfig()), "InvalidArgument")
        unknown = container_config("c", RUN_FOR_EVER)
        unknown.image.image = "example.test/never/pulled"
        await refused(create(runtime, sandbox_id, unknown), "NotFound", "CreateContainerError")
        for name in ("../c", "a/b", "x" * 300, "nul\0"):
            await refused(create(runtime, sandbox_id, container_config(name, RUN_FOR_EVER)), "InvalidArgument")
        await refused(runtime.run_pod_sandbox(pb.RunPodSandboxRequest()), "InvalidArgument")
        wrong = pb.RuntimeConfig(network_config=pb.NetworkConfig(pod_cidr="300.1.2.3/24"))
        await refused(
            runtime.update_runtime_config(pb.UpdateRuntimeConfigRequest(runtime_config=wrong)), "InvalidArgument"
        )
        await refused(
            runtime.pull_image(pb.PullImageRequest(image=pb.ImageSpec(image="Bad UPPER::1"))), "InvalidArgument"
        )
        assert not (await runtime.list_containers(pb.ListContainersRequest())).containers


async def lists_follow_every_field_of_a_filter(open_runtime: RuntimeFactory) -> None:
    async with open_runtime() as runtime:
        one = await run_sandbox(runtime, "one", {"app": "x", "tier": "web"})
        two = await run_sandbox(runtime, "two", {"app": "x"})
        await runtime.stop_pod_sandbox(pb.StopPodSandboxRequest(pod_sandbox_id=one))
        ready = pb.PodSandboxStateValue(state=pb.SANDBOX_READY)
        for wanted, expected in (
            (pb.PodSandboxFilter(), [one, two]),
            (pb.PodSandboxFilter(id=one), [one]),
            (pb.PodSandboxFilter(state=ready), [two]),
            (pb.PodSandboxFilter(label_selector={"app": "x"}), [one, two]),
            (pb.PodSandboxFilter(label_selector={"app": "x", "tier": "web"}), [one]),
            (pb.PodSandboxFilter(id=one, state=ready), []),
        ):
            found = await runtime.list_pod_sandbox(pb.ListPodSandboxRequest(filter=wanted))
            assert [item.id for item in found.items] == expected, wanted
        running = await run(runtime, two, "running")
        created = await create(runtime, two, container_config("created", RUN_FOR_EVER, {"role": "spare"}))
        is_running = pb.ContainerStateValue(state=pb.CONTAINER_RUNNING)
        for wanted_containers, expected in (
            (pb.ContainerFilter(), [running, created]),
            (pb.ContainerFilter(state=is_running), [running]),
            (pb.ContainerFilter(pod_sandbox_id=one), []),
            (pb.ContainerFilter(pod_sandbox_id=two, label_selector={"role": "spare"}), [created]),
            (pb.ContainerFilter(id=created, pod_sandbox_id=one), []),
        ):
            listed = await runtime.list_containers(pb.ListContainersRequest(filter=wanted_containers))
            assert [item.id for item in listed.containers] == expected, wanted_containers
        parts = [part async for part in runtime.stream_containers(pb.StreamContainersRequest())]
        assert [item.id for part in parts for item in part.containers] == [running, created]


async def a_command_runs_in_a_running_container(open_runtime: RuntimeFactory) -> None:
    async with open_runtime() as runtime:
        container_id = await run(runtime, await run_sandbox(runtime), "c")
        request = pb.ExecSyncRequest(container_id=container_id, cmd=EXEC, timeout=10)
        answer = await runtime.exec_sync(request)
        assert (answer.stdout, answer.stderr, answer.exit_code) == (b"out\n", b"err\n", 4)
        await runtime.stop_container(pb.StopContainerRequest(container_id=container_id))
        error = await refused(runtime.exec_sync(request), "Unknown")
        assert "CONTAINER_EXITED" in error.message


async def events_tell_a_container_s_life_in_order(open_runtime: RuntimeFactory) -> None:
    async with open_runtime() as runtime:
        sandbox_id = await run_sandbox(runtime)
        events = runtime.get_container_events(pb.GetEventsRequest())
        container_id = await run(runtime, sandbox_id, "c", END_BADLY)
        await ended(runtime, container_id)
        await runtime.remove_container(pb.RemoveContainerRequest(container_id=container_id))
        seen: list[pb.ContainerEventResponse] = []
        with anyio.fail_after(PATIENCE_SECONDS):
            while not seen or seen[-1].container_event_type != pb.CONTAINER_DELETED_EVENT:
                seen.append(await anext(events))
        assert [event.container_event_type for event in seen] == [
            pb.CONTAINER_CREATED_EVENT,
            pb.CONTAINER_STARTED_EVENT,
            pb.CONTAINER_STOPPED_EVENT,
            pb.CONTAINER_DELETED_EVENT,
        ]
        assert {event.container_id for event in seen} == {container_id}
        assert {event.pod_sandbox_status.id for event in seen} == {sandbox_id}
        assert seen[2].containers_statuses[0].exit_code == 3


async def the_end_of_a_sandbox_is_the_end_of_its_containers(open_runtime: RuntimeFactory) -> None:
    async with open_runtime() as runtime:
        sandbox_id = await run_sandbox(runtime)
        ids = [await run(runtime, sandbox_id, name) for name in ("a", "b")]
        await runtime.stop_pod_sandbox(pb.StopPodSandboxRequest(pod_sandbox_id=sandbox_id))
        assert [(await status_of(runtime, one)).exit_code for one in ids] == [137, 137]
        await refused(create(runtime, sandbox_id, container_config("late", RUN_FOR_EVER)), "FailedPrecondition")
        await runtime.remove_pod_sandbox(pb.RemovePodSandboxRequest(pod_sandbox_id=sandbox_id))
        assert not (await runtime.list_containers(pb.ListContainersRequest())).containers


async def containers_outlive_the_runtime(open_runtime: RuntimeFactory) -> None:
    async with open_runtime() as runtime:
        sandbox_id = await run_sandbox(runtime, labels={"app": "x"})
        running = await run(runtime, sandbox_id, "running")
        done = await run(runtime, sandbox_id, "done", END_BADLY)
        before = [await ended(runtime, done), await status_of(runtime, running), await sandbox_of(runtime, sandbox_id)]
    async with open_runtime() as runtime:
        after = [
            await status_of(runtime, done),
            await status_of(runtime, running),
            await sandbox_of(runtime, sandbox_id),
        ]
        assert after == before
        await refused(run_sandbox(runtime), "AlreadyExists")
        await runtime.stop_container(pb.StopContainerRequest(container_id=running, timeout=10))
        assert (await status_of(runtime, running)).exit_code == 143


async def an_error_of_the_body_comes_out_as_it_is(open_runtime: RuntimeFactory) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - what the context does with it is the question
        async with open_runtime() as runtime:
            await run(runtime, await run_sandbox(runtime), "c")
            _ = 1 // 0


RUNTIME_CHECKS: Final[tuple[Check, ...]] = (
    it_is_ready_and_speaks_v1,
    an_image_is_found_by_name_and_id_until_it_is_removed,
    a_sandbox_is_ready_with_an_address_of_the_block,
    a_name_is_taken_once,
    ending_and_removing_twice_is_no_error,
    a_container_is_created_started_and_ends,
    an_exit_code_is_reported,
    a_timeout_of_zero_kills,
    what_cannot_start_says_why,
    what_makes_no_sense_is_refused,
    lists_follow_every_field_of_a_filter,
    a_command_runs_in_a_running_container,
    events_tell_a_container_s_life_in_order,
    the_end_of_a_sandbox_is_the_end_of_its_containers,
    containers_outlive_the_runtime,
    an_error_of_the_body_comes_out_as_it_is,
)


@pytest.mark.anyio
class RuntimeConformance:
    """The checks as pytest tests: derive and give it the fixture `open_runtime`; clean up after it if need be."""

    @pytest.fixture
    def open_runtime(self) -> RuntimeFactory:
        """Return the function that makes the runtime; see the module."""
        raise NotImplementedError("a class derived from RuntimeConformance gives the fixture open_runtime")

    @pytest.fixture
    def anyio_backend(self) -> str:
        """Runtimes run on asyncio."""
        return "asyncio"

    @pytest.mark.parametrize("check", RUNTIME_CHECKS, ids=lambda check: check.__name__)
    async def test_runtime(self, check: Check, open_runtime: RuntimeFactory) -> None:
        """Run one check, then remove every sandbox it left."""
        try:
            await check(open_runtime)
        finally:
            async with open_runtime() as runtime:
                await remove_all(runtime)
