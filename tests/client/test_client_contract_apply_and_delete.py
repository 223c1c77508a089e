"""What every client does when it applies, deletes and binds."""

from __future__ import annotations

import attrs
import pytest

from orchestra.api.apps import Deployment
from orchestra.api.batch import Job, JobSpec
from orchestra.api.core.cluster import Namespace
from orchestra.api.core.config import ConfigMap
from orchestra.api.core.pod import Pod, PodStatus, PodTemplateSpec
from orchestra.api.object import ObjectMeta
from orchestra.client.interface import (
    Client,
    DeleteOptions,
    Patch,
    PatchType,
    Preconditions,
    WriteOptions,
)
from orchestra.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
)
from tests.client.make import config, deployment, pod

# Applying


async def test_apply_creates_and_then_changes(client: Client) -> None:
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1", "y": "1"}}
    made = await client.apply(document, options=WriteOptions(field_manager="m"))
    assert isinstance(made, ConfigMap)
    again = await client.apply({**document, "data": {"x": "2"}}, options=WriteOptions(field_manager="m"))
    assert isinstance(again, ConfigMap)
    assert again.data == {"x": "2"}


async def test_applying_the_same_writes_nothing(client: Client) -> None:
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}}
    first = await client.apply(document)
    assert (await client.apply(document)).metadata.resource_version == first.metadata.resource_version


async def test_apply_names_the_fields_of_others_and_takes_them_by_force(client: Client) -> None:
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}}
    await client.apply(document, options=WriteOptions(field_manager="one"))
    mine = {**document, "data": {"x": "2"}}
    with pytest.raises(Conflict, match=r'conflict with "one": .data.x') as caught:
        await client.apply(mine, options=WriteOptions(field_manager="two"))
    assert caught.value.causes[0].field == ".data.x"
    taken = await client.apply(mine, force=True, options=WriteOptions(field_manager="two"))
    assert isinstance(taken, ConfigMap)
    assert taken.data == {"x": "2"}


async def test_an_update_takes_ownership_of_what_it_changes(client: Client) -> None:
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}}
    await client.apply(document, options=WriteOptions(field_manager="one"))
    await client.patch(
        ConfigMap, "a", Patch(PatchType.MERGE, {"data": {"x": "2"}}), options=WriteOptions(field_manager="hand")
    )
    with pytest.raises(Conflict, match=r'conflict with "hand" using v1: \.data\.x'):
        await client.apply(document, options=WriteOptions(field_manager="one"))


# Fields that do not exist


async def test_an_undeclared_field_is_warned_of(client: Client) -> None:
    warnings: list[str] = []
    await client.create(
        attrs.evolve(config("a"), undeclared={"bogus": 1}), options=WriteOptions(on_warning=warnings.append)
    )
    assert 'unknown field "bogus"' in warnings


async def test_an_undeclared_field_is_refused_under_strict_validation(client: Client) -> None:
    with pytest.raises(BadRequest) as caught:
        await client.create(
            attrs.evolve(config("a"), undeclared={"bogus": 1}), options=WriteOptions(field_validation="Strict")
        )
    assert caught.value.message == (
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "bogus"'
    )


# Deleting


async def test_deleting_removes_and_says_at_which_revision(client: Client) -> None:
    made = await client.create(config("a"))
    deleted = await client.delete(ConfigMap, "a")
    assert deleted.gone
    assert deleted.revision > int(made.metadata.resource_version)
    with pytest.raises(NotFound, match='configmaps "a" not found'):
        await client.delete(ConfigMap, "a")


async def test_a_finalizer_keeps_an_object_until_it_is_taken_off(client: Client) -> None:
    await client.create(config("a", finalizers=("example.dev/hold",)))
    deleted = await client.delete(ConfigMap, "a")
    assert not deleted.gone
    assert deleted.object.metadata.deletion_timestamp is not None
    assert deleted.object.metadata.deletion_grace_period_seconds == 0
    with pytest.raises(AlreadyExists, match='object is being deleted: configmaps "a" already exists'):
        await client.create(config("a"))
    await client.patch(ConfigMap, "a", Patch(PatchType.MERGE, {"metadata": {"finalizers": None}}))
    with pytest.raises(NotFound):
        await client.get(ConfigMap, "a")


async def test_propagation_policies_leave_the_collectors_finalizers(client: Client) -> None:
    await client.create(deployment("fore"))
    await client.create(deployment("orphan"))
    fore = await client.delete(Deployment, "fore", options=DeleteOptions(propagation_policy="Foreground"))
    orphan = await client.delete(Deployment, "orphan", options=DeleteOptions(propagation_policy="Orphan"))
    assert fore.object.metadata.finalizers == ("foregroundDeletion",)
    assert orphan.object.metadata.finalizers == ("orphan",)
    assert fore.object.metadata.generation == 2
    background = DeleteOptions(propagation_policy="Background")
    assert (await client.delete(Deployment, "fore", options=background)).gone


async def test_a_pod_on_a_node_is_deleted_after_its_grace_period(client: Client) -> None:
    await client.create(pod(node="n"))
    first = await client.delete(Pod, "p")
    assert not first.gone
    assert first.object.metadata.deletion_grace_period_seconds == 30
    longer = await client.delete(Pod, "p", options=DeleteOptions(grace_period_seconds=60))
    assert longer.object.metadata.deletion_grace_period_seconds == 30
    shorter = await client.delete(Pod, "p", options=DeleteOptions(grace_period_seconds=5))
    assert shorter.object.metadata.deletion_grace_period_seconds == 5
    assert (await client.delete(Pod, "p", options=DeleteOptions(grace_period_seconds=0))).gone


async def test_a_pod_without_a_node_or_that_has_finished_goes_at_once(client: Client) -> None:
    await client.create(pod("free"))
    assert (await client.delete(Pod, "free")).gone
    made = await client.create(pod("done", node="n"))
    await client.update(attrs.evolve(made, status=PodStatus(phase="Succeeded")), subresource="status")
    assert (await client.delete(Pod, "done")).gone


async def test_preconditions_protect_another_object_of_the_name(client: Client) -> None:
    made = await client.create(config("a"))
    with pytest.raises(Conflict, match="the UID in the precondition"):
        await client.delete(ConfigMap, "a", options=DeleteOptions(preconditions=Preconditions(uid="other")))
    with pytest.raises(Conflict, match="the ResourceVersion in the precondition"):
        await client.delete(ConfigMap, "a", options=DeleteOptions(preconditions=Preconditions(resource_version="1")))
    mine = DeleteOptions(preconditions=Preconditions(uid=made.metadata.uid))
    assert (await client.delete(ConfigMap, "a", options=mine)).gone


async def test_a_collection_is_deleted_by_selector(client: Client) -> None:
    for name, label in (("a", "x"), ("b", "x"), ("c", "y")):
        await client.create(config(name, labels={"l": label}))
    deleted = await client.delete_collection(ConfigMap, namespace="default", label_selector="l=x")
    assert [item.object.metadata.name for item in deleted] == ["a", "b"]
    assert [item.metadata.name for item in (await client.list(ConfigMap)).items] == ["c"]


async def test_whoever_deletes_a_job_hears_that_its_pods_stay_unless_it_says_what_becomes_of_them(
    client: Client,
) -> None:
    spec = JobSpec(template=PodTemplateSpec(spec=attrs.evolve(pod().spec, restart_policy="Never")))
    told: list[str] = []
    for name in ("a", "b", "c"):
        await client.create(Job(metadata=ObjectMeta(name=name, namespace="default"), spec=spec))
    await client.delete(Job, "a", options=DeleteOptions(propagation_policy="Background", on_warning=told.append))
    assert told == []
    await client.delete(Job, "b", options=DeleteOptions(on_warning=told.append))
    await client.delete_collection(Job, namespace="default", options=DeleteOptions(on_warning=told.append))
    with pytest.raises(NotFound):
        await client.delete(Job, "missing", options=DeleteOptions(on_warning=told.append))
    assert [text.partition(";")[0] for text in told] == [
        "child pods are preserved by default when jobs are deleted"
    ] * 3


async def test_a_deleted_namespace_stays_until_it_is_finalized(client: Client) -> None:
    made = await client.create(Namespace(metadata=ObjectMeta(name="old")))
    assert made.spec is not None
    assert made.spec.finalizers == ("kubernetes",)
    deleted = await client.delete(Namespace, "old")
    assert not deleted.gone
    assert deleted.object.status is not None
    assert deleted.object.status.phase == "Terminating"
    final = attrs.evolve(deleted.object, spec=attrs.evolve(made.spec, finalizers=()))
    await client.update(final, subresource="finalize")
    with pytest.raises(NotFound):
        await client.get(Namespace, "old")


async def test_the_default_namespace_cannot_be_deleted(client: Client) -> None:
    with pytest.raises(Forbidden, match="this namespace may not be deleted"):
        await client.delete(Namespace, "default")


# Binding


async def test_binding_assigns_a_pod_and_sets_its_condition(client: Client) -> None:
    await client.create(pod())
    revision = await client.bind("p", "n1")
    after = await client.get(Pod, "p")
    assert int(after.metadata.resource_version) == revision
    assert after.spec.node_name == "n1"
    assert after.metadata.generation == 1
    assert after.status is not None
    assert [(c.type, c.status) for c in after.status.conditions] == [("PodScheduled", "True")]


async def test_a_bound_pod_is_not_bound_again(client: Client) -> None:
    await client.create(pod())
    await client.bind("p", "n1")
    with pytest.raises(Conflict) as caught:
        await client.bind("p", "n2")
    assert caught.value.message == (
        'Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n1"'
    )


async def test_a_binding_meant_for_another_pod_of_the_name_is_refused(client: Client) -> None:
    await client.create(pod())
    with pytest.raises(Conflict):
        await client.bind("p", "n1", uid="other")
    with pytest.raises(NotFound):
        await client.bind("nobody", "n1")
