"""The end of a namespace, over the real server; times and conditions as recorded from Kubernetes."""

from __future__ import annotations

import anyio
import pytest

from orchestra.api.core import (
    ConfigMap,
    Container,
    Namespace,
    NamespaceSpec,
    Pod,
    PodSpec,
    Service,
    ServicePort,
    ServiceSpec,
)
from orchestra.api.object import ObjectMeta
from orchestra.apiserver import APIServer
from orchestra.client.interface import DeleteOptions, Patch, PatchType
from orchestra.errors import NotFound

pytestmark = pytest.mark.virtual_time

SPACE = "team"
RELEASE = Patch(PatchType.MERGE, {"metadata": {"finalizers": None}})


def pod(name: str, *, node: str = "", finalizers: tuple[str, ...] = (), grace: int = 30) -> Pod:
    return Pod(
        metadata=ObjectMeta(name=name, namespace=SPACE, finalizers=finalizers),
        spec=PodSpec(
            containers=(Container(name="c", image="i"),), node_name=node, termination_grace_period_seconds=grace
        ),
    )


def config(name: str, *finalizers: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, namespace=SPACE, finalizers=finalizers))


async def space(server: APIServer) -> Namespace:
    return await server.get(Namespace, SPACE)


async def conditions(server: APIServer) -> dict[str, tuple[str, str, str]]:
    status = (await space(server)).status
    return {c.type: (c.status, c.reason, c.message) for c in status.conditions}


async def gone(server: APIServer) -> bool:
    try:
        await space(server)
    except NotFound:
        return True
    return False


@pytest.fixture
async def team(server: APIServer) -> APIServer:
    await server.create(Namespace(metadata=ObjectMeta(name=SPACE), spec=NamespaceSpec(finalizers=("kubernetes",))))
    return server


async def test_nothing_is_deleted_for_five_seconds_and_then_everything(team: APIServer) -> None:
    await team.create(config("a"))
    await team.delete(Namespace, SPACE)
    await anyio.sleep(4.0)
    assert (await team.get(ConfigMap, "a", namespace=SPACE)).metadata.deletion_timestamp is None
    assert (await space(team)).status.phase == "Terminating"
    await anyio.sleep(2.0)
    assert await gone(team)
    assert (await team.list(ConfigMap, namespace=SPACE)).items == ()


async def test_everything_else_stays_while_pods_terminate(team: APIServer) -> None:
    await team.create(config("a"))
    await team.create(pod("p", node="n1"))
    await team.delete(Namespace, SPACE)
    await anyio.sleep(8)
    assert (await team.get(Pod, "p", namespace=SPACE)).metadata.deletion_timestamp is not None
    assert (await team.get(ConfigMap, "a", namespace=SPACE)).metadata.deletion_timestamp is None
    assert (await conditions(team))["NamespaceContentRemaining"] == (
        "False",
        "ContentRemoved",
        "All content successfully removed",
    )
    await team.delete(Pod, "p", namespace=SPACE, options=DeleteOptions(grace_period_seconds=0))
    await anyio.sleep(16)
    assert await gone(team)


async def test_conditions_say_what_holds_a_namespace(team: APIServer) -> None:
    await team.create(config("a", "example.com/one"))
    await team.create(config("b", "example.com/one", "example.com/two"))
    ports = (ServicePort(port=80),)
    await team.create(
        Service(
            metadata=ObjectMeta(name="s", namespace=SPACE, finalizers=("example.com/one",)),
            spec=ServiceSpec(ports=ports),
        )
    )
    await team.delete(Namespace, SPACE)
    await anyio.sleep(7)
    holders = "example.com/one in 3 resource instances, example.com/two in 1 resource instances"
    assert await conditions(team) == {
        "NamespaceDeletionDiscoveryFailure": (
            "False",
            "ResourcesDiscovered",
            "All resources successfully discovered",
        ),
        "NamespaceDeletionGroupVersionParsingFailure": (
            "False",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        "NamespaceDeletionContentFailure": (
            "False",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        "NamespaceContentRemaining": (
            "True",
            "SomeResourcesRemain",
            "Some resources are remaining: configmaps. has 2 resource instances, services. has 1 resource instances",
        ),
        "NamespaceFinalizersRemaining": (
            "True",
            "SomeFinalizersRemain",
            f"Some content in the namespace has finalizers remaining: {holders}",
        ),
    }
    for name in ("a", "b"):
        await team.patch(ConfigMap, name, RELEASE, namespace=SPACE)
    await team.patch(Service, "s", RELEASE, namespace=SPACE)
    await anyio.sleep(9)
    assert await gone(team)


async def test_a_finalizer_of_the_namespace_itself_holds_only_the_namespace(team: APIServer) -> None:
    await team.patch(Namespace, SPACE, Patch(PatchType.MERGE, {"metadata": {"finalizers": ["example.com/x"]}}))
    await team.create(config("a"))
    await team.delete(Namespace, SPACE)
    await anyio.sleep(7)
    assert (await space(team)).spec.finalizers == ()
    assert (await team.list(ConfigMap, namespace=SPACE)).items == ()
    await team.patch(Namespace, SPACE, RELEASE)
    assert await gone(team)


async def test_other_namespaces_keep_what_is_theirs(team: APIServer) -> None:
    await team.create(ConfigMap(metadata=ObjectMeta(name="mine", namespace="default")))
    await team.create(config("a"))
    await team.delete(Namespace, SPACE)
    await anyio.sleep(7)
    assert (await team.get(ConfigMap, "mine")).metadata.deletion_timestamp is None
    assert (await team.list(ConfigMap, namespace=SPACE)).items == ()
