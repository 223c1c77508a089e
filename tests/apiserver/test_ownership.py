"""A server on which every write owns what it wrote."""

from __future__ import annotations

from collections.abc import AsyncIterator

import attrs
import pytest

from orchestra.api.core.config import ConfigMap
from orchestra.api.object import ObjectMeta
from orchestra.apiserver import APIServer
from orchestra.apiserver.validation.options import RuleOptions
from orchestra.client.interface import Patch, PatchType, WriteOptions
from orchestra.errors import Conflict
from orchestra.store import MemoryStore


@pytest.fixture
async def server() -> AsyncIterator[APIServer]:
    async with MemoryStore() as store, APIServer(store, rules=RuleOptions(own_every_write=True)) as server:
        yield server


def made(**data: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name="a", namespace="default"), data=data)


def owners(obj: ConfigMap) -> dict[str, list[str]]:
    found = {}
    for entry in obj.metadata.managed_fields:
        fields = entry.fields_v1 or {}
        found[f"{entry.manager} {entry.operation}"] = sorted(name for name in fields.get("f:data", {}) if name != ".")
    return found


async def test_who_creates_an_object_owns_its_fields(server: APIServer) -> None:
    first = await server.create(made(x="1", y="1"), options=WriteOptions(field_manager="maker"))
    assert owners(first) == {"maker Update": ["f:x", "f:y"]}
    changed = attrs.evolve(first, data={"x": "2", "y": "1"})
    second = await server.update(changed, options=WriteOptions(field_manager="other"))
    assert owners(second) == {"maker Update": ["f:y"], "other Update": ["f:x"]}


async def test_an_apply_conflicts_with_who_wrote_before_it(server: APIServer) -> None:
    await server.create(made(x="1"), options=WriteOptions(field_manager="maker"))
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "2"}}
    with pytest.raises(Conflict, match=r'conflict with "maker" using v1: \.data\.x'):
        await server.apply(document, options=WriteOptions(field_manager="applier"))


async def test_an_empty_list_of_owners_ends_all_ownership(server: APIServer) -> None:
    first = await server.create(made(x="1"))
    body = Patch(PatchType.MERGE, {"metadata": {"managedFields": []}})
    cleared = await server.patch(ConfigMap, "a", body)
    assert (owners(cleared), cleared.metadata.resource_version != first.metadata.resource_version) == ({}, True)
    later = await server.patch(ConfigMap, "a", Patch(PatchType.MERGE, {"data": {"y": "1"}}))
    assert owners(later) == {}


async def test_a_dry_run_shows_owners_and_stores_nothing(server: APIServer) -> None:
    shown = await server.create(made(x="1"), options=WriteOptions(field_manager="maker", dry_run=True))
    assert owners(shown) == {"maker Update": ["f:x"]}
    assert (await server.list(ConfigMap, namespace="default")).items == ()
