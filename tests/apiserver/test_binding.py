"""Binding a Pod: what is written without being decoded again is what decoding would give."""

from __future__ import annotations

import anyio
import attrs
import orjson
import pytest

from orchestra.api.builders import node, pod
from orchestra.api.codec import decode
from orchestra.api.core.pod import Pod
from orchestra.apiserver import APIServer
from orchestra.apiserver.interface import AdmissionRequest, Document
from orchestra.client.interface import DeleteOptions, Patch, PatchType
from orchestra.errors import Conflict, NotFound
from orchestra.store import MemoryStore

CONDITIONS = {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}, {"type": "Mine"}]}


class Notes:
    """Admission that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def admit(self, request: AdmissionRequest) -> Document | None:
        self.asked.append(f"{request.operation} {request.info.plural}/{request.subresource}")
        return None


async def test_a_bound_pod_is_as_if_it_had_been_decoded() -> None:
    async with MemoryStore() as store, APIServer(store) as server:
        await server.create(node("n1", labels={"topology.kubernetes.io/zone": "a", "disk": "ssd"}))
        await server.create(pod("p", cpu=1, labels={"app": "web"}))
        await server.patch(Pod, "p", Patch(PatchType.MERGE, {"status": CONDITIONS}), subresource="status")
        await anyio.wait_all_tasks_blocked()  # until the caches know node and Pod
        revision = await server.bind("p", "n1")
        found = await server.get(Pod, "p")
        stored = await store.get(b"/registry/core/pods/default/p")
    assert stored is not None
    assert stored.mod_revision == revision == int(found.metadata.resource_version)
    fresh = decode(orjson.loads(stored.value), Pod)
    assert found == attrs.evolve(fresh, metadata=attrs.evolve(fresh.metadata, resource_version=str(revision)))
    assert found.spec.node_name == "n1"
    assert found.metadata.labels == {"app": "web", "topology.kubernetes.io/zone": "a"}
    assert [(c.type, c.status) for c in found.status.conditions] == [("Mine", ""), ("PodScheduled", "True")]


async def test_a_binding_passes_admission_like_any_write() -> None:
    notes = Notes()
    async with MemoryStore() as store, APIServer(store, admission=[notes]) as server:
        await server.create(pod("p"))
        await server.bind("p", "n1")
        assert notes.asked[-1] == "UPDATE pods/binding"
        assert (await server.get(Pod, "p")).spec.node_name == "n1"


async def test_a_pod_whose_fields_have_owners_keeps_them_when_it_is_bound() -> None:
    async with MemoryStore() as store, APIServer(store) as server:
        await server.apply(server.scheme.encode(pod("p")))
        await server.bind("p", "n1")
        found = await server.get(Pod, "p")
    # Kubernetes too binds past the managers of fields: nobody owns a Pod's node.
    assert [entry.operation for entry in found.metadata.managed_fields] == ["Apply"]


async def test_what_the_caches_do_not_know_yet_is_looked_up() -> None:
    async with MemoryStore() as store, APIServer(store) as server:
        await server.create(pod("p"))
        await server.bind("p", "n1")  # no other task has had a turn: the caches know of no Pod
        with pytest.raises(Conflict, match="already assigned"):
            await server.bind("p", "n2")
        await server.delete(Pod, "p", options=DeleteOptions(grace_period_seconds=0))
        with pytest.raises(NotFound):
            await server.bind("p", "n2")
