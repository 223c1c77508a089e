"""What a namespace lets its objects use: LimitRanges, ResourceQuotas, default storage classes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from orchestra.apiserver import APIServer
from orchestra.apiserver.interface import IN_PROCESS
from orchestra.apiserver.writes import Call
from orchestra.client.interface import Patch, PatchType, WriteOptions
from orchestra.errors import Forbidden
from orchestra.store import MemoryStore
from orchestra.testing import VirtualClock

Document = dict[str, Any]
pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


@asynccontextmanager
async def serving() -> AsyncIterator[APIServer]:
    clock = VirtualClock()
    async with MemoryStore(clock=clock) as store, APIServer(store, clock=clock) as server:
        yield server


async def create(server: APIServer, kind: str, name: str = "a", *, dry_run: bool = False, **fields: Any) -> Document:
    version = "storage.k8s.io/v1" if kind == "StorageClass" else "v1"
    document = {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **fields}
    call = Call(user=IN_PROCESS, options=WriteOptions(dry_run=dry_run))
    record = await server.documents.create(server.scheme.info(version, kind), document, "default", call)
    return record.document


async def read(server: APIServer, kind: str, name: str = "a") -> Document:
    return (await server.documents.get(server.scheme.info("v1", kind), name, "default", IN_PROCESS)).document


def pod_spec(**resources: Any) -> Document:
    return {"containers": [{"name": "c", "image": "i", "resources": resources}]}


async def quota(server: APIServer, hard: Document, name: str = "a", **spec: Any) -> None:
    await create(server, "ResourceQuota", name, spec={"hard": hard, **spec})
    status = {"status": {"hard": hard, "used": dict.fromkeys(hard, "0")}}
    info = server.scheme.info("v1", "ResourceQuota")
    patch = Patch(PatchType.MERGE, status)
    await server.documents.patch(info, name, "default", patch, Call(user=IN_PROCESS), subresource="status")


async def used(server: APIServer, name: str = "a") -> Document:
    found: Document = (await read(server, "ResourceQuota", name))["status"]["used"]
    return found


async def test_pods_that_are_made_at_one_moment_never_exceed_a_quota_on_several_servers_either() -> None:
    clock = VirtualClock()
    made: list[str] = []
    async with (
        MemoryStore(clock=clock) as store,
        APIServer(store, clock=clock) as one,
        APIServer(store, clock=clock) as two,
    ):
        await quota(one, {"pods": "7"})

        async def make(server: APIServer, name: str) -> None:
            try:
                await create(server, "Pod", name, spec=pod_spec())
            except Forbidden:
                return
            made.append(name)

        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(make, (one, two)[number % 2], f"p{number}")
        assert len(made) == 7
        assert await used(one) == {"pods": "7"}


async def test_a_dry_run_is_refused_as_another_but_charges_nothing() -> None:
    async with serving() as server:
        await quota(server, {"pods": "1"})
        await create(server, "Pod", spec=pod_spec(), dry_run=True)
        assert await used(server) == {"pods": "0"}
        await create(server, "Pod", "b", spec=pod_spec())
        with pytest.raises(Forbidden, match="exceeded quota: a, requested: pods=1, used: pods=1, limited: pods=1"):
            await create(server, "Pod", "c", spec=pod_spec(), dry_run=True)


async def test_objects_are_counted_by_their_kind_and_services_by_what_they_take() -> None:
    async with serving() as server:
        await quota(server, {"count/configmaps": "1", "configmaps": "5", "services.nodeports": "1"})
        await create(server, "ConfigMap")
        assert await used(server) == {"count/configmaps": "1", "configmaps": "1", "services.nodeports": "0"}
        with pytest.raises(Forbidden, match="requested: count/configmaps=1, used: count/configmaps=1"):
            await create(server, "ConfigMap", "b")
        service = await create(server, "Service", spec={"ports": [{"port": 80}]})
        ports = {**service, "spec": {**service["spec"], "type": "NodePort"}}
        info = server.scheme.info("v1", "Service")
        await server.documents.update(info, ports, "default", Call(user=IN_PROCESS))
        assert (await used(server))["services.nodeports"] == "1"
        with pytest.raises(Forbidden, match=r"services\.nodeports=1"):
            await create(server, "Service", "b", spec={"type": "NodePort", "ports": [{"port": 80}]})


@pytest.mark.parametrize(
    ("scope", "inside", "outside"),
    [
        ("Terminating", {"activeDeadlineSeconds": 5}, {}),
        ("NotTerminating", {}, {"activeDeadlineSeconds": 5}),
        ("BestEffort", {}, pod_spec(requests={"cpu": "1"})),
        ("NotBestEffort", pod_spec(requests={"cpu": "1"}), {}),
        (
            "CrossNamespacePodAffinity",
            {
                "affinity": {
                    "podAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": [
                            {"topologyKey": "x", "namespaces": ["y"], "labelSelector": {}}
                        ]
                    }
                }
            },
            {},
        ),
    ],
)
async def test_a_quota_counts_what_is_in_its_scope(scope: str, inside: Document, outside: Document) -> None:
    async with serving() as server:
        await quota(server, {"pods": "1"}, scopes=[scope])
        await create(server, "Pod", "a", spec={**pod_spec(), **outside})
        assert await used(server) == {"pods": "0"}
        await create(server, "Pod", "b", spec={**pod_spec(), **inside})
        assert await used(server) == {"pods": "1"}


async def test_a_quota_that_nobody_has_counted_refuses() -> None:
    async with serving() as server:
        await create(server, "ResourceQuota", spec={"hard": {"pods": "1"}})
        info = server.scheme.info("v1", "ResourceQuota")
        patch = Patch(PatchType.MERGE, {"status": {"hard": {"pods": "1"}}})
        await server.documents.patch(info, "a", "default", patch, Call(user=IN_PROCESS), subresource="status")
        with pytest.raises(Forbidden, match="status unknown for quota: a, resources: pods"):
            await create(server, "Pod", spec=pod_spec())


async def test_containers_get_what_a_limit_range_gives_and_the_pod_says_so() -> None:
    async with serving() as server:
        item = {"type": "Container", "default": {"cpu": "2"}, "defaultRequest": {"cpu": "1", "memory": "1Mi"}}
        await create(server, "LimitRange", spec={"limits": [item]})
        made = await create(server, "Pod", spec=pod_spec(requests={"memory": "2Mi"}))
        assert made["spec"]["containers"][0]["resources"] == {
            "requests": {"memory": "2Mi", "cpu": "1"},
            "limits": {"cpu": "2"},
        }
        told = "LimitRanger plugin set: cpu request for container c; cpu limit for container c"
        assert made["metadata"]["annotations"] == {"kubernetes.io/limit-ranger": told}
        assert made["status"]["qosClass"] == "Burstable"


@pytest.mark.parametrize(
    ("item", "resources", "told"),
    [
        (
            {"type": "Container", "min": {"cpu": "100m"}},
            {"requests": {"cpu": "50m"}},
            "minimum cpu usage per Container is 100m, but request is 50m",
        ),
        (
            {"type": "Container", "max": {"cpu": "1"}},
            {"limits": {"cpu": "2"}},
            "maximum cpu usage per Container is 1, but limit is 2",
        ),
        (
            {"type": "Pod", "max": {"cpu": "1"}},
            {},
            "maximum cpu usage per Pod is 1.  No limit is specified",
        ),
        (
            {"type": "Pod", "min": {"cpu": "1", "memory": "5"}},
            {"requests": {"cpu": "1m", "memory": "2"}},
            "[minimum cpu usage per Pod is 1, but request is 1m, minimum memory usage per Pod is 5, but request is 2]",
        ),
        (
            {"type": "Container", "maxLimitRequestRatio": {"cpu": "2"}},
            {"requests": {"cpu": "1"}, "limits": {"cpu": "3"}},
            "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000",
        ),
    ],
)
async def test_pods_outside_a_limit_range_are_refused(item: Document, resources: Document, told: str) -> None:
    async with serving() as server:
        await create(server, "LimitRange", spec={"limits": [item]})
        with pytest.raises(Forbidden) as refused:
            await create(server, "Pod", spec=pod_spec(**resources))
        assert refused.value.message == f'pods "a" is forbidden: {told}'


def claim(size: str, **spec: Any) -> Document:
    return {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **spec}


async def test_a_claim_gets_the_newest_default_class_and_grows_only_where_its_class_lets_it() -> None:
    async with serving() as server:
        for name in ("old", "new"):
            default = {"storageclass.kubernetes.io/is-default-class": "true"}
            document: Document = {"metadata": {"name": name, "annotations": default}, "provisioner": "example.com/disk"}
            await create(server, "StorageClass", name, **document)
            await anyio.sleep(1)
        made = await create(server, "PersistentVolumeClaim", spec=claim("1Gi"))
        assert made["spec"]["storageClassName"] == "new"
        assert (await create(server, "PersistentVolumeClaim", "b", spec=claim("1Gi", storageClassName="")))["spec"][
            "storageClassName"
        ] == ""
        info, call = server.scheme.info("v1", "PersistentVolumeClaim"), Call(user=IN_PROCESS)
        bound = Patch(PatchType.MERGE, {"status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}})
        await server.documents.patch(info, "a", "default", bound, call, subresource="status")
        grow = Patch(PatchType.MERGE, {"spec": {"resources": {"requests": {"storage": "2Gi"}}}})
        with pytest.raises(Forbidden, match="the storageclass that provisions the pvc must support resize"):
            await server.documents.patch(info, "a", "default", grow, call)
        allow = Patch(PatchType.MERGE, {"allowVolumeExpansion": True})
        await server.documents.patch(server.scheme.info("storage.k8s.io/v1", "StorageClass"), "new", "", allow, call)
        grown = await server.documents.patch(info, "a", "default", grow, call)
        assert grown.document["spec"]["resources"]["requests"]["storage"] == "2Gi"


async def test_a_claim_outside_a_limit_range_is_refused_and_counted_by_its_class() -> None:
    async with serving() as server:
        await create(
            server, "LimitRange", spec={"limits": [{"type": "PersistentVolumeClaim", "max": {"storage": "2Gi"}}]}
        )
        with pytest.raises(
            Forbidden, match="maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi"
        ):
            await create(server, "PersistentVolumeClaim", spec=claim("3Gi"))
        counted = "fast.storageclass.storage.k8s.io/requests.storage"
        await quota(server, {counted: "3Gi", "requests.storage": "9Gi"})
        await create(server, "PersistentVolumeClaim", spec=claim("2Gi", storageClassName="fast"))
        assert await used(server) == {counted: "2Gi", "requests.storage": "2Gi"}
        await create(server, "PersistentVolumeClaim", "b", spec=claim("2Gi", storageClassName="slow"))
        with pytest.raises(Forbidden, match="exceeded quota"):
            await create(server, "PersistentVolumeClaim", "c", spec=claim("2Gi", storageClassName="fast"))
