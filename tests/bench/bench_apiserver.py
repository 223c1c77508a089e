"""How fast the API server is in process, beside the goals: `python -m tests.bench.bench_apiserver`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import perf_counter

import anyio
import anyio.lowlevel
import attrs

from orchestra.api.core import Pod, PodStatus
from orchestra.api.core.config import ConfigMap
from orchestra.api.decoding import decoder_of
from orchestra.apiserver import APIServer
from orchestra.client.interface import WriteOptions
from orchestra.store.memory import MemoryStore
from tests.bench.figure import Figure

PODS = 2_000
LISTED = 10_000
WATCHERS = 1_000
ROUNDS = 3

TEMPLATE = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "namespace": "default",
        "labels": {"app": "web", "pod-template-hash": "7f8b9c6d5"},
        "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7f8b9c6d5", "uid": "u", "controller": True}
        ],
    },
    "spec": {
        "containers": [
            {
                "name": "app",
                "image": "registry.example/web:1.2.3",
                "command": ["/bin/web", "--port=8080"],
                "ports": [{"name": "http", "containerPort": 8080}],
                "env": [
                    {"name": "MODE", "value": "production"},
                    {"name": "LEVEL", "value": "info"},
                    {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                    {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "web", "key": "token"}}},
                    {"name": "GREETING", "valueFrom": {"configMapKeyRef": {"name": "web", "key": "greeting"}}},
                ],
                "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
                "livenessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 5},
                "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "initialDelaySeconds": 1},
                "volumeMounts": [
                    {"name": "config", "mountPath": "/etc/web"},
                    {"name": "scratch", "mountPath": "/var/tmp/web"},
                ],
            }
        ],
        "volumes": [
            {"name": "config", "configMap": {"name": "web"}},
            {"name": "scratch", "emptyDir": {}},
        ],
    },
}
"""The kind of Pod that a real Deployment makes."""


def pods(count: int) -> list[Pod]:
    made = decoder_of(Pod)(TEMPLATE)
    assert isinstance(made, Pod)
    return [attrs.evolve(made, metadata=attrs.evolve(made.metadata, name=f"web-{index:05}")) for index in range(count)]


async def seconds(work: Callable[[], Awaitable[object]]) -> float:
    started = perf_counter()
    await work()
    return perf_counter() - started


async def writes() -> list[Figure]:
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        async with MemoryStore() as store, APIServer(store) as server:
            given = pods(PODS)
            made: list[Pod] = []

            async def create() -> None:
                made.extend([await server.create(pod) for pod in given])

            async def status() -> None:
                for pod in made:
                    await server.update(attrs.evolve(pod, status=PodStatus(phase="Running")), subresource="status")

            async def bind() -> None:
                for pod in made:
                    await server.bind(pod.metadata.name, "node-1", uid=pod.metadata.uid)

            async def update() -> None:
                for pod in (await server.list(Pod)).items:
                    meta = attrs.evolve(pod.metadata, annotations={"a": "b"})
                    await server.update(attrs.evolve(pod, metadata=meta))

            for name, work in (("create", create), ("status", status), ("bind", bind), ("update", update)):
                best[name] = max(best.get(name, 0.0), PODS / await seconds(work))
    return [
        Figure("create a Pod in process", best["create"], "/s", ">= 4,000/s", best["create"] >= 4000),
        Figure("update a Pod in process", best["update"], "/s", ">= 4,000/s", best["update"] >= 4000),
        Figure("update a Pod's status", best["status"], "/s", ">= 4,000/s", best["status"] >= 4000),
        Figure("bind a Pod", best["bind"], "/s", "", None),
    ]


async def lists() -> list[Figure]:
    async with MemoryStore() as store, APIServer(store) as server:
        for pod in pods(LISTED):
            await server.create(pod)
        await server.list(Pod)
        warm = min([await seconds(lambda: server.list(Pod)) for _ in range(ROUNDS)]) * 1e3
        got = 5_000 / await seconds(lambda: _gets(server))
    return [
        Figure("list 10,000 Pods, typed", warm, "ms", "< 5 ms", warm < 5),
        Figure("get a Pod", got, "/s", "", None),
    ]


async def _gets(server: APIServer) -> None:
    for index in range(5_000):
        await server.get(Pod, f"web-{index:05}")


async def fan_out() -> list[Figure]:
    async with MemoryStore() as store, APIServer(store) as server, anyio.create_task_group() as tasks:
        seen = 0
        done = anyio.Event()
        ready = 0

        async def follow() -> None:
            nonlocal seen, ready
            async with server.watch(ConfigMap) as watch:
                ready += 1
                while True:
                    batch = await watch.next_batch()
                    seen += len(batch)
                    if seen >= WATCHERS:
                        done.set()

        for _ in range(WATCHERS):
            tasks.start_soon(follow)
        while ready < WATCHERS:
            await anyio.lowlevel.checkpoint()
        best = 1e9
        for index in range(ROUNDS):
            seen, done = 0, anyio.Event()
            started = perf_counter()
            document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"c{index}"}}
            await server.create(decoder_of(ConfigMap)(document))
            await done.wait()
            best = min(best, perf_counter() - started)
        tasks.cancel_scope.cancel()
    return [Figure("one event to 1,000 in-process watchers", best * 1e3, "ms", "< 15 ms", best < 0.015)]


async def applies() -> list[Figure]:
    count = 500
    document = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": TEMPLATE["spec"]},
        },
    }
    async with MemoryStore() as store, APIServer(store) as server:

        async def work() -> None:
            for index in range(count):
                changed = {**document, "spec": {**document["spec"], "replicas": index}}  # type: ignore[dict-item]
                await server.apply(changed, options=WriteOptions(field_manager="bench"))

        rate = count / await seconds(work)
    return [Figure("server-side apply of a Deployment", rate, "/s", ">= 1,200/s", rate >= 1200)]


def run() -> list[Figure]:
    """Measure everything once and return the figures."""

    async def all_of_them() -> list[Figure]:
        return [*await writes(), *await lists(), *await fan_out(), *await applies()]

    return anyio.run(all_of_them)


if __name__ == "__main__":
    for figure in run():
        print(figure)
