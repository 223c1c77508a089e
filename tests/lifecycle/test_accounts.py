"""What every namespace holds from the start; steps as recorded from Kubernetes."""

from __future__ import annotations

import anyio
import pytest

from orchestra.api.core import ConfigMap, Namespace
from orchestra.api.core.serviceaccount import ServiceAccount
from orchestra.api.object import ObjectMeta
from orchestra.apiserver import APIServer
from orchestra.client.interface import Patch, PatchType
from orchestra.errors import NotFound
from orchestra.lifecycle import furnishing

pytestmark = pytest.mark.virtual_time


@pytest.fixture
async def namespace(server: APIServer) -> str:
    await server.create(Namespace(metadata=ObjectMeta(name="n")))
    await anyio.sleep(1)
    return "n"


async def bundle(server: APIServer) -> ConfigMap:
    await anyio.sleep(1)
    return await server.get(ConfigMap, furnishing.BUNDLE, namespace="n")


async def test_a_namespace_gets_an_account_which_comes_back_when_it_is_deleted(
    server: APIServer, namespace: str
) -> None:
    first = await server.get(ServiceAccount, "default", namespace=namespace)
    await server.delete(ServiceAccount, "default", namespace=namespace)
    await anyio.sleep(1)
    second = await server.get(ServiceAccount, "default", namespace=namespace)
    assert first.metadata.uid != second.metadata.uid


async def test_another_description_stays_until_the_certificates_are_mended(server: APIServer, namespace: str) -> None:
    words = {"metadata": {"labels": {"l": "1"}, "annotations": {furnishing.DESCRIPTION: "changed"}}}
    await server.patch(ConfigMap, furnishing.BUNDLE, Patch(PatchType.MERGE, words), namespace=namespace)
    assert (await bundle(server)).metadata.annotations[furnishing.DESCRIPTION] == "changed"
    broken = Patch(PatchType.MERGE, {"data": {furnishing.CERTIFICATE: "zzz"}})
    await server.patch(ConfigMap, furnishing.BUNDLE, broken, namespace=namespace)
    found = await bundle(server)
    assert found.metadata.annotations[furnishing.DESCRIPTION] == furnishing.TEXT
    assert dict(found.metadata.labels) == {"l": "1"}
    assert dict(found.data) == {furnishing.CERTIFICATE: ""}


async def test_the_certificates_come_back_when_they_are_deleted(server: APIServer, namespace: str) -> None:
    await server.delete(ConfigMap, furnishing.BUNDLE, namespace=namespace)
    assert (await bundle(server)).metadata.annotations[furnishing.DESCRIPTION] == furnishing.TEXT


async def test_nothing_is_put_into_a_namespace_that_ends(server: APIServer, namespace: str) -> None:
    await server.delete(Namespace, namespace)
    await anyio.sleep(30)
    with pytest.raises(NotFound):
        await server.get(Namespace, namespace)
    assert not (await server.list(ServiceAccount, namespace=namespace)).items
