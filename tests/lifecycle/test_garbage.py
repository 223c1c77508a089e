"""Garbage collection by owner references, over the real server."""

from __future__ import annotations

from typing import Any

import anyio
import attrs
import pytest

from orchestra.api.core import ConfigMap, Event, Node
from orchestra.api.object import Object, ObjectMeta, OwnerReference
from orchestra.apiserver import APIServer
from orchestra.client.interface import DeleteOptions, Patch, PatchType

pytestmark = pytest.mark.virtual_time

HOLD = ("example.com/hold",)


def owned_by(owner: Object, *, block: bool | None = None, controller: bool | None = None) -> OwnerReference:
    info, meta = owner.resource_info, owner.metadata
    return OwnerReference(
        api_version=info.api_version,
        kind=info.kind,
        name=meta.name,
        uid=meta.uid,
        block_owner_deletion=block,
        controller=controller,
    )


class Cluster:
    """Short words for what these tests do."""

    def __init__(self, server: APIServer) -> None:
        self.server = server

    async def make(self, name: str, *owners: OwnerReference, namespace: str = "default", **meta: Any) -> ConfigMap:
        metadata = ObjectMeta(name=name, namespace=namespace, owner_references=owners, **meta)
        return await self.server.create(ConfigMap(metadata=metadata))

    async def delete(self, name: str, policy: Any = None) -> None:
        await self.server.delete(ConfigMap, name, options=DeleteOptions(propagation_policy=policy))
        await self.settle()

    async def release(self, name: str) -> None:
        patch = Patch(PatchType.MERGE, {"metadata": {"finalizers": None}})
        await self.server.patch(ConfigMap, name, patch)
        await self.settle()

    async def settle(self) -> None:
        await anyio.sleep(2)

    async def names(self) -> list[str]:
        listed = (await self.server.list(ConfigMap, namespace="default")).items
        return [obj.metadata.name for obj in listed if obj.metadata.name != "kube-root-ca.crt"]

    async def get(self, name: str) -> ConfigMap:
        return await self.server.get(ConfigMap, name)

    async def messages(self, reason: str) -> list[str]:
        return [event.message for event in (await self.server.list(Event)).items if event.reason == reason]


@pytest.fixture
def cluster(server: APIServer) -> Cluster:
    return Cluster(server)


async def chain(cluster: Cluster) -> None:
    a = await cluster.make("a")
    b = await cluster.make("b", owned_by(a))
    await cluster.make("c", owned_by(b))


async def test_in_the_background_dependents_go_after_their_owner(cluster: Cluster) -> None:
    await chain(cluster)
    await cluster.delete("a", "Background")
    assert await cluster.names() == []


async def test_orphans_stay_without_the_reference(cluster: Cluster) -> None:
    await chain(cluster)
    await cluster.delete("a", "Orphan")
    assert await cluster.names() == ["b", "c"]
    assert (await cluster.get("b")).metadata.owner_references == ()
    assert len((await cluster.get("c")).metadata.owner_references) == 1


async def test_a_dependent_made_just_before_its_owner_is_orphaned_stays_too(cluster: Cluster) -> None:
    a = await cluster.make("a")
    for number in range(20):
        await cluster.make(f"b{number}", owned_by(a))
    await cluster.server.delete(ConfigMap, "a", options=DeleteOptions(propagation_policy="Orphan"))
    await anyio.sleep(10)
    assert len(await cluster.names()) == 20


async def test_in_the_foreground_an_owner_waits_for_dependents_that_block(cluster: Cluster) -> None:
    a = await cluster.make("a")
    await cluster.make("b", owned_by(a, block=True), finalizers=HOLD)
    await cluster.make("c", owned_by(a, block=False), finalizers=HOLD)
    await cluster.delete("a", "Foreground")
    assert await cluster.names() == ["a", "b", "c"]
    assert (await cluster.get("c")).metadata.deletion_timestamp is not None
    await cluster.release("b")
    assert await cluster.names() == ["c"]


async def test_in_the_foreground_dependents_that_do_not_block_do_not_hold(cluster: Cluster) -> None:
    a = await cluster.make("a")
    await cluster.make("b", owned_by(a, block=False), finalizers=HOLD)
    await cluster.delete("a", "Foreground")
    assert await cluster.names() == ["b"]
    assert (await cluster.get("b")).metadata.deletion_timestamp is not None


async def test_in_the_foreground_an_owner_without_dependents_goes_at_once(cluster: Cluster) -> None:
    await cluster.make("a")
    await cluster.delete("a", "Foreground")
    assert await cluster.names() == []


async def test_a_dependent_that_comes_later_holds_an_owner_in_the_foreground(cluster: Cluster) -> None:
    a = await cluster.make("a")
    await cluster.make("b", owned_by(a, block=True), finalizers=HOLD)
    await cluster.delete("a", "Foreground")
    c = await cluster.make("c", owned_by(a, block=True), finalizers=HOLD)
    await cluster.settle()
    assert (await cluster.get(c.metadata.name)).metadata.deletion_timestamp is not None
    await cluster.release("b")
    assert await cluster.names() == ["a", "c"]
    await cluster.release("c")
    assert await cluster.names() == []


async def test_a_background_deletion_ends_waiting_in_the_foreground(cluster: Cluster) -> None:
    a = await cluster.make("a")
    await cluster.make("b", owned_by(a, block=True), finalizers=HOLD)
    await cluster.delete("a", "Foreground")
    await cluster.delete("a", "Background")
    assert await cluster.names() == ["b"]
    await cluster.release("b")
    assert await cluster.names() == []


async def test_orphaning_ends_waiting_in_the_foreground_and_frees_dependents(cluster: Cluster) -> None:
    a = await cluster.make("a")
    await cluster.make("b", owned_by(a, block=True), finalizers=HOLD)
    await cluster.delete("a", "Foreground")
    await cluster.delete("a", "Orphan")
    assert await cluster.names() == ["b"]
    b = await cluster.get("b")
    assert b.metadata.owner_references == ()
    assert b.metadata.deletion_timestamp is not None


async def test_dependents_stay_while_a_finalizer_holds_their_owner(cluster: Cluster) -> None:
    a = await cluster.make("a", finalizers=HOLD)
    await cluster.make("b", owned_by(a))
    await cluster.delete("a", "Background")
    assert await cluster.names() == ["a", "b"]
    await cluster.release("a")
    assert await cluster.names() == []


async def test_one_solid_owner_is_enough_and_the_others_are_taken_off(cluster: Cluster) -> None:
    a, b = await cluster.make("a"), await cluster.make("b")
    await cluster.make("c", owned_by(a), owned_by(b))
    await cluster.delete("a")
    assert await cluster.names() == ["b", "c"]
    assert [owner.name for owner in (await cluster.get("c")).metadata.owner_references] == ["b"]


async def test_an_owner_of_another_uid_is_no_owner(cluster: Cluster) -> None:
    a = await cluster.make("a")
    await cluster.make("b", attrs.evolve(owned_by(a), uid="00000000-0000-4000-8000-000000000000"))
    await cluster.settle()
    assert await cluster.names() == ["a"]
    assert await cluster.messages("OwnerRefInvalidNamespace") == []


async def test_an_owner_of_another_name_is_no_owner(cluster: Cluster) -> None:
    a = await cluster.make("a")
    await cluster.make("b", attrs.evolve(owned_by(a), name="other"))
    await cluster.settle()
    assert await cluster.names() == ["a"]
    assert await cluster.messages("OwnerRefInvalidNamespace") == []


async def test_an_owner_in_another_namespace_counts_as_absent_and_is_reported(cluster: Cluster) -> None:
    root = await cluster.make("root", namespace="kube-public")
    await cluster.make("b", owned_by(root))
    await cluster.settle()
    assert await cluster.names() == []
    reference = f"[v1/ConfigMap, namespace: default, name: root, uid: {root.metadata.uid}]"
    message = f'ownerRef {reference} does not exist in namespace "default"'
    assert await cluster.messages("OwnerRefInvalidNamespace") == [message]


async def test_a_cluster_wide_object_owned_from_a_namespace_is_reported_and_kept(cluster: Cluster) -> None:
    a = await cluster.make("a")
    await cluster.server.create(Node(metadata=ObjectMeta(name="n", owner_references=(owned_by(a),))))
    await cluster.delete("a")
    assert (await cluster.server.get(Node, "n")).metadata.deletion_timestamp is None
    assert len(await cluster.messages("OwnerRefInvalidNamespace")) == 1


async def test_a_cluster_wide_owner_takes_namespaced_dependents_along(cluster: Cluster) -> None:
    node = await cluster.server.create(Node(metadata=ObjectMeta(name="n")))
    await cluster.make("b", owned_by(node))
    await cluster.settle()
    assert await cluster.names() == ["b"]
    await cluster.server.delete(Node, "n")
    await cluster.settle()
    assert await cluster.names() == []


async def test_an_owner_of_an_unknown_kind_is_left_alone(cluster: Cluster) -> None:
    owner = OwnerReference(api_version="example.dev/v1", kind="Website", name="w", uid="1")
    await cluster.make("b", owner)
    await cluster.settle()
    assert await cluster.names() == ["b"]


async def test_a_circle_of_owners_that_wait_for_each_other_is_broken(cluster: Cluster) -> None:
    a = await cluster.make("a")
    b = await cluster.make("b", owned_by(a, block=True))
    await cluster.server.patch(
        ConfigMap,
        "a",
        Patch(
            PatchType.MERGE,
            {
                "metadata": {
                    "ownerReferences": [
                        {
                            "apiVersion": "v1",
                            "kind": "ConfigMap",
                            "name": "b",
                            "uid": b.metadata.uid,
                            "blockOwnerDeletion": True,
                        }
                    ]
                }
            },
        ),
    )
    await cluster.delete("a", "Foreground")
    await anyio.sleep(10)
    assert await cluster.names() == []


async def test_a_thousand_dependents_go_quickly(cluster: Cluster) -> None:
    a = await cluster.make("a")
    for number in range(1000):
        await cluster.make(f"b{number}", owned_by(a))
    await cluster.delete("a")
    assert await cluster.names() == []
