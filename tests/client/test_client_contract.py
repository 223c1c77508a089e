"""What every client does, whatever lies between it and the server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import attrs
import pytest

from orchestra.api.apps import Deployment
from orchestra.api.coordination import Lease, LeaseSpec
from orchestra.api.core.cluster import Namespace
from orchestra.api.core.config import ConfigMap
from orchestra.api.core.pod import Pod, PodStatus
from orchestra.api.core.service import Service
from orchestra.api.object import ObjectMeta
from orchestra.client.interface import (
    Client,
    DeleteOptions,
    EventType,
    LogOptions,
    Patch,
    PatchType,
    Preconditions,
    Watch,
    WatchEvent,
    WriteOptions,
)
from orchestra.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    ServiceUnavailable,
    WaitTimeout,
)
from tests.client.make import config, deployment, meta, pod, service

LIMIT = 5.0


async def take(watch: Watch[Any], count: int) -> list[WatchEvent[Any]]:
    events: list[WatchEvent[Any]] = []
    with anyio.fail_after(LIMIT):
        while len(events) < count:
            events.extend(await watch.next_batch())
    return events


def shown(events: list[WatchEvent[Any]]) -> list[tuple[str, str]]:
    return [(event.type.value, event.object.metadata.name) for event in events]


# Creating


async def test_a_new_object_gets_uid_time_and_revision(client: Client) -> None:
    made = await client.create(config("a"))
    assert made.metadata.uid
    assert made.metadata.creation_timestamp is not None
    assert int(made.metadata.resource_version) > 0
    assert made.data == {"k": "a"}
    assert await client.get(ConfigMap, "a") == made


async def test_a_kind_with_generation_starts_at_one_and_others_have_none(client: Client) -> None:
    assert (await client.create(pod())).metadata.generation == 1
    assert (await client.create(config("a"))).metadata.generation == 0


async def test_an_object_without_namespace_is_made_in_default(client: Client) -> None:
    made = await client.create(ConfigMap(metadata=ObjectMeta(name="a")))
    assert made.metadata.namespace == "default"


async def test_a_name_is_made_from_generate_name(client: Client) -> None:
    made = await client.create(ConfigMap(metadata=ObjectMeta(generate_name="web-")))
    assert made.metadata.name.startswith("web-")
    assert len(made.metadata.name) == len("web-") + 5


async def test_a_second_object_of_a_name_is_refused(client: Client) -> None:
    await client.create(config("a"))
    with pytest.raises(AlreadyExists) as caught:
        await client.create(config("a"))
    assert caught.value.message == 'configmaps "a" already exists'
    assert (caught.value.kind, caught.value.name) == ("configmaps", "a")


async def test_nothing_is_made_in_a_namespace_that_does_not_exist(client: Client) -> None:
    with pytest.raises(NotFound) as caught:
        await client.create(config("a", namespace="nowhere"))
    assert caught.value.message == 'namespaces "nowhere" not found'


async def test_nothing_is_made_in_a_namespace_that_is_going_away(client: Client) -> None:
    await client.create(Namespace(metadata=ObjectMeta(name="old")))
    await client.delete(Namespace, "old")
    with pytest.raises(Forbidden) as caught:
        await client.create(config("a", namespace="old"))
    assert caught.value.causes[0].reason == "NamespaceTerminating"
    assert "because it is being terminated" in caught.value.message


async def test_a_new_object_may_not_have_a_revision(client: Client) -> None:
    with pytest.raises(BadRequest, match="resourceVersion should not be set on objects to be created"):
        await client.create(config("a", resource_version="5"))


async def test_a_dry_run_says_what_would_be_and_stores_nothing(client: Client) -> None:
    made = await client.create(config("a"), options=WriteOptions(dry_run=True))
    assert made.metadata.uid
    with pytest.raises(NotFound):
        await client.get(ConfigMap, "a")


async def test_the_four_namespaces_are_there_from_the_start(client: Client) -> None:
    names = [item.metadata.name for item in (await client.list(Namespace)).items]
    assert names == ["default", "kube-node-lease", "kube-public", "kube-system"]


# Updating


async def test_an_update_with_an_old_revision_is_a_conflict(client: Client) -> None:
    first = await client.create(config("a"))
    await client.update(attrs.evolve(first, data={"k": "2"}))
    with pytest.raises(Conflict) as caught:
        await client.update(attrs.evolve(first, data={"k": "3"}))
    assert caught.value.message == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )


async def test_an_update_without_revision_overwrites(client: Client) -> None:
    await client.create(config("a"))
    assert (await client.update(config("a", {"k": "2"}))).data == {"k": "2"}


async def test_an_update_that_changes_nothing_writes_nothing(client: Client) -> None:
    first = await client.create(config("a"))
    again = await client.update(config("a"))
    assert again.metadata.resource_version == first.metadata.resource_version


async def test_an_update_of_what_does_not_exist_is_not_found(client: Client) -> None:
    with pytest.raises(NotFound):
        await client.update(config("a"))


async def test_an_update_of_a_lease_makes_it_but_needs_a_revision_afterwards(client: Client) -> None:
    lease = Lease(metadata=meta("l"), spec=LeaseSpec(holder_identity="me"))
    made = await client.create(lease)
    with pytest.raises(Invalid) as caught:
        await client.update(lease)
    assert caught.value.causes[0].field == "metadata.resourceVersion"
    changed = attrs.evolve(made, spec=LeaseSpec(holder_identity="you"))
    assert (await client.update(changed)).spec.holder_identity == "you"


async def test_an_update_meant_for_another_object_of_the_name_is_a_conflict(client: Client) -> None:
    await client.create(config("a"))
    with pytest.raises(Conflict, match="Precondition failed: UID in precondition: other"):
        await client.update(config("a", {"k": "2"}, uid="other"))


async def test_a_changed_spec_raises_the_generation_and_a_label_does_not(client: Client) -> None:
    made = await client.create(deployment())
    more = await client.update(attrs.evolve(made, spec=attrs.evolve(made.spec, replicas=3)))
    assert more.metadata.generation == 2
    labelled = attrs.evolve(more, metadata=attrs.evolve(more.metadata, labels={"x": "y"}))
    assert (await client.update(labelled)).metadata.generation == 2


async def test_a_status_write_changes_the_status_alone(client: Client) -> None:
    made = await client.create(pod())
    changed = attrs.evolve(made, spec=attrs.evolve(made.spec, node_name="n"), status=PodStatus(phase="Running"))
    after = await client.update(changed, subresource="status")
    assert after.status is not None
    assert after.status.phase == "Running"
    assert not after.spec.node_name
    assert after.metadata.generation == 1


async def test_a_write_of_the_object_keeps_the_status(client: Client) -> None:
    made = await client.create(pod())
    running = await client.update(attrs.evolve(made, status=PodStatus(phase="Running")), subresource="status")
    meant = attrs.evolve(running, status=PodStatus(), metadata=attrs.evolve(running.metadata, labels={"a": "b"}))
    after = await client.update(meant)
    assert after.status is not None
    assert after.status.phase == "Running"
    assert after.metadata.labels == {"a": "b"}


async def test_a_kind_without_a_subresource_refuses_it(client: Client) -> None:
    made = await client.create(config("a"))
    with pytest.raises(NotFound, match="the server could not find the requested resource"):
        await client.update(made, subresource="status")


# Patching


async def test_a_merge_patch_changes_parts_and_removes_by_null(client: Client) -> None:
    await client.create(config("a", {"x": "1", "y": "2"}))
    patched = await client.patch(ConfigMap, "a", Patch(PatchType.MERGE, {"data": {"x": None, "z": "3"}}))
    assert patched.data == {"y": "2", "z": "3"}


async def test_a_json_patch_is_a_list_of_operations(client: Client) -> None:
    await client.create(config("a", {"x": "1"}))
    operations = [{"op": "replace", "path": "/data/x", "value": "2"}]
    assert (await client.patch(ConfigMap, "a", Patch(PatchType.JSON, operations))).data == {"x": "2"}


async def test_a_strategic_patch_merges_lists_by_their_keys(client: Client) -> None:
    await client.create(deployment())
    body = {
        "spec": {"template": {"spec": {"containers": [{"name": "c", "image": "img:2"}, {"name": "d", "image": "i"}]}}}
    }
    patched = await client.patch(Deployment, "web", Patch(PatchType.STRATEGIC, body))
    images = {item.name: item.image for item in patched.spec.template.spec.containers}
    assert images == {"c": "img:2", "d": "i"}


async def test_a_patch_with_an_old_revision_is_a_conflict(client: Client) -> None:
    first = await client.create(config("a"))
    await client.update(config("a", {"k": "2"}))
    body = {"metadata": {"resourceVersion": first.metadata.resource_version}, "data": {"k": "3"}}
    with pytest.raises(Conflict):
        await client.patch(ConfigMap, "a", Patch(PatchType.MERGE, body))


async def test_a_patch_of_what_does_not_exist_is_not_found(client: Client) -> None:
    with pytest.raises(NotFound):
        await client.patch(ConfigMap, "a", Patch(PatchType.MERGE, {}))


async def test_a_patch_may_not_rename(client: Client) -> None:
    await client.create(config("a"))
    with pytest.raises(BadRequest, match=r"the name of the object \(b\) does not match the name on the URL \(a\)"):
        await client.patch(ConfigMap, "a", Patch(PatchType.MERGE, {"metadata": {"name": "b"}}))


async def test_scaling_sets_the_replicas_and_raises_the_generation(client: Client) -> None:
    await client.create(deployment())
    patch = Patch(PatchType.MERGE, {"spec": {"replicas": 5}})
    scaled = await client.patch(Deployment, "web", patch, subresource="scale")
    assert scaled.spec.replicas == 5
    assert scaled.metadata.generation == 2


async def test_scaling_below_zero_is_invalid(client: Client) -> None:
    await client.create(deployment())
    with pytest.raises(Invalid, match="spec.replicas: Invalid value: -1"):
        await client.patch(Deployment, "web", Patch(PatchType.MERGE, {"spec": {"replicas": -1}}), subresource="scale")


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
    with pytest.raises(Conflict, match='conflict with "hand" using v1: .data.x'):
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


# Listing


async def test_a_list_is_in_the_order_of_names_with_its_revision(client: Client) -> None:
    for name in ("b", "c", "a"):
        last = await client.create(config(name))
    found = await client.list(ConfigMap)
    assert [item.metadata.name for item in found.items] == ["a", "b", "c"]
    assert found.revision >= int(last.metadata.resource_version)


async def test_a_list_covers_all_namespaces_or_one(client: Client) -> None:
    await client.create(config("a"))
    await client.create(config("b", namespace="kube-system"))
    assert len((await client.list(ConfigMap)).items) == 2
    assert [i.metadata.name for i in (await client.list(ConfigMap, namespace="kube-system")).items] == ["b"]


async def test_a_list_selects_by_labels_and_fields(client: Client) -> None:
    await client.create(pod("a", node="n1", labels={"app": "x"}))
    await client.create(pod("b", node="n2", labels={"app": "x"}))
    await client.create(pod("c", node="n1", labels={"app": "y"}))
    both = await client.list(Pod, label_selector="app=x", field_selector="spec.nodeName=n1")
    assert [item.metadata.name for item in both.items] == ["a"]
    with pytest.raises(BadRequest, match="field label not supported: spec.bogus"):
        await client.list(Pod, field_selector="spec.bogus=1")
    with pytest.raises(BadRequest, match="unable to parse requirement"):
        await client.list(Pod, label_selector="a b")


async def test_pages_show_one_revision_whatever_is_written_between(client: Client) -> None:
    for name in ("c1", "c2", "c3", "c4"):
        await client.create(config(name))
    first = await client.list(ConfigMap, limit=2)
    assert [item.metadata.name for item in first.items] == ["c1", "c2"]
    assert first.metadata.remaining_item_count == 2
    await client.create(config("c9"))
    await client.delete(ConfigMap, "c3")
    rest = await client.list(ConfigMap, limit=5, continue_=first.metadata.continue_)
    assert [item.metadata.name for item in rest.items] == ["c3", "c4"]
    assert rest.revision == first.revision
    assert not rest.metadata.continue_


async def test_pages_under_a_selector_do_not_count_what_is_left(client: Client) -> None:
    for name in ("a", "b", "c"):
        await client.create(config(name, labels={"l": "x"}))
    first = await client.list(ConfigMap, label_selector="l=x", limit=1)
    assert first.metadata.remaining_item_count is None
    second = await client.list(ConfigMap, label_selector="l=x", limit=1, continue_=first.metadata.continue_)
    assert [item.metadata.name for item in second.items] == ["b"]


async def test_a_continue_token_that_is_none_is_refused(client: Client) -> None:
    with pytest.raises(BadRequest, match="invalid continue token: continue key is not valid"):
        await client.list(ConfigMap, continue_="garbage")
    with pytest.raises(BadRequest, match="specifying resource version is not allowed when using continue"):
        await client.list(ConfigMap, continue_="garbage", resource_version="1")


async def test_an_exact_revision_shows_the_past(client: Client) -> None:
    first = await client.create(config("a"))
    await client.create(config("b"))
    past = await client.list(
        ConfigMap, resource_version=first.metadata.resource_version, resource_version_match="Exact"
    )
    assert [item.metadata.name for item in past.items] == ["a"]


# Watching


async def test_a_watch_begins_with_what_is_there_and_goes_on(client: Client) -> None:
    await client.create(config("a"))
    async with client.watch(ConfigMap) as watch:
        assert shown(await take(watch, 1)) == [("ADDED", "a")]
        await client.update(config("a", {"k": "2"}))
        deleted = await client.delete(ConfigMap, "a")
        events = await take(watch, 2)
    assert shown(events) == [("MODIFIED", "a"), ("DELETED", "a")]
    assert events[-1].revision == deleted.revision
    assert events[-1].object.metadata.resource_version == str(deleted.revision)
    assert events[-1].object.data == {"k": "2"}


async def test_a_watch_from_a_list_misses_nothing_and_repeats_nothing(client: Client) -> None:
    await client.create(config("a"))
    listed = await client.list(ConfigMap)
    await client.create(config("b"))
    async with client.watch(ConfigMap, resource_version=listed.metadata.resource_version) as watch:
        await client.create(config("c"))
        assert shown(await take(watch, 2)) == [("ADDED", "b"), ("ADDED", "c")]


async def test_an_object_that_stops_matching_is_seen_as_deleted(client: Client) -> None:
    async with client.watch(ConfigMap, label_selector="l=x") as watch:
        made = await client.create(config("a", labels={"l": "x"}))
        other = attrs.evolve(made, metadata=attrs.evolve(made.metadata, labels={"l": "y"}))
        moved = await client.update(other)
        again = await client.update(
            attrs.evolve(moved, metadata=attrs.evolve(moved.metadata, labels={"l": "x", "more": "1"}))
        )
        await client.create(config("b", labels={"l": "y"}))
        await client.delete(ConfigMap, "a")
        events = await take(watch, 4)
    assert shown(events) == [("ADDED", "a"), ("DELETED", "a"), ("ADDED", "a"), ("DELETED", "a")]
    assert [event.revision for event in events[:3]] == [
        int(item.metadata.resource_version) for item in (made, moved, again)
    ]


async def test_a_node_sees_its_own_pods_from_their_binding_on(client: Client) -> None:
    async with client.watch(Pod, field_selector="spec.nodeName=n1") as watch:
        await client.create(pod("a"))
        await client.create(pod("b"))
        await client.bind("a", "n2")
        await client.bind("b", "n1")
        await client.delete(Pod, "b", options=DeleteOptions(grace_period_seconds=0))
        assert shown(await take(watch, 2)) == [("ADDED", "b"), ("DELETED", "b")]


async def test_a_watch_of_a_namespace_sees_no_other(client: Client) -> None:
    async with client.watch(ConfigMap, namespace="kube-system") as watch:
        await client.create(config("a"))
        await client.create(config("b", namespace="kube-system"))
        assert shown(await take(watch, 1)) == [("ADDED", "b")]


async def test_progress_is_a_bookmark_behind_everything_up_to_it(client: Client) -> None:
    async with client.watch(ConfigMap) as watch:
        other = await client.create(pod())
        await watch.request_progress()
        (bookmark,) = await take(watch, 1)
    assert bookmark.type is EventType.BOOKMARK
    assert bookmark.revision >= int(other.metadata.resource_version)
    assert bookmark.object.metadata.resource_version == str(bookmark.revision)


async def test_a_watch_can_be_iterated(client: Client) -> None:
    async with client.watch(ConfigMap) as watch:
        await client.create(config("a"))
        with anyio.fail_after(LIMIT):
            async for event in watch:
                assert event.object.metadata.name == "a"
                break


# Services


async def test_a_service_gets_an_address_and_gives_it_back(client: Client) -> None:
    made = await client.create(service())
    assert made.spec.cluster_ip
    assert made.spec.cluster_ips == (made.spec.cluster_ip,)
    with pytest.raises(Invalid, match="provided IP is already allocated"):
        await client.create(service("t", cluster_ip=made.spec.cluster_ip))
    await client.delete(Service, "s")
    assert (await client.create(service("t", cluster_ip=made.spec.cluster_ip))).spec.cluster_ip == made.spec.cluster_ip


async def test_a_headless_service_has_no_address(client: Client) -> None:
    assert (await client.create(service(cluster_ip="None"))).spec.cluster_ips == ("None",)


async def test_a_node_port_is_allocated_within_its_range(client: Client) -> None:
    made = await client.create(service(type="NodePort"))
    assert 30000 <= (made.spec.ports[0].node_port or 0) <= 32767


# Logs


class Handler:
    """Answers with what it was asked."""

    async def _lines(self, text: str) -> AsyncIterator[bytes]:
        yield text.encode()

    def logs(self, namespace: str, pod: str, options: LogOptions) -> AsyncIterator[bytes]:
        return self._lines(f"{namespace}/{pod}/{options.container}\n")


async def test_logs_come_from_the_node_of_the_pod(client: Client) -> None:
    await client.create(pod(node="n1"))
    async with client.serve_node("n1", Handler()), client.logs("p") as chunks:
        assert b"".join([chunk async for chunk in chunks]) == b"default/p/c\n"
    with pytest.raises(ServiceUnavailable):
        async with client.logs("p"):
            pass


async def test_logs_of_a_pod_with_several_containers_need_a_name(client: Client) -> None:
    await client.create(pod(node="n1", containers=("a", "b")))
    with pytest.raises(BadRequest) as caught:
        async with client.logs("p"):
            pass
    assert caught.value.message == "a container name must be specified for pod p, choose one of: [a b]"
    with pytest.raises(BadRequest, match="container nope is not valid for pod p"):
        async with client.logs("p", options=LogOptions(container="nope")):
            pass


async def test_logs_of_a_pod_without_a_node_are_refused(client: Client) -> None:
    await client.create(pod())
    with pytest.raises(BadRequest, match="pod p does not have a host assigned"):
        async with client.logs("p"):
            pass


# Leadership


async def test_a_write_of_an_ended_term_is_a_conflict(client: Client) -> None:
    old = await client.acquire_fence("manager", "a")
    await client.create(config("a"), options=WriteOptions(fence=old))
    new = await client.acquire_fence("manager", "b")
    with pytest.raises(Conflict, match="lost its term of leadership"):
        await client.update(config("a", {"k": "2"}), options=WriteOptions(fence=old))
    with pytest.raises(Conflict):
        await client.delete(ConfigMap, "a", options=DeleteOptions(fence=old))
    assert (await client.update(config("a", {"k": "2"}), options=WriteOptions(fence=new))).data == {"k": "2"}


# Convenience


async def test_waiting_ends_when_the_object_is_as_wanted(client: Client) -> None:
    async def run_it() -> None:
        made = await client.create(pod())
        await client.update(attrs.evolve(made, status=PodStatus(phase="Running")), subresource="status")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run_it)
        found = await client.wait_for(Pod, "p", jsonpath="{.status.phase}=Running", timeout=LIMIT)  # type: ignore[attr-defined]
    assert found.status.phase == "Running"


async def test_waiting_says_what_was_seen_last(client: Client) -> None:
    await client.create(deployment())
    with pytest.raises(WaitTimeout, match="it has no condition Available"):
        await client.wait_for(Deployment, "web", condition="Available", timeout=0.01)  # type: ignore[attr-defined]


async def test_waiting_for_deletion(client: Client) -> None:
    await client.create(config("a"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.delete, ConfigMap, "a")
        gone = await client.wait_for(ConfigMap, "a", deleted=True, timeout=LIMIT)  # type: ignore[attr-defined]
    assert gone.metadata.name == "a"
