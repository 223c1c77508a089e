from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import anyio
import pytest

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.cri import ProcessRuntime, remove_all
from orchestra.cri.process.host.shim import write_json
from orchestra.errors import RuntimeServiceError
from orchestra.testing.runtime_conformance import ended, run_sandbox, status_of
from tests.cri.kit import Bench, bench, is_running, processes_with

CHILD = str(Path(__file__).with_name("plane_child.py"))
KILLS = 8


def start_plane(tmp_path: Path, mode: str, name: str) -> subprocess.Popen[str]:
    command = [sys.executable, CHILD, str(tmp_path / "runtime"), mode, name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def kill_plane(plane: subprocess.Popen[str]) -> None:
    plane.kill()
    plane.wait()
    assert plane.stdout is not None
    plane.stdout.close()


async def test_containers_of_a_killed_plane_are_adopted_with_exit_codes_and_logs(tmp_path: Path) -> None:
    plane = start_plane(tmp_path, "hold", "pod")
    assert plane.stdout is not None
    runs, ends, done = plane.stdout.readline().split()
    kill_plane(plane)
    (tmp_path / "go").touch()  # one container ends while nobody is there
    async with ProcessRuntime(tmp_path / "runtime") as runtime:
        b = Bench(runtime, "", tmp_path / "logs")
        try:
            assert (await status_of(runtime, runs)).state == pb.CONTAINER_RUNNING
            pid = (await b.facts(runs))["pid"]
            assert is_running(pid)
            assert Path(f"/proc/{pid}/cmdline").read_bytes() == b"sleep\x00600\x00"
            assert (await ended(runtime, ends)).exit_code == 6
            log = (tmp_path / "logs/ends.log").read_text()
            assert [line.split(" ")[-1] for line in log.splitlines()] == ["early", "late"]
            assert (await ended(runtime, done)).exit_code == 4
            assert (await b.command(runs, "echo", "hello")).stdout == b"hello\n"
            assert (await b.stop(runs, 20)).exit_code == 143
            assert not is_running(pid)
        finally:
            await remove_all(runtime)


async def test_nothing_starts_twice_or_is_lost_however_often_the_plane_is_killed(tmp_path: Path) -> None:
    (tmp_path / "starts").mkdir()
    chance = random.Random(7)
    mark = f"{tmp_path}/starts/"
    for round_number in range(KILLS):
        plane = start_plane(tmp_path, "churn", f"pod{round_number}")
        with anyio.fail_after(60):
            while not list((tmp_path / "starts").glob(f"pod{round_number}-*")):
                await anyio.sleep(0.005)
        time.sleep(chance.random() * 0.05)
        kill_plane(plane)
    async with ProcessRuntime(tmp_path / "runtime") as runtime:
        try:
            listed = (await runtime.list_containers(pb.ListContainersRequest())).containers
            running = {item.metadata.name for item in listed if item.state == pb.CONTAINER_RUNNING}
            assert len(running) >= KILLS
            for item in listed:
                if item.state == pb.CONTAINER_CREATED:  # killed between create and start: it can be started now, once
                    await runtime.start_container(pb.StartContainerRequest(container_id=item.id))
                    running.add(item.metadata.name)
            assert {item.metadata.name for item in listed} == running
            with anyio.fail_after(30):
                while {path.name for path in (tmp_path / "starts").iterdir()} != running:
                    await anyio.sleep(0.01)
            for path in (tmp_path / "starts").iterdir():
                assert path.read_text() == "x\n", path
        finally:
            await remove_all(runtime)
    assert processes_with(mark) == []
    assert (tmp_path / "runtime/host.log").read_text() == ""


async def test_a_container_whose_shim_is_killed_ends_as_unknown_and_leaves_nothing(tmp_path: Path) -> None:
    mark = f"9{os.getpid()}"
    async with bench(tmp_path) as b:
        container_id = await b.run("c", "sh", "-c", f"sleep {mark} & sleep {mark}1")
        facts = await b.facts(container_id)
        with anyio.fail_after(20):
            while len(processes_with(mark)) < 3:
                await anyio.sleep(0.005)
        os.kill(facts["shim"], signal.SIGKILL)
        status = await ended(b.runtime, container_id)
        assert (status.exit_code, status.reason) == (255, "Unknown")
        with anyio.fail_after(20):
            while processes_with(mark):
                await anyio.sleep(0.005)


async def test_a_shim_that_hangs_does_not_stop_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestra.cri.process.keeper.KILL_SECONDS", 0.2)
    async with bench(tmp_path) as b:
        container_id = await b.run("c", "sleep", "600")
        facts = await b.facts(container_id)
        os.kill(facts["shim"], signal.SIGSTOP)
        status = await b.stop(container_id, 0)
        assert (status.exit_code, status.reason) == (255, "Unknown")
        assert not is_running(facts["pid"])


async def test_a_killed_zygote_is_replaced_and_its_containers_go_on(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        first = await b.run("first", "sleep", "600")
        zygote = b.runtime._link._process
        assert zygote is not None
        os.kill(zygote.pid, signal.SIGKILL)
        second = await b.run("second", "sleep", "600")
        assert [(await b.status(one)).state for one in (first, second)] == [pb.CONTAINER_RUNNING] * 2


async def test_after_a_reboot_everything_that_ran_has_ended_as_unknown(tmp_path: Path) -> None:
    root = tmp_path / "runtime"
    async with bench(tmp_path) as b:
        container_id = await b.run("c", "sleep", "600")
        process = b.runtime._keeper.driver(b.runtime._book.container(container_id)).folder.read_process()
        await b.stop(container_id, 0)
        folder = root / "containers" / container_id
        (folder / "exit").unlink()
        write_json(str(folder / "process"), process | {"boot": "another boot"})
        await b.runtime.__aexit__(None, None, None)
        async with ProcessRuntime(root) as again:
            status = await status_of(again, container_id)
            assert (status.state, status.exit_code, status.reason) == (pb.CONTAINER_EXITED, 255, "Unknown")
            await remove_all(again)
        await b.runtime.__aenter__()


async def test_a_late_shim_of_a_dead_plane_starts_nothing(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        container_id = await b.create("c", "sleep", "600")
        folder = b.runtime._state.container_folder(container_id)
        answer = await b.runtime._link.ask("shim", {"dir": folder, "token": "of a plane that was killed"})
        assert answer == {"error": "the permission to start the container was withdrawn"}
        await b.start(container_id)
        again = await b.runtime._link.ask("shim", {"dir": folder, "token": "x"})
        assert again == {"error": "the container is being started already"}


async def test_an_end_is_noticed_although_no_descriptor_was_left_to_watch_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(_pid: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    async with bench(tmp_path) as b:
        with monkeypatch.context() as patch:
            patch.setattr(os, "pidfd_open", none_left)
            container_id = await b.run("c", "sh", "-c", "exit 7")
        with anyio.fail_after(20):
            while (status := await b.status(container_id)).state != pb.CONTAINER_EXITED:
                await anyio.sleep(0.02)
        assert status.exit_code == 7


async def test_damaged_and_unfinished_records_are_dropped(tmp_path: Path) -> None:
    root = tmp_path / "runtime"
    async with bench(tmp_path) as b:
        kept = await b.create("c", "sleep", "600")
        (root / "containers/unfinished").mkdir()
        (root / "containers/torn").mkdir()
        (root / "containers/torn/spec.json").write_text('{"record"')
        (root / "sandboxes/torn.json").write_text("")
        (root / "sandboxes/half.json.tmp").write_text("{")
        await b.runtime.__aexit__(None, None, None)
        async with ProcessRuntime(root) as again:
            assert [item.id for item in (await again.list_containers(pb.ListContainersRequest())).containers] == [kept]
            assert len((await again.list_pod_sandbox(pb.ListPodSandboxRequest())).items) == 1
        await b.runtime.__aenter__()


async def test_a_container_whose_sandbox_is_gone_is_removed_when_the_runtime_opens(tmp_path: Path) -> None:
    root = tmp_path / "runtime"
    async with ProcessRuntime(root) as runtime:
        b = Bench(runtime, await run_sandbox(runtime), tmp_path)
        pid = (await b.facts(await b.run("c", "sleep", "600")))["pid"]
    (root / f"sandboxes/{b.sandbox_id}.json").unlink()
    async with ProcessRuntime(root) as runtime:
        assert not (await runtime.list_containers(pb.ListContainersRequest())).containers
        assert not is_running(pid)
        assert list((root / "containers").iterdir()) == []


async def test_addresses_are_kept_over_a_restart(tmp_path: Path) -> None:
    network = pb.NetworkConfig(pod_cidr="127.77.6.0/30")
    config = pb.UpdateRuntimeConfigRequest(runtime_config=pb.RuntimeConfig(network_config=network))
    async with ProcessRuntime(tmp_path / "runtime") as runtime:
        await runtime.update_runtime_config(config)
        first = await run_sandbox(runtime, "first")
    async with ProcessRuntime(tmp_path / "runtime") as runtime:
        await run_sandbox(runtime, "second")
        with pytest.raises(RuntimeServiceError, match="no IP addresses available"):
            await run_sandbox(runtime, "third")
        await runtime.remove_pod_sandbox(pb.RemovePodSandboxRequest(pod_sandbox_id=first))
        await run_sandbox(runtime, "third")
        await remove_all(runtime)
