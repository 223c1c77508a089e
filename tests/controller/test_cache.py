"""The cache of a kind and its indexes, and the reflector that keeps it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.api.core import ConfigMap, Node, Pod, PodSpec
from orchestra.api.object import ObjectMeta, OwnerReference
from orchestra.api.selectors import parse_selector
from orchestra.client.interface import EventType, WatchEvent
from orchestra.controller import Change, Index, Key
from orchestra.controller.cache import Cache
from orchestra.controller.reflector import (
    RELIST_AFTER_FAILURES,
    RELIST_JITTER_SECONDS,
    AskProgress,
    GiveUp,
    ListNow,
    Pause,
    Reflector,
    WatchFrom,
)
from orchestra.errors import ConfigurationError, Expired, ServiceUnavailable


def config(name: str, version: int = 1, namespace: str = "default", **labels: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, namespace=namespace, resource_version=str(version), labels=labels))


def pod(name: str, node: str = "", owner: str = "") -> Pod:
    owners = (OwnerReference(kind="ReplicaSet", name="r", uid=owner, controller=True),) if owner else ()
    meta = ObjectMeta(name=name, namespace="default", owner_references=owners)
    return Pod(metadata=meta, spec=PodSpec(node_name=node))


def test_objects_are_found_by_name_namespace_and_labels() -> None:
    cache = Cache(ConfigMap)
    a, b, c = config("a", app="x"), config("b", app="y"), config("a", namespace="other", app="x")
    for obj in (a, b, c):
        cache.put(obj)
    assert cache.get("default", "a") is a
    assert cache.get("default", "c") is None
    assert cache.list() == (a, b, c)
    assert cache.list("default") == (a, b)
    assert cache.list(selector=parse_selector("app=x")) == (a, c)


def test_pods_are_found_by_their_owner_and_their_node() -> None:
    cache = Cache(Pod)
    cache.put(pod("a", owner="u1"))
    moved = pod("a", owner="u1", node="n1")
    cache.put(moved)
    cache.put(pod("b", owner="u2", node="n1"))
    assert cache.by_index("owner", "u1") == (moved,)
    assert len(cache.by_index("spec.nodeName", "n1")) == 2
    cache.drop(Key("default", "a"))
    assert cache.by_index("owner", "u1") == ()


def test_an_own_index_covers_what_is_there_and_what_comes() -> None:
    cache = Cache(ConfigMap)
    cache.put(config("a", color="red"))
    index = Index("color", ConfigMap, lambda obj: [obj.metadata.labels.get("color", "none")])
    cache.add_index(index)
    cache.put(config("b", color="red"))
    cache.put(config("a", color="blue"))
    assert [obj.metadata.name for obj in cache.by_index(index, "red")] == ["b"]
    assert [obj.metadata.name for obj in cache.by_index("color", "blue")] == ["a"]


def test_an_unknown_index_and_two_of_one_name_are_refused() -> None:
    cache = Cache(ConfigMap)
    with pytest.raises(ConfigurationError, match="no index 'color'"):
        cache.by_index("color", "red")
    cache.add_index(Index("color", ConfigMap, lambda obj: []))
    with pytest.raises(ConfigurationError, match="'color'"):
        cache.add_index(Index("color", ConfigMap, lambda obj: ["x"]))


def test_a_list_replaces_the_content_and_says_what_changed() -> None:
    cache = Cache(ConfigMap)
    old = {name: config(name) for name in "abc"}
    for obj in old.values():
        cache.put(obj)
    newer, fresh = config("b", 2), config("d", 3)
    changes = cache.replace([old["a"], newer, fresh])
    assert changes == (Change(old["c"], None), Change(old["b"], newer), Change(None, fresh))
    assert [obj.metadata.name for obj in cache.list()] == ["a", "b", "d"]


def test_cluster_wide_kinds_have_no_namespace() -> None:
    cache = Cache(Node)
    node = Node(metadata=ObjectMeta(name="n"))
    cache.put(node)
    assert cache.get("", "n") is node
    assert cache.list("anything") == (node,)


Ops = st.lists(st.tuples(st.sampled_from(("put", "drop")), st.integers(0, 5), st.integers(0, 2)), max_size=60)


@given(Ops)
def test_an_index_equals_a_search_whatever_happens(steps: list[tuple[str, int, int]]) -> None:
    cache = Cache(Pod)
    for step, number, word in steps:
        if step == "put":
            cache.put(pod(f"p{number}", node=f"n{word}" if word else ""))
        else:
            cache.drop(Key("default", f"p{number}"))
    for word in ("n1", "n2"):
        found = {obj.metadata.name for obj in cache.by_index("spec.nodeName", word)}
        assert found == {obj.metadata.name for obj in cache.list() if obj.spec.node_name == word}


def event(kind: EventType, obj: ConfigMap) -> WatchEvent[ConfigMap]:
    return WatchEvent(kind, obj, int(obj.metadata.resource_version))


def watching(revision: int = 5) -> Reflector[ConfigMap]:
    reflector = Reflector(ConfigMap)
    reflector.listed([config("a", 3)], revision)
    reflector.watching(0.0)
    return reflector


CHANCE = random.Random(0)


def test_it_lists_first_and_watches_from_there() -> None:
    reflector = Reflector(ConfigMap)
    assert reflector.next_step(0.0) == ListNow()
    assert not reflector.synced
    reflector.listed([config("a", 3)], 5)
    assert reflector.synced
    assert reflector.next_step(0.0) == WatchFrom(5)


def test_events_become_changes_and_bookmarks_only_move_the_revision() -> None:
    reflector = watching()
    old, new = reflector.cache.get("default", "a"), config("a", 6)
    events = [event(EventType.MODIFIED, new), event(EventType.BOOKMARK, config("", 9))]
    assert reflector.received(events, 1.0) == (Change(old, new),)
    assert reflector.revision == 9
    assert reflector.received([event(EventType.DELETED, config("a", 10))], 1.0) == (Change(new, None),)


def test_a_failed_watch_is_resumed_where_it_was_later_and_later() -> None:
    reflector = watching()
    reflector.failed(ServiceUnavailable("away"), 1.0, CHANCE)
    step = reflector.next_step(1.0)
    assert isinstance(step, Pause)
    assert 1.2 <= step.until <= 1.3
    assert reflector.error == "away"
    assert reflector.next_step(step.until) == WatchFrom(5)
    reflector.failed(ServiceUnavailable("away"), 2.0, CHANCE)
    assert reflector.next_step(2.3) != WatchFrom(5)


def test_lost_history_means_to_list_again_soon() -> None:
    reflector = watching()
    reflector.failed(Expired("too old"), 1.0, CHANCE)
    assert reflector.next_step(1.0 + RELIST_JITTER_SECONDS) == ListNow()


def test_a_watch_that_cannot_be_resumed_leads_to_a_list() -> None:
    reflector = watching()
    for _ in range(RELIST_AFTER_FAILURES):
        assert reflector.next_step(1e6) == WatchFrom(5)
        reflector.failed(ServiceUnavailable("no"), 0.0, CHANCE)
    assert reflector.next_step(1e6) == ListNow()


def test_a_silent_watch_is_asked_and_then_given_up() -> None:
    reflector = watching()
    assert reflector.silent(60.0, CHANCE) == AskProgress()
    assert reflector.patience_seconds() < 60
    assert reflector.silent(70.0, CHANCE) == GiveUp()
    assert reflector.error == "watch is silent"
    assert isinstance(reflector.next_step(70.0), Pause)


def test_an_answer_ends_the_suspicion() -> None:
    reflector = watching()
    reflector.silent(60.0, CHANCE)
    reflector.received([event(EventType.BOOKMARK, config("", 8))], 61.0)
    assert reflector.silent(121.0, CHANCE) == AskProgress()


def test_a_list_older_than_the_cache_is_believed() -> None:
    """A server that was restored from a backup has older revisions; waiting for newer ones would wait for ever."""
    reflector = watching(revision=100)
    reflector.listed([config("b", 3)], 7)
    assert reflector.revision == 7
    assert [obj.metadata.name for obj in reflector.cache.list()] == ["b"]
