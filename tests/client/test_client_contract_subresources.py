"""What every client does with the parts of a Pod that have a subresource of their own."""

from __future__ import annotations

from typing import Any

import pytest

from orchestra.api.apps import Deployment
from orchestra.api.core.pod import Pod
from orchestra.client.interface import Client, Patch, PatchType
from orchestra.errors import Invalid, MethodNotAllowed, NotFound
from tests.client.make import config, deployment, pod


def strategic(spec: dict[str, Any], **more: Any) -> Patch:
    return Patch(PatchType.STRATEGIC, {"spec": spec, **more})


async def sized(client: Client) -> Pod:
    await client.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "a"},
            "spec": {
                "containers": [
                    {"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}},
                    {"name": "d", "image": "i"},
                ]
            },
        }
    )
    return await client.get(Pod, "a")


def resources(name: str, **amounts: dict[str, str] | None) -> dict[str, Any]:
    return {"containers": [{"name": name, "image": "other", "resources": amounts}]}


async def test_a_resize_changes_resources_and_nothing_else(client: Client) -> None:
    made = await sized(client)
    body = resources("c", requests={"cpu": "1500m"})
    done = await client.patch(Pod, "a", strategic(body, metadata={"labels": {"x": "y"}}), subresource="resize")
    assert str(done.spec.containers[0].resources.requests["cpu"]) == "1500m"
    assert [each.image for each in done.spec.containers] == ["i", "i"]
    assert done.metadata.labels == {}
    assert done.metadata.generation == made.metadata.generation + 1


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (resources("c", requests={"cpu": "3"}), "must be less than or equal to cpu limit of 2"),
        (resources("c", limits=None), r"resource limits cannot be removed"),
        (resources("c", requests={"ephemeral-storage": "1Gi"}), "only cpu and memory resources are mutable"),
    ],
)
async def test_a_resize_that_may_not_be_is_refused(client: Client, body: dict[str, Any], told: str) -> None:
    made = await sized(client)
    with pytest.raises(Invalid, match=told):
        await client.patch(Pod, "a", strategic(body), subresource="resize")
    assert await client.get(Pod, "a") == made


async def test_a_pod_keeps_its_quality_when_it_is_resized(client: Client) -> None:
    await client.create(pod())
    body = {"containers": [{"name": pod().spec.containers[0].name, "resources": {"requests": {"cpu": "1"}}}]}
    with pytest.raises(Invalid, match="Pod QOS Class may not change as a result of resizing"):
        await client.patch(Pod, pod().metadata.name, strategic(body), subresource="resize")


async def test_ephemeral_containers_are_added_and_stay_as_they_are(client: Client) -> None:
    await sized(client)
    part = "ephemeralcontainers"
    first = {"ephemeralContainers": [{"name": "debug", "image": "shell"}], "nodeSelector": {"a": "b"}}
    done = await client.patch(Pod, "a", strategic(first), subresource=part)
    assert [each.name for each in done.spec.ephemeral_containers] == ["debug"]
    assert done.spec.node_selector == {}
    with pytest.raises(Invalid, match='existing ephemeral containers "debug" may not be changed'):
        changed = {"ephemeralContainers": [{"name": "debug", "image": "other"}]}
        await client.patch(Pod, "a", strategic(changed), subresource=part)
    with pytest.raises(Invalid, match='existing ephemeral containers "debug" may not be removed'):
        await client.patch(Pod, "a", Patch(PatchType.MERGE, {"spec": {"ephemeralContainers": []}}), subresource=part)
    with pytest.raises(Invalid, match="ephemeralContainers"):
        await client.patch(
            Pod,
            "a",
            strategic({"ephemeralContainers": [{"name": "debug", "image": ""}, {"name": "e"}]}),
            subresource=part,
        )


async def test_the_scale_of_an_object_shows_its_replicas_and_how_to_find_them(client: Client) -> None:
    made = await client.create(deployment("web", 3))
    scale = await client.get_scale(Deployment, "web")
    assert (scale.spec.replicas, scale.status.replicas, scale.status.selector) == (3, 0, "app=web")
    assert (scale.metadata.uid, scale.metadata.resource_version) == (made.metadata.uid, made.metadata.resource_version)
    with pytest.raises(NotFound, match=r'deployments\.apps "other" not found'):
        await client.get_scale(Deployment, "other")
    with pytest.raises(NotFound, match="could not find the requested resource"):
        await client.get_scale(Pod, "web")


async def test_what_is_no_subresource_and_what_it_does_not_take_are_told_apart(client: Client) -> None:
    await sized(client)
    await client.create(config("a"))
    with pytest.raises(MethodNotAllowed):
        await client.patch(Pod, "a", strategic({}), subresource="binding")
    with pytest.raises(NotFound, match="could not find the requested resource"):
        await client.patch(type(config("a")), "a", Patch(PatchType.MERGE, {}), subresource="status")
