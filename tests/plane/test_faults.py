"""What goes wrong while a plane runs: visible in status and Events with Kubernetes' reasons, and never a busy loop."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from orchestra import ControlPlane, NodeAgent
from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.api.apps import Deployment
from orchestra.api.builders import config_map, container, deployment, pod, service
from orchestra.api.core import (
    ConfigMapKeySelector,
    ConfigMapVolumeSource,
    EnvVar,
    EnvVarSource,
    Event,
    ExecAction,
    HTTPGetAction,
    Node,
    Pod,
    Probe,
    Volume,
    VolumeMount,
)
from orchestra.api.discovery import EndpointSlice
from orchestra.api.rules.conditions import condition
from orchestra.client.interface import LogOptions, Patch, PatchType
from orchestra.cri import ContainerScript, ProcessRuntime, Script
from orchestra.store import WatchRequest
from orchestra.testing import PlaneHarness
from tests.plane.processes import users_of

HOUR_SECONDS = 3600.0
ABSENT_KEY = EnvVarSource(config_map_key_ref=ConfigMapKeySelector(name="settings", key="k"))
PROBE = Probe(http_get=HTTPGetAction(port=80), period_seconds=2, failure_threshold=3)
WAIT_SECONDS = 30.0

virtual_time = pytest.mark.virtual_time


class Starts:
    """A script in which some containers fail; it remembers when each one was created."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = {}

    def __call__(self, _sandbox: pb.PodSandboxConfig, config: pb.ContainerConfig) -> ContainerScript:
        name = config.metadata.name
        self.times.setdefault(name, []).append(asyncio.get_running_loop().time())
        if name == "crash":
            return ContainerScript(run_seconds=1, exit_code=3)
        if name == "missing":
            return ContainerScript(start_error='exec: "nope": executable file not found in $PATH')
        failing = {"unready": "readiness", "dead": "liveness"}.get(name)
        return ContainerScript(probe=lambda kind, _seconds: "it is broken" if kind == failing else "")


def waiting_of(pod: Pod) -> tuple[str, str]:
    waiting = pod.status.container_statuses[0].state.waiting
    return ("", "") if waiting is None else (waiting.reason, waiting.message)


async def events_of(client: Any, name: str) -> dict[str, str]:
    """The Events about an object: the newest message of each reason."""
    events = (await client.list(Event, field_selector=f"involvedObject.name={name}")).items
    return {event.reason: event.message for event in events}


# Containers


@virtual_time
@pytest.mark.parametrize(("name", "exit_code"), [("crash", 3), ("missing", 128)])
async def test_a_container_that_ends_again_and_again_is_held_back_longer_and_longer(name: str, exit_code: int) -> None:
    starts = Starts()
    async with PlaneHarness(nodes=1, script=Script(container=starts)) as harness:
        made = await harness.client.create(pod("a", containers=(container(name),)))
        await anyio.sleep(60)
        seen = await harness.client.get(Pod, "a")
        named = f"container={name} pod=a_default({made.metadata.uid})"
        assert waiting_of(seen) == ("CrashLoopBackOff", f"back-off 40s restarting failed {named}")
        status = seen.status.container_statuses[0]
        assert status.last_state.terminated is not None
        assert (status.restart_count, status.last_state.terminated.exit_code) == (3, exit_code)
        assert (seen.status.phase, condition(seen, "Ready").status) == ("Running", "False")
        events = await events_of(harness.client, "a")
        assert events["BackOff"].startswith(f"Back-off restarting failed container {name} in pod a_default")
        await anyio.sleep(HOUR_SECONDS)
    times = starts.times[name]
    pauses = [round(later - earlier) for earlier, later in itertools.pairwise(times)]
    took = 1 if name == "crash" else 0
    assert pauses[:6] == [took, 10 + took, 20 + took, 40 + took, 80 + took, 160 + took]
    assert set(pauses[6:]) == {300 + took}


@virtual_time
async def test_a_container_whose_liveness_probe_never_succeeds_is_restarted_at_a_bounded_pace() -> None:
    starts = Starts()
    async with PlaneHarness(nodes=1, script=Script(container=starts)) as harness:
        await harness.client.create(pod("a", containers=(container("dead", liveness_probe=PROBE),)))
        await anyio.sleep(30)
        events = await events_of(harness.client, "a")
        assert events["Unhealthy"] == "Liveness probe failed: it is broken"
        assert events["Killing"] == "Container dead failed liveness probe, will be restarted"
        await anyio.sleep(HOUR_SECONDS)
        assert (await harness.client.get(Pod, "a")).status.container_statuses[0].restart_count >= 5
    assert len(starts.times["dead"]) < 40


@virtual_time
async def test_a_readiness_probe_that_never_succeeds_keeps_a_pod_out_of_its_service() -> None:
    starts = Starts()
    async with PlaneHarness(nodes=1, script=Script(container=starts)) as harness:
        await harness.client.create(service("web"))
        labels = {"app": "web"}
        await harness.client.create(
            pod("a", labels=labels, containers=(container("unready", readiness_probe=PROBE, port=80),))
        )
        await anyio.sleep(600)
        seen = await harness.client.get(Pod, "a")
        assert (seen.status.phase, condition(seen, "Ready").reason) == ("Running", "ContainersNotReady")
        assert (await events_of(harness.client, "a"))["Unhealthy"] == "Readiness probe failed: it is broken"
        (endpoints,) = (await harness.client.list(EndpointSlice)).items
        assert [one.conditions.ready for one in endpoints.endpoints] == [False]
    assert len(starts.times["unready"]) == 1


@virtual_time
async def test_an_image_that_may_not_be_pulled_is_reported() -> None:
    starts = Starts()
    async with PlaneHarness(nodes=1, script=Script(container=starts)) as harness:
        await harness.client.create(pod("a", containers=(container(image="absent:1", image_pull_policy="Never"),)))
        await anyio.sleep(600)
        seen = await harness.client.get(Pod, "a")
        text = 'Container image "absent:1" is not present with pull policy of Never'
        assert (seen.status.phase, waiting_of(seen)) == ("Pending", ("ErrImageNeverPull", text))
        events = await events_of(harness.client, "a")
        assert (events["ErrImageNeverPull"], events["Failed"]) == (text, "Error: ErrImageNeverPull")
    assert starts.times == {}


@virtual_time
async def test_a_missing_config_map_is_reported_and_its_appearance_noticed() -> None:
    async with PlaneHarness(nodes=1) as harness:
        client = harness.client
        await client.create(pod("env", containers=(container(env=(EnvVar(name="A", value_from=ABSENT_KEY),)),)))
        volume = Volume(name="v", config_map=ConfigMapVolumeSource(name="settings"))
        mount = VolumeMount(name="v", mount_path="/v")
        await client.create(pod("mount", containers=(container(volume_mounts=(mount,)),), volumes=(volume,)))
        await anyio.sleep(30)
        text = 'configmap "settings" not found'
        assert waiting_of(await client.get(Pod, "env")) == ("CreateContainerConfigError", text)
        assert (await events_of(client, "env"))["Failed"] == f"Error: {text}"
        assert waiting_of(await client.get(Pod, "mount"))[0] == "ContainerCreating"
        assert (await events_of(client, "mount"))["FailedMount"] == f'MountVolume.SetUp failed for volume "v" : {text}'
        await client.create(config_map("settings", {"k": "v"}))
        for name in ("env", "mount"):
            await client.wait_for(Pod, name, condition="Ready", timeout=300)


async def test_failing_programs_are_reported_by_the_process_runtime(tmp_path: Path) -> None:
    fails = Probe(exec=ExecAction(command=("sh", "-c", "echo not yet; exit 1")), period_seconds=1)
    pods = {
        "missing": container(command=("/no/such/program",)),
        "crash": container(command=("sh", "-c", "echo oops; exit 3")),
        "never": container(command=("true",), image="absent", image_pull_policy="Never"),
        "config": container(command=("true",), env=(EnvVar(name="A", value_from=ABSENT_KEY),)),
        "unready": container(command=("sleep", "600"), readiness_probe=fails),
    }
    node = NodeAgent("node-0", runtime=ProcessRuntime(root=tmp_path / "node"))
    async with ControlPlane(nodes=[node]) as plane:
        client = plane.client
        for name, one in pods.items():
            await client.create(pod(name, containers=(one,), termination_grace_period_seconds=1))

        async def reason(name: str, wanted: str) -> Pod:
            return await client.wait_for(
                Pod,
                name,
                predicate=lambda p: bool(p.status.container_statuses) and waiting_of(p)[0] == wanted,
                timeout=WAIT_SECONDS,
            )

        crashed = (await reason("crash", "CrashLoopBackOff")).status.container_statuses[0].last_state.terminated
        missing = (await reason("missing", "CrashLoopBackOff")).status.container_statuses[0].last_state.terminated
        assert crashed is not None
        assert missing is not None
        assert (crashed.exit_code, crashed.reason) == (3, "Error")
        assert (missing.exit_code, missing.reason) == (128, "StartError")
        assert 'exec: "/no/such/program": stat /no/such/program: no such file or directory' in missing.message
        await reason("never", "ErrImageNeverPull")
        await reason("config", "CreateContainerConfigError")
        async with client.logs("crash", options=LogOptions(previous=True)) as chunks:
            assert b"".join([chunk async for chunk in chunks]) == b"oops\n"
        with anyio.fail_after(WAIT_SECONDS):
            while "Unhealthy" not in (await events_of(client, "unready")):
                await anyio.sleep(0.05)
        assert (await events_of(client, "unready"))["Unhealthy"] == "Readiness probe failed: not yet\n"
        assert condition(await client.get(Pod, "unready"), "Ready").status != "True"
    assert users_of(tmp_path) == []


# Scheduling and rollouts


@virtual_time
async def test_a_pod_that_fits_nowhere_says_why_for_how_many_nodes_and_is_tried_again_when_that_helps() -> None:
    async with PlaneHarness(nodes=3) as harness:
        client = harness.client
        cordoned = await client.get(Node, "node-2")
        await client.update(attrs.evolve(cordoned, spec=attrs.evolve(cordoned.spec, unschedulable=True)))
        await client.create(pod("big", cpu=100))
        await client.create(pod("picky", node_selector={"disk": "ssd"}))
        await anyio.sleep(60)
        text = "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu."
        big = condition(await client.get(Pod, "big"), "PodScheduled")
        assert (big.status, big.reason) == ("False", "Unschedulable")
        assert big.message.startswith(text)
        assert (await events_of(client, "big"))["FailedScheduling"].startswith(text)
        picky = condition(await client.get(Pod, "picky"), "PodScheduled").message
        assert "2 node(s) didn't match Pod's node affinity/selector" in picky
        patch = Patch(PatchType.MERGE, {"metadata": {"labels": {"disk": "ssd"}}})
        await client.patch(Node, "node-0", patch)
        assert (await client.wait_for(Pod, "picky", condition="Ready", timeout=60)).spec.node_name == "node-0"


@virtual_time
async def test_a_rollout_that_was_scaled_when_it_was_stuck_goes_on_with_the_next_template() -> None:
    """One of the two ReplicaSets gets no share of the change; it must not be taken for a change ever after."""
    async with PlaneHarness(nodes=1, script=Script(container=Starts())) as harness:
        client = harness.client
        await client.create(deployment("web", replicas=2))
        await harness.settle()

        async def template(**fields: Any) -> None:
            body = [{"op": "replace", "path": "/spec/template/spec/containers/0", "value": fields}]
            await client.patch(Deployment, "web", Patch(PatchType.JSON, body))

        stuck = {"httpGet": {"port": 80}, "periodSeconds": 2}
        await template(name="unready", image="app:2", readinessProbe=stuck)
        await harness.settle()
        assert len(await harness.pods()) == 3
        await client.scale(Deployment, "web", 1)
        await harness.settle()
        await template(name="main", image="app:3")
        await harness.settle()
        assert [one.spec.containers[0].image for one in await harness.pods()] == ["app:3"]


# Nodes


async def containers_on(harness: PlaneHarness, node: str) -> int:
    wanted = pb.ContainerFilter(state=pb.ContainerStateValue(state=pb.CONTAINER_RUNNING))
    listed = await harness.runtimes[node].list_containers(pb.ListContainersRequest(filter=wanted))
    return len(listed.containers)


@virtual_time
async def test_the_pods_of_a_silent_node_are_replaced_elsewhere_and_ended_when_it_returns() -> None:
    async with PlaneHarness(nodes=3) as harness:
        client = harness.client
        await client.create(service("web"))
        await client.create(deployment("web", replicas=6))
        await harness.settle()
        assert await containers_on(harness, "node-1") == 2
        await harness.plane.remove_node("node-1")
        await anyio.sleep(30)
        assert condition(await client.get(Node, "node-1"), "Ready").status == "True"
        await anyio.sleep(25)  # 40 s without a sign of life, which was at most 10 s before it fell silent
        node = await client.get(Node, "node-1")
        ready = condition(node, "Ready")
        assert (ready.status, ready.reason) == ("Unknown", "NodeStatusUnknown")
        taints = {(taint.key, taint.effect) for taint in node.spec.taints}
        assert taints >= {("node.kubernetes.io/unreachable", effect) for effect in ("NoSchedule", "NoExecute")}
        slices = (await client.list(EndpointSlice)).items
        up = [one.node_name or "" for part in slices for one in part.endpoints if one.conditions.ready]
        assert sorted(up) == ["node-0", "node-0", "node-2", "node-2"]
        await anyio.sleep(300)
        await harness.settle()
        living = [one for one in await harness.pods() if one.metadata.deletion_timestamp is None]
        assert sorted(one.spec.node_name for one in living) == ["node-0"] * 3 + ["node-2"] * 3
        assert await containers_on(harness, "node-1") == 2  # nobody there ends them
        await harness.plane.add_node(harness.new_node("node-1"))
        await harness.settle(quiet_seconds=5)
        assert await containers_on(harness, "node-1") == 0
        node = await client.get(Node, "node-1")
        assert (condition(node, "Ready").status, node.spec.taints) == ("True", ())
        assert {one.metadata.uid for one in await harness.pods()} == {one.metadata.uid for one in living}


@virtual_time
async def test_a_node_that_is_silent_for_a_short_time_keeps_its_pods() -> None:
    async with PlaneHarness(nodes=2) as harness:
        await harness.client.create(deployment("web", replicas=4))
        await harness.settle()
        before = await harness.pods()
        await harness.plane.remove_node("node-1")
        await anyio.sleep(120)  # it is found unreachable, but Pods tolerate that for 300 s
        await harness.plane.add_node(harness.new_node("node-1"))
        await anyio.sleep(600)
        after = await harness.pods()
        assert [one.metadata.uid for one in after] == [one.metadata.uid for one in before]
        assert [one.status.container_statuses[0].restart_count for one in after] == [0] * 4
        assert all(condition(one, "Ready").status == "True" for one in after)


# Nothing to do


@virtual_time
async def test_an_idle_cluster_writes_heartbeats_only_and_hardly_wakes_up() -> None:
    nodes = 10
    loop: Any = asyncio.get_running_loop()
    rounds, run_once = 0, loop._run_once

    def counted() -> None:
        nonlocal rounds
        rounds += 1
        run_once()

    loop._run_once = counted
    writes: Counter[str] = Counter()

    async def count(harness: PlaneHarness) -> None:
        async with harness.plane.store.watch(WatchRequest(b"\0", b"\0")) as watch:
            async for batch in watch:
                writes.update(event.kv.key.decode().split("/")[3] for event in batch.events)

    async with PlaneHarness(nodes=nodes) as harness:
        await harness.client.create(deployment("web", replicas=3 * nodes))
        await harness.client.create(service("web"))
        await harness.settle()
        await anyio.sleep(1.5 * HOUR_SECONDS)  # the Events of the beginning have expired
        store = harness.plane.store
        before, rounds = await store.status(), 0
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(count, harness)
            await anyio.sleep(HOUR_SECONDS)
            tasks.cancel_scope.cancel()
        after = await store.status()
    assert set(writes) == {"leases", "nodes"}
    assert writes["leases"] <= nodes * HOUR_SECONDS / 10
    assert writes["nodes"] <= nodes * HOUR_SECONDS / 300
    assert after.keys == before.keys
    assert after.revision - after.compact_revision <= 2 * (nodes * 300 / 10 + nodes)
    assert rounds < HOUR_SECONDS
