"""The watch cache of a kind, without a server."""

from __future__ import annotations

from typing import Any

import orjson

from orchestra.api.core.pod import Pod
from orchestra.apiserver.cache import HISTORY_EVENTS, Interest, KindCache, RecordEvent
from orchestra.apiserver.record import Record


def record(name: str, revision: int, *, namespace: str = "default", node: str = "", **labels: str) -> Record:
    spec: dict[str, Any] = {"containers": [], **({"nodeName": node} if node else {})}
    document = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": spec,
    }
    return Record(Pod, namespace, name, revision, orjson.dumps(document))


class Seen:
    """Collects what one watcher is told."""

    def __init__(self, cache: KindCache, **interest: Any) -> None:
        self.events: list[RecordEvent] = []
        cache.add(Interest(self.events.append, **interest))

    @property
    def shown(self) -> list[tuple[str, str, int]]:
        return [(e.type.value, e.record.name, e.revision) for e in self.events]


def cache() -> KindCache:
    made = KindCache(Pod, by_node=True)
    made.load([], 1)
    return made


def put(to: KindCache, item: Record) -> None:
    to.apply(item.revision, item.namespace, item.name, item)


def test_records_come_in_the_order_of_their_keys() -> None:
    pods = cache()
    for revision, (namespace, name) in enumerate([("a", "z"), ("a-b", "x"), ("a", "b")], start=2):
        put(pods, record(name, revision, namespace=namespace))
    assert [(r.namespace, r.name) for r in pods.records()] == [("a-b", "x"), ("a", "b"), ("a", "z")]
    assert [r.name for r in pods.records("a")] == ["b", "z"]


def test_all_watchers_share_one_event() -> None:
    pods = cache()
    one, two = Seen(pods), Seen(pods)
    put(pods, record("a", 2))
    assert one.events[0] is two.events[0]


def test_a_deletion_shows_the_last_state_under_its_own_revision() -> None:
    pods = cache()
    seen = Seen(pods)
    put(pods, record("a", 2, app="x"))
    pods.apply(3, "default", "a", None)
    assert seen.shown == [("ADDED", "a", 2), ("DELETED", "a", 3)]
    assert seen.events[1].object.metadata.labels == {"app": "x"}
    assert seen.events[1].object.metadata.resource_version == "3"
    assert len(pods) == 0


def test_a_node_is_told_of_its_pods_alone() -> None:
    pods = cache()
    matches = {node: (lambda r, node=node: r.text("spec", "nodeName") == node) for node in ("n1", "n2")}
    first = Seen(pods, node="n1", matches=matches["n1"])
    second = Seen(pods, node="n2", matches=matches["n2"])
    put(pods, record("a", 2))
    put(pods, record("a", 3, node="n1"))
    put(pods, record("a", 4, node="n1", app="x"))
    pods.apply(5, "default", "a", None)
    assert first.shown == [("ADDED", "a", 3), ("MODIFIED", "a", 4), ("DELETED", "a", 5)]
    assert second.shown == []


def test_a_namespaces_watcher_is_told_of_it_alone() -> None:
    pods = cache()
    seen = Seen(pods, namespace="b")
    put(pods, record("x", 2, namespace="a"))
    put(pods, record("y", 3, namespace="b"))
    assert seen.shown == [("ADDED", "y", 3)]


def test_who_leaves_is_told_nothing_more() -> None:
    pods = cache()
    events: list[RecordEvent] = []
    interest = Interest(events.append, namespace="a")
    pods.add(interest)
    pods.remove(interest)
    put(pods, record("x", 2, namespace="a"))
    assert not events


def test_history_reaches_back_as_far_as_its_window() -> None:
    pods = cache()
    for revision in range(2, HISTORY_EVENTS + 12):
        put(pods, record("a", revision))
    assert pods.since(1) is None
    newest = HISTORY_EVENTS + 11
    found = pods.since(newest - 3)
    assert found is not None
    assert [change.revision for change in found] == [newest - 2, newest - 1, newest]
    assert pods.since(newest) == []
    assert pods.since(pods.oldest) is not None


def test_a_value_is_decoded_once_for_everybody() -> None:
    pods = cache()
    seen = Seen(pods)
    item = record("a", 2)
    put(pods, item)
    assert seen.events[0].object is item.object is pods.records()[0].object
