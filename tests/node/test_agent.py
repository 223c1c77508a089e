"""The agent through restarts and failures of its surroundings, with real processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.api.core import Node, Pod
from orchestra.client.interface import DeleteOptions
from orchestra.cri import FakeRuntime, Probing, ProcessRuntime, UnimplementedRuntime
from orchestra.errors import RuntimeServiceError, ServiceUnavailable

from .machine import NODE, Machine, machine, sh, sleeper


def pid_file(tmp_path: Path) -> Path:
    return tmp_path / "pid"


def noting_its_pid(file: Path, **fields: Any) -> Any:
    return sh(f"trap 'exit 0' TERM; echo $$$$ >> {file}; sleep 600 & wait", **fields)


def pids(file: Path) -> list[int]:
    return [int(line) for line in file.read_text().split()]


async def started(file: Path) -> int:
    with anyio.fail_after(10):
        while not file.exists() or not pids(file):
            await anyio.sleep(0.01)
    return pids(file)[-1]


async def test_the_next_agent_takes_over_what_the_last_one_left(tmp_path: Path) -> None:
    file = pid_file(tmp_path)
    async with machine(tmp_path / "node", on_exit="leave") as host:
        await host.create(noting_its_pid(file))
        before = await host.ready()
        pid = await started(file)
        await host.stop_agent()
        assert psutil.pid_exists(pid)
        await host.start_agent(on_exit="leave")
        await host.create(sleeper(), name="other")
        await host.ready("other")
        after = await host.server.get(Pod, "p")
        assert pids(file) == [pid]
        assert after.status.container_statuses == before.status.container_statuses
        await host.delete()
        assert not psutil.pid_exists(pid)


async def test_what_ended_while_no_agent_ran_is_told_with_its_exit_code(tmp_path: Path) -> None:
    file = pid_file(tmp_path)
    async with machine(tmp_path / "node", on_exit="leave") as host:
        program = f"trap 'exit 7' TERM; echo $$$$ >> {file}; sleep 600 & wait"
        await host.create(sh(program), restart_policy="Never")
        await host.ready()
        process = psutil.Process(await started(file))
        await host.stop_agent()
        process.terminate()
        with anyio.fail_after(5):
            while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                await anyio.sleep(0.01)
        await host.start_agent()
        pod = await host.phase("Failed")
        ended = pod.status.container_statuses[0].state.terminated
        assert ended is not None
        assert ended.exit_code == 7


async def test_stopping_an_agent_ends_its_containers(tmp_path: Path) -> None:
    file = pid_file(tmp_path)
    async with machine(tmp_path / "node", on_exit="stop") as host:
        await host.create(noting_its_pid(file))
        await host.ready()
        pid = await started(file)
        await host.stop_agent()
        assert not psutil.pid_exists(pid)


async def test_pods_that_were_deleted_while_no_agent_ran_are_ended(tmp_path: Path) -> None:
    file = pid_file(tmp_path)
    async with machine(tmp_path / "node", on_exit="leave") as host:
        await host.create(noting_its_pid(file))
        await host.ready()
        pid = await started(file)
        await host.stop_agent()
        await host.server.delete(Pod, "p", options=DeleteOptions(grace_period_seconds=0))
        await host.start_agent()
        with anyio.fail_after(5):
            while psutil.pid_exists(pid):
                await anyio.sleep(0.01)


async def test_a_killed_process_is_started_again(host: Machine, tmp_path: Path) -> None:
    file = pid_file(tmp_path)
    await host.create(noting_its_pid(file))
    await host.ready()
    psutil.Process(await started(file)).kill()
    pod = await host.wait(lambda pod: any(s.restart_count == 1 and s.ready for s in pod.status.container_statuses))
    last = pod.status.container_statuses[0].last_state.terminated
    assert last is not None
    assert last.exit_code == 137


async def test_the_node_says_what_it_has(host: Machine) -> None:
    node = await host.server.get(Node, NODE)
    assert {c.type: c.status for c in node.status.conditions}["Ready"] == "True"
    assert node.status.capacity["pods"].value() == 110
    assert node.status.node_info.container_runtime_version.startswith("orchestra-process://")


async def test_containers_go_on_while_the_server_is_away(
    host: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = pid_file(tmp_path)
    await host.create(noting_its_pid(file))
    await host.ready()
    pid = await started(file)

    async def away(*_: Any, **__: Any) -> Any:
        raise ServiceUnavailable("the server is away")

    with monkeypatch.context() as patch:
        for verb in ("update", "get", "create", "delete"):
            patch.setattr(host.server, verb, away)
        psutil.Process(pid).kill()
        with anyio.fail_after(5):
            while len(pids(file)) < 2:  # it is started again without a server to tell
                await anyio.sleep(0.01)
    pod = await host.wait(lambda pod: any(s.restart_count == 1 and s.ready for s in pod.status.container_statuses))
    assert pod.status.phase == "Running"


class Moody(ProcessRuntime):
    """A runtime that fails a number of calls before it does them."""

    failures = 3

    async def run_pod_sandbox(self, request: pb.RunPodSandboxRequest) -> pb.RunPodSandboxResponse:
        if self.failures:
            self.failures -= 1
            raise RuntimeServiceError("not now", code="Unavailable")
        return await super().run_pod_sandbox(request)


async def test_a_runtime_that_fails_is_asked_again(tmp_path: Path) -> None:
    runtime = Moody(tmp_path / "node")
    runtime.failures = 1
    async with machine(tmp_path / "node", runtime=runtime) as host:
        await host.create(sleeper())
        await host.event("FailedCreatePodSandBox", "not now")
        await host.ready()


def test_a_runtime_without_the_power_to_probe_is_not_asked_to() -> None:
    assert isinstance(FakeRuntime(), Probing)
    assert not isinstance(UnimplementedRuntime(), Probing)
