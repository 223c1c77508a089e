"""Changes that cannot be made: the standard error, and a store that is as it was before."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from orchestra import ControlPlane
from orchestra.api.apps import Deployment
from orchestra.api.builders import config_map, deployment, namespace, pod, service
from orchestra.api.core import Namespace, Pod, Service
from orchestra.client.interface import Patch, PatchType
from orchestra.errors import AlreadyExists, BadRequest, Conflict, Forbidden, Invalid, NotFound
from tests.plane.conftest import Refused

MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


async def test_a_duplicate_is_refused(plane: ControlPlane, refused: Refused) -> None:
    await plane.client.create(deployment("web"))
    async with refused(AlreadyExists) as caught:
        await plane.client.create(deployment("web", replicas=7))
    assert caught.value.message == 'deployments.apps "web" already exists'


async def test_a_stale_revision_is_a_conflict(plane: ControlPlane, refused: Refused) -> None:
    first = await plane.client.create(deployment("web"))
    await plane.client.scale(Deployment, "web", 3)
    message = f'Operation cannot be fulfilled on deployments.apps "web": {MODIFIED}'
    async with refused(Conflict) as caught:
        await plane.client.update(attrs.evolve(first, spec=attrs.evolve(first.spec, replicas=4)))
    assert caught.value.message == message
    stale = {"metadata": {"resourceVersion": first.metadata.resource_version}, "spec": {"replicas": 4}}
    async with refused(Conflict) as caught:
        await plane.client.patch(Deployment, "web", Patch(PatchType.MERGE, stale))
    assert caught.value.message == message
    async with refused(BadRequest):
        await plane.client.update(attrs.evolve(first, metadata=attrs.evolve(first.metadata, resource_version="abc")))
    async with refused(Conflict):
        other = attrs.evolve(first.metadata, uid="another", resource_version="")
        await plane.client.update(attrs.evolve(first, metadata=other))


async def test_an_immutable_field_cannot_be_changed(plane: ControlPlane, refused: Refused) -> None:
    await plane.client.apply(deployment("web"))
    changed = deployment("web", labels={"app": "web", "x": "y"})
    async with refused(Invalid) as caught:
        await plane.client.apply(changed)
    value = '{"matchLabels":{"app":"web","x":"y"}}'
    message = f'Deployment.apps "web" is invalid: spec.selector: Invalid value: {value}: field is immutable'
    assert caught.value.message == message
    made = await plane.client.create(pod("a"))
    async with refused(Invalid) as caught:
        await plane.client.update(attrs.evolve(made, spec=attrs.evolve(made.spec, restart_policy="Never")))
    assert caught.value.causes[0].message.startswith("Forbidden: pod updates may not change fields other than ")
    kept = await plane.client.create(attrs.evolve(config_map("kept", {"a": "1"}), immutable=True))
    async with refused(Invalid) as caught:
        await plane.client.update(attrs.evolve(kept, data={"a": "2"}))
    assert caught.value.causes[0].message == "Forbidden: field is immutable when `immutable` is set"
    address = await plane.client.create(service("web"))
    async with refused(Invalid) as caught:
        other = attrs.evolve(address.spec, cluster_ip="10.0.0.9", cluster_ips=("10.0.0.9",))
        await plane.client.update(attrs.evolve(address, spec=other))
    assert caught.value.causes[0].field == "spec.clusterIPs[0]"


async def test_an_address_that_is_taken_or_foreign_is_refused(plane: ControlPlane, refused: Refused) -> None:
    first = await plane.client.create(service("first"))
    async with refused(Invalid) as caught:
        await plane.client.create(service("second", cluster_ip=first.spec.cluster_ip))
    assert caught.value.message.endswith("provided IP is already allocated")
    async with refused(Invalid) as caught:
        await plane.client.create(service("second", cluster_ip="8.8.8.8"))
    assert caught.value.message.endswith("the provided network does not match the current range")
    assert [one.metadata.name for one in (await plane.client.list(Service)).items] == ["first"]


async def test_what_does_not_exist_cannot_be_changed(plane: ControlPlane, refused: Refused) -> None:
    client = plane.client
    for attempt in (
        lambda: client.get(Pod, "nope"),
        lambda: client.delete(Pod, "nope"),
        lambda: client.patch(Pod, "nope", Patch(PatchType.MERGE, {})),
        lambda: client.update(pod("nope")),
        lambda: client.bind("nope", "node"),
    ):
        async with refused(NotFound) as caught:
            await attempt()
        assert caught.value.message == 'pods "nope" not found'


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": "/spec/nope/x", "value": 1},
        {"op": "frobnicate", "path": "/spec"},
        {"op": "test", "path": "/spec/replicas", "value": 77},
        {"op": "remove", "path": "/spec/template/spec/containers/7"},
    ],
)
async def test_a_json_patch_that_does_not_fit_is_refused(
    plane: ControlPlane, refused: Refused, operation: dict[str, Any]
) -> None:
    await plane.client.create(deployment("web"))
    async with refused(Invalid) as caught:
        await plane.client.patch(Deployment, "web", Patch(PatchType.JSON, [operation]))
    assert caught.value.message == "the server rejected our request due to an error in our request"


async def test_a_patch_of_the_wrong_shape_is_refused(plane: ControlPlane, refused: Refused) -> None:
    await plane.client.create(deployment("web"))
    async with refused(BadRequest):
        await plane.client.patch(Deployment, "web", Patch(PatchType.MERGE, [1]))
    async with refused(Invalid):
        await plane.client.patch(Deployment, "web", Patch(PatchType.MERGE, {"spec": {"replicas": "x"}}))
    async with refused(BadRequest) as caught:
        await plane.client.patch(Deployment, "web", Patch(PatchType.MERGE, {"metadata": {"name": "other"}}))
    assert caught.value.message == "the name of the object (other) does not match the name on the URL (web)"
    async with refused(Invalid):
        await plane.client.scale(Deployment, "web", -1)


async def test_a_namespace_that_goes_away_takes_nothing_new(plane: ControlPlane, refused: Refused) -> None:
    await plane.client.create(namespace("old"))
    await plane.client.delete(Namespace, "old")
    async with refused(Forbidden) as caught:
        await plane.client.create(config_map("old/a"))
    assert "because it is being terminated" in caught.value.message
