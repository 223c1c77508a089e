"""What every client does when it lists and watches."""

from __future__ import annotations

from typing import Any

import anyio
import attrs
import pytest

from orchestra.api.core.config import ConfigMap
from orchestra.api.core.pod import Pod
from orchestra.client.interface import (
    Client,
    DeleteOptions,
    EventType,
    Watch,
    WatchEvent,
)
from orchestra.errors import (
    BadRequest,
)
from tests.client.make import config, pod

LIMIT = 5.0  # seconds


async def take(watch: Watch[Any], count: int) -> list[WatchEvent[Any]]:
    events: list[WatchEvent[Any]] = []
    with anyio.fail_after(LIMIT):
        while len(events) < count:
            events.extend(await watch.next_batch())
    return events


def shown(events: list[WatchEvent[Any]]) -> list[tuple[str, str]]:
    return [(event.type.value, event.object.metadata.name) for event in events]


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
    with pytest.raises(BadRequest, match=r"field label not supported: spec\.bogus"):
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
        events = await take(watch, 3)
        assert shown(events) == [("ADDED", "b"), ("MODIFIED", "b"), ("DELETED", "b")]
        assert events[1].object.metadata.deletion_timestamp is not None


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
