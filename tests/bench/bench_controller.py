"""What the controller loop costs. `python -m tests.bench.bench_controller` prints it."""

from __future__ import annotations

import time
from typing import Any

import anyio
import attrs

from orchestra.api import builders
from orchestra.api.core import ConfigMap, Pod, PodCondition
from orchestra.api.object import ObjectMeta, OwnerReference
from orchestra.api.rules.conditions import set_condition
from orchestra.apiserver import APIServer
from orchestra.client.interface import DeleteOptions, Patch, PatchType
from orchestra.clock import SystemClock
from orchestra.controller import Context, EventRecorder, Manager, Result, SharedInformers, controller
from orchestra.lifecycle import GarbageCollector
from orchestra.store import MemoryStore
from tests.bench.figure import Figure

PODS = 3000
WATCHERS = 10
SYNCED = 20000
DEPENDENTS = 1000


def pod(number: int, **meta: Any) -> Pod:
    made = builders.pod(f"p{number}", cpu="100m", memory="64Mi", labels={"app": "web"})
    return attrs.evolve(made, metadata=attrs.evolve(made.metadata, **meta))


async def reconciles_per_second(server: APIServer, clock: SystemClock) -> float:
    """Every Pod is reconciled once, writing its status, and once more because of that write."""
    done = anyio.Event()
    finished: set[str] = set()

    @controller("bench", for_=Pod, workers=4)
    async def report(obj: Pod, ctx: Context) -> Result | None:
        ready = PodCondition(type="Ready", status="True")
        conditions = set_condition(obj.status.conditions, ready, ctx.clock.now())
        if conditions is not obj.status.conditions:
            status = attrs.evolve(obj.status, phase="Running", conditions=conditions)
            await ctx.client.update(attrs.evolve(obj, status=status), subresource="status")
        else:
            finished.add(obj.metadata.name)
            if len(finished) == PODS:
                done.set()
        return None

    for number in range(PODS):
        await server.create(pod(number))
    manager = Manager(server, clock=clock, controllers=(report,))
    async with anyio.create_task_group() as tasks:
        began = time.perf_counter()
        await tasks.start(manager.run)
        await done.wait()
        seconds = time.perf_counter() - began
        reconciles = manager.runners["bench"].counters.reconciles
        tasks.cancel_scope.cancel()
    return reconciles / seconds


async def cost_per_event(server: APIServer, clock: SystemClock) -> float:
    """Microseconds that one more informer adds to the delivery of one event."""

    async def measure(watchers: int) -> float:
        async with anyio.create_task_group() as tasks:
            caches = []
            for _ in range(watchers):
                informers = SharedInformers(server, clock=clock)
                await tasks.start(informers.run)
                caches.append(informers.informer(Pod))
            for cache in caches:
                await cache.wait_synced()
            began = time.perf_counter()
            obj: Pod | None = None
            for number in range(1000):
                patch = Patch(PatchType.MERGE, {"metadata": {"labels": {"n": f"{watchers}-{number}"}}})
                obj = await server.patch(Pod, f"p{number}", patch)
                await anyio.sleep(0)
            assert obj is not None
            for cache in caches:
                await cache.wait_revision(int(obj.metadata.resource_version))
            seconds = time.perf_counter() - began
            tasks.cancel_scope.cancel()
        return seconds

    few, many = await measure(1), await measure(1 + WATCHERS)
    return (many - few) / (1000 * WATCHERS) * 1e6


async def sync_seconds(server: APIServer, clock: SystemClock) -> float:
    """Seconds until a new informer has all Pods, scaled to 100,000."""
    for number in range(PODS, SYNCED):
        await server.create(pod(number))
    async with anyio.create_task_group() as tasks:
        informers = SharedInformers(server, clock=clock)
        began = time.perf_counter()
        cache = informers.informer(Pod)
        await tasks.start(informers.run)
        await cache.wait_synced()
        seconds = time.perf_counter() - began
        tasks.cancel_scope.cancel()
    return seconds * 100_000 / SYNCED


async def collection_seconds(server: APIServer, clock: SystemClock) -> float:
    """Seconds until the dependents of an owner are gone after it was deleted in the background."""
    owner = await server.create(ConfigMap(metadata=ObjectMeta(name="owner", namespace="kube-public")))
    reference = OwnerReference(api_version="v1", kind="ConfigMap", name="owner", uid=owner.metadata.uid)
    for number in range(DEPENDENTS):
        await server.create(pod(number, namespace="kube-public", owner_references=(reference,)))
    async with anyio.create_task_group() as tasks:
        collector = GarbageCollector()
        await tasks.start(Manager(server, clock=clock, controllers=(collector,)).run)
        began = time.perf_counter()
        options = DeleteOptions(propagation_policy="Background")
        await server.delete(ConfigMap, "owner", namespace="kube-public", options=options)
        while collector.removed < DEPENDENTS:
            await anyio.sleep(0.005)
        seconds = time.perf_counter() - began
        tasks.cancel_scope.cancel()
    return seconds


async def recording(server: APIServer, clock: SystemClock) -> float:
    """Microseconds that the caller of `normal` pays."""
    events = EventRecorder(server, clock=clock).events("bench")
    objects = [pod(number) for number in range(2000)]
    began = time.perf_counter()
    for obj in objects:
        events.normal(obj, "Made", "made")
    return (time.perf_counter() - began) / len(objects) * 1e6


async def main() -> list[Figure]:
    clock = SystemClock()
    async with MemoryStore() as store, APIServer(store, clock=clock) as server:
        rate = await reconciles_per_second(server, clock)
        event = await cost_per_event(server, clock)
        collected = await collection_seconds(server, clock)
        record = await recording(server, clock)
        synced = await sync_seconds(server, clock)
    return [
        Figure("reconciles with a status write each", rate, "1/s", ">= 2,500", rate >= 2500),
        Figure("one event in one more shared informer", event, "us", "< 60", event < 60),
        Figure("informer of 100,000 Pods synced", synced, "s", "< 3", synced < 3),
        Figure("1,000 Pods garbage collected", collected, "s", "< 1", collected < 1),
        Figure("recording one Event", record, "us", "", None),
    ]


def run() -> list[Figure]:
    """Measure everything."""
    return anyio.run(main)


if __name__ == "__main__":
    for figure in run():
        print(f"{figure.name}: {figure.value:.2f} {figure.unit} (goal {figure.goal or '-'})")
