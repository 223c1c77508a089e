"""Kills and stops of whole control planes.

The first test takes `RECOVERY_ROUNDS` and `RECOVERY_SEED` from the environment.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestra import ControlPlane, NodeAgent
from orchestra.api.apps import Deployment, ReplicaSet
from orchestra.api.core import ConfigMap, Pod, Service
from orchestra.api.rules.conditions import is_ready
from orchestra.client.interface import LogOptions
from orchestra.cri import ProcessRuntime
from orchestra.errors import ConfigurationError, NotFound, StoreLocked
from tests.plane.kill_child import MAX_DEPLOYMENTS, deployment, new_plane, pod_spec
from tests.plane.processes import containers_of, end_users, is_alive, users_of

CHILD = str(Path(__file__).with_name("kill_child.py"))
ROUNDS = int(os.environ.get("RECOVERY_ROUNDS", "8"))
MAX_WRITES = 30
"""How many acknowledged writes a child may do at most before it is killed."""
WAIT_SECONDS = 60.0
ANY = "any"


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "starts").mkdir()
    yield tmp_path
    end_users(tmp_path)  # of a test that has failed


@contextmanager
def child(data_dir: Path, mode: str) -> Iterator[subprocess.Popen[str]]:
    """A control plane in a process of its own, killed in the end if nobody did it before."""
    process = subprocess.Popen(
        [sys.executable, CHILD, str(data_dir), mode], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    text = process.stdout.readline()
    if not text:
        assert process.stderr is not None
        pytest.fail(f"the child ended: {process.stderr.read()}")
    line: dict[str, Any] = json.loads(text)
    return line


async def eventually(holds: Callable[[], Any]) -> None:
    with anyio.fail_after(WAIT_SECONDS):
        while not holds():
            await anyio.sleep(0.02)


class Ledger:
    """What must be in the store: for each object the state that was acknowledged last, or one asked for since."""

    def __init__(self) -> None:
        self.possible: dict[str, list[Any]] = {}
        self.revisions: dict[str, int] = {}

    def read(self, line: dict[str, Any]) -> bool:
        """Take a line of a child; say whether it acknowledged a write."""
        if line["to"] == "write":
            self.possible.setdefault(line["key"], [None]).append(line["want"])
        elif line["to"] == "note":
            self.possible[line["key"]] = [line["want"]]
            self.revisions[line["key"]] = int(line["revision"])
        return bool(line["to"] == "note")

    async def check(self, plane: ControlPlane) -> None:
        """Compare with what is there, which is all that is possible from here on."""
        actual: dict[str, tuple[Any, int]] = {}
        client = plane.client
        for one in (await client.list(Deployment, namespace="default")).items:
            version = next(v.value for v in one.spec.template.spec.containers[0].env if v.name == "VERSION")
            state = [one.spec.replicas, int(version)]
            actual[f"Deployment/{one.metadata.name}"] = (state, int(one.metadata.resource_version))
        for service in (await client.list(Service, namespace="default")).items:
            key = f"Service/{service.metadata.name}"
            actual[key] = (service.spec.cluster_ip, int(service.metadata.resource_version))
        for config in (await client.list(ConfigMap, namespace="default")).items:
            if config.metadata.name == "kube-root-ca.crt":  # a controller's
                continue
            actual[f"ConfigMap/{config.metadata.name}"] = (config.data["n"], int(config.metadata.resource_version))
        for key, possible in self.possible.items():
            state, revision = actual.pop(key, (None, 0))
            assert state in possible or (ANY in possible and state is not None), (key, state, possible)
            assert state is None or revision >= self.revisions.get(key, 0), key
            self.possible[key] = [state]
        assert not actual, "nobody asked for these"
        addresses = [state for key, [state] in self.possible.items() if key.startswith("Service/") and state]
        assert len(set(addresses)) == len(addresses)

    def deployments(self) -> dict[str, tuple[int, int]]:
        found = {key.partition("/")[2]: states[0] for key, states in self.possible.items() if key[:3] == "Dep"}
        return {name: tuple(state) for name, state in found.items() if state is not None}


def run_and_kill(data_dir: Path, ledger: Ledger, chance: random.Random, mode: str) -> None:
    """Let a child work until it has done a random number of writes and a random moment has passed, and kill it."""
    writes = chance.randrange(MAX_WRITES)
    with child(data_dir, mode) as process:
        if writes % 6 == 5:
            time.sleep(chance.random() * 1.5)  # somewhere in its start
            writes = 0
        else:
            assert line_of(process) == {"to": "open"}
        while writes:
            writes -= ledger.read(line_of(process))
        time.sleep(chance.random() * 0.1)
        process.kill()
        assert process.stdout is not None
        assert process.stderr is not None
        for text in process.stdout:
            ledger.read(json.loads(text))
        assert process.stderr.read() == ""


@asynccontextmanager
async def adopted(data_dir: Path, **options: Any) -> AsyncIterator[ControlPlane]:
    """A plane on what a killed one left, with the processes that it found checked against those that it keeps."""
    before = containers_of(data_dir)
    async with new_plane(data_dir, **options) as plane:
        yield plane
        pods = {pod.metadata.uid: pod for pod in (await plane.client.list(Pod)).items}
        now = containers_of(data_dir)
        for uid, pids in before.items():
            if uid in pods and pods[uid].metadata.deletion_timestamp is None:
                assert now.get(uid) == pids, f"{pods[uid].key} was not adopted"


def problems(data_dir: Path, wanted: dict[str, tuple[int, int]], pods: tuple[Pod, ...]) -> list[str]:
    """Say what is not yet as declared."""
    found = []
    for name, (replicas, version) in wanted.items():
        own = [pod for pod in pods if pod.metadata.labels["app"] == name]
        versions = [next(v.value for v in pod.spec.containers[0].env if v.name == "VERSION") for pod in own]
        if versions != [str(version)] * replicas or not all(map(is_ready, own)):
            found.append(f"{name}: {versions} instead of {replicas} of version {version}")
    if strange := {pod.metadata.labels["app"] for pod in pods} - wanted.keys():
        found.append(f"Pods of {strange}")
    running = containers_of(data_dir)
    if running.keys() != {pod.metadata.uid for pod in pods}:
        found.append(f"processes of {running}, Pods {[pod.metadata.uid for pod in pods]}")
    return found


async def converge(plane: ControlPlane, data_dir: Path, wanted: dict[str, tuple[int, int]]) -> None:
    client = plane.client
    with anyio.move_on_after(WAIT_SECONDS) as scope:
        while found := problems(data_dir, wanted, (await client.list(Pod, namespace="default")).items):
            await anyio.sleep(0.05)
    assert not scope.cancelled_caught, found
    for name, (replicas, _version) in wanted.items():
        await client.wait_for(
            Deployment,
            name,
            predicate=lambda one: (one.status.available_replicas or 0) == (one.status.replicas or 0) == replicas,  # noqa: B023
            timeout=WAIT_SECONDS,
        )
    owners = {owner.name for rs in (await client.list(ReplicaSet)).items for owner in rs.metadata.owner_references}
    assert owners <= wanted.keys()


def check_starts(data_dir: Path) -> None:
    """Nothing was started twice: every Pod's container noted one start, of the process that runs now if one does."""
    running = containers_of(data_dir)
    for path in (data_dir / "starts").iterdir():
        started = [int(line) for line in path.read_text().splitlines()]
        assert len(started) <= 1, f"Pod {path.name} was started {len(started)} times"
        assert running.get(path.name, started) == started or not started


def kept_of_pods(data_dir: Path) -> set[str]:
    """The uids of the Pods that nodes have logs or volumes of."""
    folders = (*data_dir.glob("node-*/logs/*"), *data_dir.glob("node-*/pods/*"))
    return {folder.name.rpartition("_")[2] for folder in folders}


async def test_a_plane_that_is_killed_at_random_moments_loses_nothing_and_starts_nothing_twice(data_dir: Path) -> None:
    seed = int(os.environ.get("RECOVERY_SEED", "1"))
    chance = random.Random(seed)
    ledger = Ledger()
    for number in range(ROUNDS):
        run_and_kill(data_dir, ledger, chance, str(seed * 1000 + number))
        check_starts(data_dir)
        if number % 2:  # in the other rounds the next plane is killed on what this one left
            async with adopted(data_dir, on_exit="leave") as plane:
                await ledger.check(plane)
                await converge(plane, data_dir, ledger.deployments())
            check_starts(data_dir)
    async with adopted(data_dir) as plane:
        await ledger.check(plane)
        assert len(ledger.deployments()) <= MAX_DEPLOYMENTS + 1
        await converge(plane, data_dir, ledger.deployments())
        uids = {pod.metadata.uid for pod in (await plane.client.list(Pod)).items}
        await eventually(lambda: kept_of_pods(data_dir) <= uids)
    check_starts(data_dir)
    assert users_of(data_dir) == []


async def test_containers_that_ended_while_nobody_was_there_have_their_exit_codes_and_logs(data_dir: Path) -> None:
    go = data_dir / "go"
    command = ["sh", "-c", f"echo early; while [ ! -e {go} ]; do sleep 0.02; done; echo late; exit 7"]
    spec = {**pod_spec(data_dir, 1), "restartPolicy": "Never"}
    spec["containers"][0] |= {"command": command}
    document = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "job", "namespace": "default"}, "spec": spec}
    async with new_plane(data_dir, on_exit="leave") as plane:
        await plane.client.apply(document)
        await plane.client.wait_for(Pod, "job", condition="Ready", timeout=WAIT_SECONDS)
    with child(data_dir, "hold") as process:
        assert line_of(process) == {"to": "open"}
        process.kill()
        process.wait()
    assert len(containers_of(data_dir)) == 1
    go.touch()
    await eventually(lambda: not containers_of(data_dir))
    async with adopted(data_dir) as plane:
        ended = await plane.client.wait_for(Pod, "job", jsonpath="{.status.phase}=Failed", timeout=WAIT_SECONDS)
        terminated = ended.status.container_statuses[0].state.terminated
        assert terminated is not None
        assert (terminated.exit_code, terminated.reason) == (7, "Error")
        assert ended.status.container_statuses[0].restart_count == 0
        async with plane.client.logs("job", options=LogOptions()) as chunks:
            assert b"".join([chunk async for chunk in chunks]) == b"early\nlate\n"
    assert users_of(data_dir) == []


async def test_a_killed_process_of_a_container_is_restarted_after_its_plane_was_killed_too(data_dir: Path) -> None:
    async with new_plane(data_dir, on_exit="leave") as plane:
        await plane.client.apply(deployment(data_dir, "web", 2, 1))
        await converge(plane, data_dir, {"web": (2, 1)})
    (uid, [victim]), *_rest = containers_of(data_dir).items()
    os.kill(victim, signal.SIGKILL)
    await eventually(lambda: not is_alive(victim))
    async with new_plane(data_dir) as plane:
        pod = next(p for p in (await plane.client.list(Pod)).items if p.metadata.uid == uid)
        healed = await plane.client.wait_for(
            Pod,
            pod.metadata.name,
            predicate=lambda p: p.status.container_statuses[0].restart_count == 1 and is_ready(p),
            timeout=WAIT_SECONDS,
        )
        last = healed.status.container_statuses[0].last_state.terminated
        assert last is not None
        assert last.exit_code == 137
        await converge(plane, data_dir, {"web": (2, 1)})


async def test_a_data_directory_in_use_by_another_process_is_refused_and_that_one_goes_on(data_dir: Path) -> None:
    with child(data_dir, "hold") as process:
        assert line_of(process) == {"to": "open"}
        with pytest.raises(StoreLocked, match=rf"cluster\.db is in use by process {process.pid}; stop that one first"):
            async with new_plane(data_dir):
                pytest.fail("two planes have one data directory")
        runtime = ProcessRuntime(root=data_dir / "node-0")
        message = rf"node-0 is in use by another runtime \(process {process.pid}\)"
        with pytest.raises(ConfigurationError, match=message):
            async with ControlPlane(nodes=[NodeAgent("other", runtime=runtime)]):
                pytest.fail("two planes have one runtime")
        assert process.poll() is None
        process.terminate()
        assert process.wait(WAIT_SECONDS) == 0
    async with new_plane(data_dir) as plane:
        with pytest.raises(NotFound):
            await plane.client.get(Pod, "any")


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_plane_that_is_asked_to_stop_amid_its_work_leaves_no_process_behind(data_dir: Path, seed: int) -> None:
    chance = random.Random(seed)
    ledger = Ledger()
    with child(data_dir, f"90{seed}") as process:
        assert line_of(process) == {"to": "open"}
        writes = chance.randrange(5, MAX_WRITES)
        while writes:
            writes -= ledger.read(line_of(process))
        began = time.monotonic()
        process.terminate()
        assert process.stdout is not None
        assert process.stderr is not None
        for text in process.stdout:
            ledger.read(json.loads(text))
        assert process.stderr.read() == ""
        assert process.wait(WAIT_SECONDS) == 0
        assert time.monotonic() - began < 10  # the grace period is one second
    assert containers_of(data_dir) == {}
    assert users_of(data_dir) == []
    async with new_plane(data_dir) as plane:
        await ledger.check(plane)
        await converge(plane, data_dir, ledger.deployments())
    assert users_of(data_dir) == []


async def test_a_plane_that_is_killed_while_it_stops_is_brought_back_to_what_was_declared(data_dir: Path) -> None:
    chance = random.Random(11)
    for _ in range(3):
        async with new_plane(data_dir, on_exit="leave") as plane:
            await plane.client.apply(deployment(data_dir, "web", 3, 1))
            await converge(plane, data_dir, {"web": (3, 1)})
        with child(data_dir, "hold") as process:
            assert line_of(process) == {"to": "open"}
            process.terminate()
            time.sleep(chance.random() * 0.15)
    async with new_plane(data_dir) as plane:
        await converge(plane, data_dir, {"web": (3, 1)})
    assert users_of(data_dir) == []
