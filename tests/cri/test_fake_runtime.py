from __future__ import annotations

import time

import anyio
import pytest

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.cri import ContainerScript, ExecResult, FakeRuntime, Probing, PullResult, Script
from orchestra.errors import RuntimeServiceError
from orchestra.testing import VirtualClock
from orchestra.testing.runtime_conformance import (
    IMAGE,
    container_config,
    create,
    ended,
    run,
    run_sandbox,
    sandbox_config,
    status_of,
)

pytestmark = pytest.mark.virtual_time


def playing(**life: object) -> FakeRuntime:
    script = ContainerScript(**life)  # type: ignore[arg-type]
    return FakeRuntime(clock=VirtualClock(), script=Script(container=lambda _sandbox, _container: script))


async def test_a_container_ends_after_its_time_on_the_clock() -> None:
    async with playing(run_seconds=3600, exit_code=5) as runtime:
        container_id = await run(runtime, await run_sandbox(runtime), "c")
        await anyio.sleep(3599)
        assert (await status_of(runtime, container_id)).state == pb.CONTAINER_RUNNING
        status = await ended_after(runtime, container_id, 2)
        assert (status.exit_code, status.reason) == (5, "Error")
        assert status.finished_at - status.started_at == 3_600_000_000_000


async def ended_after(runtime: FakeRuntime, container_id: str, seconds: float) -> pb.ContainerStatus:
    await anyio.sleep(seconds)
    status = await status_of(runtime, container_id)
    assert status.state == pb.CONTAINER_EXITED
    return status


async def test_a_start_takes_its_time_and_happens_once() -> None:
    async with playing(start_seconds=10) as runtime:
        container_id = await create(runtime, await run_sandbox(runtime), container_config("c", ("x",)))
        request = pb.StartContainerRequest(container_id=container_id)
        begin = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(runtime.start_container, request)
            await anyio.sleep(1)
            assert (await status_of(runtime, container_id)).state == pb.CONTAINER_CREATED
            with pytest.raises(RuntimeServiceError, match="is starting"):
                await runtime.start_container(request)
        assert anyio.current_time() - begin == 10


async def test_a_stop_waits_for_an_obedient_container_and_kills_a_slow_one() -> None:
    async with playing(stop_seconds=20, stop_exit_code=0) as runtime:
        sandbox_id = await run_sandbox(runtime)
        for timeout, code in ((30, 0), (5, 137), (0, 137)):
            container_id = await run(runtime, sandbox_id, f"c{timeout}")
            begin = anyio.current_time()
            await runtime.stop_container(pb.StopContainerRequest(container_id=container_id, timeout=timeout))
            assert anyio.current_time() - begin == min(timeout, 20)
            assert (await status_of(runtime, container_id)).exit_code == code


async def test_a_shorter_stop_ends_a_longer_one() -> None:
    async with playing(stop_seconds=600) as runtime:
        container_id = await run(runtime, await run_sandbox(runtime), "c")
        begin = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(runtime.stop_container, pb.StopContainerRequest(container_id=container_id, timeout=300))
            await anyio.sleep(1)
            await runtime.stop_container(pb.StopContainerRequest(container_id=container_id, timeout=2))
        assert anyio.current_time() - begin == 3


async def test_create_start_and_pull_fail_as_scripted() -> None:
    def pull(reference: str) -> PullResult:
        return PullResult(seconds=2, error="not found") if reference == "gone" else PullResult(seconds=1)

    def life(_sandbox: pb.PodSandboxConfig, container: pb.ContainerConfig) -> ContainerScript:
        if container.metadata.name == "uncreatable":
            return ContainerScript(create_error="no device")
        return ContainerScript(start_error="no program")

    async with FakeRuntime(clock=VirtualClock(), script=Script(container=life, pull=pull)) as runtime:
        begin = anyio.current_time()
        with pytest.raises(RuntimeServiceError, match="not found") as caught:
            await runtime.pull_image(pb.PullImageRequest(image=pb.ImageSpec(image="gone")))
        assert (caught.value.code, caught.value.reason) == ("NotFound", "ErrImagePull")
        sandbox_id = await run_sandbox(runtime)
        assert anyio.current_time() - begin == 3
        with pytest.raises(RuntimeServiceError, match="no device") as caught:
            await create(runtime, sandbox_id, container_config("uncreatable", ("x",)))
        assert caught.value.reason == "CreateContainerError"
        with pytest.raises(RuntimeServiceError, match="no program") as caught:
            await run(runtime, sandbox_id, "unstartable")
        assert caught.value.reason == "RunContainerError"


async def test_commands_and_probes_know_how_long_the_container_runs() -> None:
    runtime = playing(
        run_command=lambda command, seconds: ExecResult(
            exit_code=int(seconds < 10), stdout=command[0].encode(), seconds=3
        ),
        probe=lambda kind, seconds: "" if seconds >= 10 else f"{kind}: not yet",
    )
    async with runtime:
        assert isinstance(runtime, Probing)
        container_id = await run(runtime, await run_sandbox(runtime), "c")
        assert await runtime.probe(container_id, "readiness") == "readiness: not yet"
        answer = await runtime.exec_sync(pb.ExecSyncRequest(container_id=container_id, cmd=["hi"]))
        assert (answer.exit_code, answer.stdout) == (1, b"hi")
        with pytest.raises(RuntimeServiceError, match="timeout 2s exceeded") as caught:
            await runtime.exec_sync(pb.ExecSyncRequest(container_id=container_id, cmd=["hi"], timeout=2))
        assert caught.value.code == "DeadlineExceeded"
        await anyio.sleep(10)
        assert await runtime.probe(container_id, "readiness") == ""
        runtime.end_container(container_id)
        with pytest.raises(RuntimeServiceError, match="CONTAINER_EXITED"):
            await runtime.probe(container_id, "readiness")


async def test_a_test_can_end_a_container() -> None:
    async with playing() as runtime:
        container_id = await run(runtime, await run_sandbox(runtime), "c")
        runtime.end_container(container_id, exit_code=137, reason="OOMKilled")
        status = await ended(runtime, container_id)
        assert (status.exit_code, status.reason) == (137, "OOMKilled")


async def test_lives_go_on_when_the_runtime_is_entered_again() -> None:
    runtime = playing(run_seconds=100)
    async with runtime:
        container_id = await run(runtime, await run_sandbox(runtime), "c")
        await anyio.sleep(40)
    await anyio.sleep(30)
    async with runtime:
        await anyio.sleep(29)
        assert (await status_of(runtime, container_id)).state == pb.CONTAINER_RUNNING
        await ended_after(runtime, container_id, 2)


async def test_a_slow_reader_of_events_is_told_to_list_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestra.cri.events.BUFFERED_EVENTS", 3)
    async with playing() as runtime:
        slow, closed = (runtime.get_container_events(pb.GetEventsRequest()) for _ in range(2))
        await closed.aclose()
        sandbox_id = await run_sandbox(runtime)
        for number in range(2):
            await run(runtime, sandbox_id, f"c{number}")
        with pytest.raises(RuntimeServiceError, match="list again") as caught:
            await anext(slow)
        assert caught.value.code == "ResourceExhausted"
        with pytest.raises(StopAsyncIteration):
            await anext(closed)


async def test_events_end_when_the_runtime_is_closed() -> None:
    async with playing() as runtime:
        events = runtime.get_container_events(pb.GetEventsRequest())
        await run(runtime, await run_sandbox(runtime), "c")
    assert [event.container_event_type async for event in events] == [
        pb.CONTAINER_CREATED_EVENT,
        pb.CONTAINER_STARTED_EVENT,
    ]


async def test_equal_seeds_give_equal_ids() -> None:
    async def ids() -> list[str]:
        async with FakeRuntime(clock=VirtualClock(seed=3)) as runtime:
            sandbox_id = await run_sandbox(runtime)
            return [sandbox_id, await run(runtime, sandbox_id, "c")]

    assert await ids() == await ids()


async def test_a_life_of_a_container_costs_microseconds() -> None:
    async with FakeRuntime() as runtime:
        await runtime.pull_image(pb.PullImageRequest(image=pb.ImageSpec(image=IMAGE)))
        fastest = min([await one_life(runtime, number) for number in range(300)])
        # Seven calls; a busy machine makes single lives slower, not the fastest.
        assert fastest < 7 * 30e-6


async def one_life(runtime: FakeRuntime, number: int) -> float:
    sandbox, container = sandbox_config(f"p{number}"), container_config("c", ("x",))
    begin = time.perf_counter()
    sandbox_id = (await runtime.run_pod_sandbox(pb.RunPodSandboxRequest(config=sandbox))).pod_sandbox_id
    container_id = await create(runtime, sandbox_id, container)
    await runtime.start_container(pb.StartContainerRequest(container_id=container_id))
    await runtime.container_status(pb.ContainerStatusRequest(container_id=container_id))
    await runtime.pod_sandbox_status(pb.PodSandboxStatusRequest(pod_sandbox_id=sandbox_id))
    await runtime.stop_container(pb.StopContainerRequest(container_id=container_id))
    await runtime.remove_pod_sandbox(pb.RemovePodSandboxRequest(pod_sandbox_id=sandbox_id))
    return time.perf_counter() - begin
