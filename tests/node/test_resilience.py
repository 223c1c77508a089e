"""What goes wrong in one place stays there, and what has to end does end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import attrs
import psutil
import pytest

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.api.core import (
    Container,
    Event,
    ExecAction,
    HTTPGetAction,
    Lifecycle,
    LifecycleHandler,
    Node,
    Pod,
    PodSpec,
    Probe,
    TCPSocketAction,
)
from orchestra.api.object import ObjectMeta
from orchestra.client.interface import DeleteOptions
from orchestra.cri import ContainerScript, ExecResult, FakeRuntime, Script
from orchestra.errors import NotFound, RuntimeServiceError
from orchestra.node import agent, asking, http, publishing, worker

from .machine import machine, sh
from .replay import NAMESPACE, NODE, Stage, stage

NEVER_STOPS = Script(container=lambda _box, _config: ContainerScript(stop_seconds=10_000))
CRASHES = Script(container=lambda _box, _config: ContainerScript(run_seconds=1, exit_code=1))
PORT = TCPSocketAction(port=80)


async def create(running: Stage, name: str = "p", *, grace: int = 30, **fields: Any) -> Pod:
    container = Container(name="c", image="example.test/sh:1", **fields)
    spec = PodSpec(containers=(container,), node_name=NODE, termination_grace_period_seconds=grace)
    return await running.server.create(Pod(metadata=ObjectMeta(name=name, namespace=NAMESPACE), spec=spec))


async def is_ready(running: Stage, name: str) -> bool:
    status = (await running.server.get(Pod, name, namespace=NAMESPACE)).status
    return any(c.type == "Ready" and c.status == "True" for c in status.conditions)


async def delete(running: Stage, grace: int | None = None) -> None:
    options = DeleteOptions(grace_period_seconds=grace)
    await running.server.delete(Pod, "p", namespace=NAMESPACE, options=options)


async def still_running(runtime: FakeRuntime) -> int:
    held = (await runtime.list_containers(pb.ListContainersRequest())).containers
    return sum(item.state == pb.CONTAINER_RUNNING for item in held)


@pytest.mark.virtual_time
@pytest.mark.parametrize(("module", "name"), [(worker, "next_actions"), (publishing, "pod_status")])
async def test_an_unexpected_error_in_one_pod_is_tried_again_and_harms_no_other(
    module: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, left = getattr(module, name), 4

    def broken(given: Any, *rest: Any) -> Any:
        nonlocal left
        pod = given if isinstance(given, Pod) else given.pod
        if pod.metadata.name == "bad" and left:
            left -= 1
            raise ZeroDivisionError
        return real(given, *rest)

    monkeypatch.setattr(module, name, broken)
    async with stage(kind=FakeRuntime) as running:
        await create(running, "bad")
        await create(running, "good")
        await anyio.sleep(0.3)
        assert await is_ready(running, "good")
        await anyio.sleep(60)
        assert await is_ready(running, "bad")


class Broken:
    async def probe(self, *_: Any) -> Any:
        raise ZeroDivisionError("no such number")


@pytest.mark.virtual_time
async def test_a_probe_that_fails_unexpectedly_says_nothing_of_the_container() -> None:
    async with stage(kind=FakeRuntime, prober=Broken()) as running:
        await create(running, liveness_probe=Probe(tcp_socket=PORT, period_seconds=1, failure_threshold=1))
        await anyio.sleep(20)
        assert await is_ready(running, "p")
        events = (await running.server.list(Event, namespace=NAMESPACE)).items
        assert any("unknown state: ZeroDivisionError: no such number" in event.message for event in events)


async def test_a_redirect_to_a_port_that_cannot_be_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def connected(*_: Any, **__: Any) -> Any:
        return anyio.create_task_group()

    async def redirected(*_: Any) -> http.Answer:
        return http.Answer(status=302, body="", location="http://127.0.0.1:99999/")

    monkeypatch.setattr(asking, "_connect", connected)
    monkeypatch.setattr(http, "ask", redirected)
    with pytest.raises(asking.NoAnswer, match="0-65535"):
        await asking.get(Container(name="c"), HTTPGetAction(port=80), "127.0.0.1", 1)


async def test_a_pod_that_has_failed_does_not_run_again_with_the_next_agent(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    async with machine(tmp_path / "node", on_exit="leave") as host:
        await host.create(sh(f"echo $$$$ >> {file}; trap 'exit 0' TERM; sleep 600 & wait"))
        pod = await host.ready()
        await host.stop_agent()
        status = attrs.evolve(pod.status, phase="Failed", reason="Evicted")
        await host.server.update(attrs.evolve(pod, status=status), subresource="status")
        await host.start_agent()
        with anyio.fail_after(10):
            while psutil.pid_exists(int(file.read_text().split()[0])):
                await anyio.sleep(0.02)
        ended = await host.wait(lambda pod: all(s.state.terminated for s in pod.status.container_statuses))
        assert (ended.status.phase, ended.status.reason) == ("Failed", "Evicted")
        assert len(file.read_text().split()) == 1


@pytest.mark.virtual_time
async def test_a_node_that_was_given_up_says_at_once_that_it_is_there() -> None:
    async with stage(kind=FakeRuntime) as running:
        node = await running.server.get(Node, NODE)
        unknown = tuple(
            attrs.evolve(c, status="Unknown", reason="NodeStatusUnknown") if c.type == "Ready" else c
            for c in node.status.conditions
        )
        await running.server.update(
            attrs.evolve(node, status=attrs.evolve(node.status, conditions=unknown)), subresource="status"
        )
        await anyio.sleep(1)
        node = await running.server.get(Node, NODE)
        assert {c.type: c.status for c in node.status.conditions}["Ready"] == "True"


class Deaf(FakeRuntime):
    """A runtime in which nothing ends by being asked to, and that counts how often it was asked."""

    asked = 0

    async def stop_container(self, request: pb.StopContainerRequest) -> pb.StopContainerResponse:
        self.asked += 1
        await anyio.sleep(10_000)
        raise AssertionError


@pytest.mark.virtual_time
async def test_a_clean_stop_leaves_nothing_running() -> None:
    async with stage(kind=Deaf) as running:
        await create(running, grace=3600)
        await anyio.sleep(1)
        assert await still_running(running.runtime) == 1
        began = running.clock.monotonic()
    assert await still_running(running.runtime) == 0
    assert running.clock.monotonic() - began < agent.MAX_STOP_SECONDS + agent.MAX_KILL_SECONDS


@pytest.mark.virtual_time
async def test_a_deletion_does_not_wait_for_a_hanging_post_start_hook() -> None:
    hangs = ContainerScript(run_command=lambda _command, _seconds: ExecResult(seconds=10_000))
    async with stage(Script(container=lambda _box, _config: hangs), kind=FakeRuntime) as running:
        hook = LifecycleHandler(exec=ExecAction(command=("wait",)))
        await create(running, lifecycle=Lifecycle(post_start=hook))
        await anyio.sleep(5)
        await delete(running)
        await anyio.sleep(5)
        with pytest.raises(NotFound):
            await running.server.get(Pod, "p", namespace=NAMESPACE)
        assert await still_running(running.runtime) == 0


@pytest.mark.virtual_time
async def test_a_forced_deletion_cuts_a_long_stop_short() -> None:
    async with stage(NEVER_STOPS, kind=FakeRuntime) as running:
        await create(running, grace=600)
        await anyio.sleep(1)
        await delete(running)
        await anyio.sleep(5)
        assert await still_running(running.runtime) == 1
        await delete(running, grace=0)
        await anyio.sleep(5)
        assert await still_running(running.runtime) == 0


class Refusing(Deaf):
    async def stop_container(self, request: pb.StopContainerRequest) -> pb.StopContainerResponse:
        self.asked += 1
        raise RuntimeServiceError("no", code="Unknown")


@pytest.mark.virtual_time
async def test_a_runtime_that_refuses_to_stop_a_container_is_asked_with_pauses() -> None:
    script = Script(container=lambda _box, _config: ContainerScript(probe=lambda _kind, _seconds: "ill"))
    async with stage(script, kind=Refusing) as running:
        await create(running, liveness_probe=Probe(tcp_socket=PORT, period_seconds=1, failure_threshold=1))
        await anyio.sleep(60)
        assert isinstance(running.runtime, Refusing)
        assert 3 <= running.runtime.asked <= 12


@pytest.mark.virtual_time
async def test_the_files_of_a_run_go_with_it(tmp_path: Path) -> None:
    async with stage(CRASHES, kind=FakeRuntime, root=tmp_path) as running:
        pod = await create(running)
        logs = tmp_path / "logs" / f"{NAMESPACE}_p_{pod.metadata.uid}" / "c"
        logs.mkdir(parents=True)
        for name in ("0.log", "0.log.20260101-000000", "10.log", "1.log"):
            (logs / name).touch()
        await anyio.sleep(20)
        assert sorted(path.name for path in logs.iterdir()) == ["1.log", "10.log"]


class Haunted(FakeRuntime):
    """A runtime with a sandbox of a Pod that nobody knows, which cannot be removed at first."""

    failures = 3

    async def version(self, request: pb.VersionRequest) -> pb.VersionResponse:
        metadata = pb.PodSandboxMetadata(name="old", namespace=NAMESPACE, uid="old")
        await self.run_pod_sandbox(pb.RunPodSandboxRequest(config=pb.PodSandboxConfig(metadata=metadata)))
        return await super().version(request)

    async def remove_pod_sandbox(self, request: pb.RemovePodSandboxRequest) -> pb.RemovePodSandboxResponse:
        if self.failures:
            self.failures -= 1
            raise RuntimeServiceError("busy", code="Unknown")
        return await super().remove_pod_sandbox(request)


@pytest.mark.virtual_time
async def test_an_orphan_that_cannot_be_removed_is_tried_again() -> None:
    async with stage(kind=Haunted) as running:
        assert (await running.runtime.list_pod_sandbox(pb.ListPodSandboxRequest())).items
        await anyio.sleep(10)
        assert not (await running.runtime.list_pod_sandbox(pb.ListPodSandboxRequest())).items
