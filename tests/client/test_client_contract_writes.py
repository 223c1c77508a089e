"""What every client does when it creates, updates and patches."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from orchestra.api.apps import Deployment
from orchestra.api.coordination import Lease, LeaseSpec
from orchestra.api.core.cluster import Namespace
from orchestra.api.core.config import ConfigMap
from orchestra.api.core.pod import PodStatus
from orchestra.api.object import ObjectMeta
from orchestra.client.interface import (
    Client,
    Patch,
    PatchType,
    WriteOptions,
)
from orchestra.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
)
from tests.client.make import config, deployment, meta, pod

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
    with pytest.raises(Invalid, match=r"spec\.replicas: Invalid value: -1"):
        await client.patch(Deployment, "web", Patch(PatchType.MERGE, {"spec": {"replicas": -1}}), subresource="scale")


async def test_scaling_with_an_old_revision_is_a_conflict(client: Client) -> None:
    first = await client.create(deployment())
    await client.patch(Deployment, "web", Patch(PatchType.MERGE, {"spec": {"replicas": 2}}), subresource="scale")
    body = {"metadata": {"resourceVersion": first.metadata.resource_version}, "spec": {"replicas": 3}}
    with pytest.raises(Conflict):
        await client.patch(Deployment, "web", Patch(PatchType.MERGE, body), subresource="scale")
    assert (await client.get(Deployment, "web")).spec.replicas == 2


@pytest.mark.parametrize("replicas", ["3", 1.5, True, [1], 2**40])
async def test_replicas_of_a_wrong_type_are_refused(client: Client, replicas: object) -> None:
    await client.create(deployment())
    patch = Patch(PatchType.MERGE, {"spec": {"replicas": replicas}})
    with pytest.raises(Invalid, match=r"Go struct field ScaleSpec\.spec\.replicas of type int32"):
        await client.patch(Deployment, "web", patch, subresource="scale")


async def test_what_json_cannot_carry_is_refused(client: Client) -> None:
    await client.create(config("a"))
    strange: dict[str, Any] = {"k": object()}
    with pytest.raises(BadRequest):
        await client.create(config("b", strange))
    with pytest.raises(BadRequest):
        await client.update(config("a", strange))
    with pytest.raises(BadRequest):
        await client.patch(ConfigMap, "a", Patch(PatchType.MERGE, {"data": strange}))
