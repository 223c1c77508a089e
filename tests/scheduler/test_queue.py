"""When a Pod is tried, and when again."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from orchestra.api.builders import meta, pod
from orchestra.api.core.pod import PodSchedulingGate
from orchestra.backoff import Backoff
from orchestra.scheduler.events import Action, ClusterEvent, Resource
from orchestra.scheduler.podinfo import PodInfo
from orchestra.scheduler.profile import Profile
from orchestra.scheduler.queue import FLUSH_SECONDS, SchedulingQueue
from orchestra.scheduler.queued import QueuedPod, Unit

POD_GONE = ClusterEvent(Resource.ASSIGNED_POD, Action.DELETE, pod("other"), None)
POD_CAME = ClusterEvent(Resource.ASSIGNED_POD, Action.ADD, None, pod("other"))
FIT = ("NodeResourcesFit",)


def info(name: str, **spec: Any) -> PodInfo:
    made = pod(name, **spec)
    return PodInfo(attrs.evolve(made, metadata=attrs.evolve(meta(name), namespace="default", uid=name)))


def make_queue(**settings: Any) -> SchedulingQueue:
    profile = Profile()
    return SchedulingQueue({profile.name: profile}, **settings)


def names(units: list[Unit]) -> list[str]:
    return [item.info.pod.metadata.name for unit in units for item in unit]


def pop(queue: SchedulingQueue, limit: int = 1, now: float = 0.0) -> QueuedPod:
    ((item,),) = queue.pop(limit, now)
    return item


def refused(queue: SchedulingQueue, name: str, now: float) -> QueuedPod:
    queue.add(info(name), now)
    item = pop(queue)
    queue.refuse(item, FIT, now)
    return item


def test_higher_priority_goes_first_and_then_who_came_first() -> None:
    queue = make_queue()
    for name, priority in (("a", 0), ("b", 5), ("c", 0), ("d", 5)):
        queue.add(info(name, priority=priority), now=1.0)
    assert names(queue.pop(3, 0.0)) == ["b", "d", "a"]
    assert names(queue.pop(3, 0.0)) == ["c"]


def test_a_refused_pod_rests_until_an_event_that_can_help() -> None:
    queue = make_queue()
    refused(queue, "a", now=0.0)
    queue.on_event(POD_CAME, now=5.0)
    assert queue.pop(1, 0.0) == []
    queue.on_event(POD_GONE, now=5.0)
    assert names(queue.pop(1, 0.0)) == ["a"]


def test_a_pod_that_no_plugin_refused_as_there_was_no_node_is_tried_after_any_event() -> None:
    queue = make_queue()
    queue.add(info("a"), now=0.0)
    queue.refuse(pop(queue), (), 0.0)
    queue.on_event(POD_CAME, now=2.0)
    assert names(queue.pop(1, 2.0)) == ["a"]


def test_an_event_soon_after_the_attempt_waits_for_the_backoff() -> None:
    queue = make_queue()
    refused(queue, "a", now=0.0)
    queue.on_event(POD_GONE, now=0.2)
    assert queue.pop(1, 0.0) == []
    assert queue.next_time() == pytest.approx(1.0)
    queue.flush(now=1.0)
    assert names(queue.pop(1, 0.0)) == ["a"]


def test_the_backoff_doubles_from_one_second_to_ten() -> None:
    queue = make_queue()
    queue.add(info("a"), now=0.0)
    now, rests = 0.0, []
    for _ in range(6):
        item = pop(queue)
        queue.retry(item, now)
        at = queue.next_time()
        assert at is not None
        rests.append(at - now)
        now = at
        queue.flush(now)
    assert rests == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_an_event_during_the_attempt_is_not_lost() -> None:
    queue = make_queue()
    queue.add(info("a"), now=0.0)
    item = pop(queue)
    queue.on_event(POD_GONE, now=0.1)
    queue.refuse(item, FIT, now=0.2)
    assert queue.counts()["backoff"] == 1


def test_an_event_during_the_attempt_that_cannot_help_changes_nothing() -> None:
    queue = make_queue()
    queue.add(info("a"), now=0.0)
    item = pop(queue)
    queue.on_event(POD_CAME, now=0.1)
    queue.refuse(item, FIT, now=0.2)
    assert queue.counts()["unschedulable"] == 1


def test_a_pod_is_tried_again_although_every_event_was_missed() -> None:
    queue = make_queue()
    refused(queue, "a", now=0.0)
    queue.flush(now=FLUSH_SECONDS - 0.1)
    assert queue.pop(1, 0.0) == []
    queue.flush(now=FLUSH_SECONDS)
    assert names(queue.pop(1, 0.0)) == ["a"]


def test_a_gated_pod_is_not_tried_before_its_gate_is_gone() -> None:
    queue = make_queue()
    queue.add(info("a", scheduling_gates=(PodSchedulingGate(name="wait"),)), now=0.0)
    assert queue.pop(1, 0.0) == []
    queue.on_event(POD_GONE, now=1.0)
    assert queue.pop(1, 0.0) == []
    queue.add(info("a"), now=2.0)
    assert names(queue.pop(1, 0.0)) == ["a"]


def test_a_pod_that_is_gone_is_not_tried() -> None:
    queue = make_queue()
    for name in ("a", "b"):
        queue.add(info(name), now=0.0)
    queue.remove("a")
    assert names(queue.pop(5, 0.0)) == ["b"]
    assert len(queue) == 1


def test_a_pod_that_vanished_in_flight_is_not_put_back() -> None:
    queue = make_queue()
    queue.add(info("a"), now=0.0)
    item = pop(queue)
    queue.remove("a")
    queue.refuse(item, FIT, now=0.0)
    queue.retry(item, now=0.0)
    assert len(queue) == 0
    assert queue.next_time() is None


def test_a_changed_pod_is_tried_again_and_a_changed_status_is_no_change() -> None:
    queue = make_queue()
    item = refused(queue, "a", now=0.0)
    same = attrs.evolve(item.info.pod, status=attrs.evolve(item.info.pod.status, message="x"))
    queue.add(PodInfo(same), now=50.0)
    assert queue.pop(1, 0.0) == []
    queue.add(info("a", node_selector={"disk": "ssd"}), now=50.0)
    assert names(queue.pop(1, 0.0)) == ["a"]


def test_thousands_of_refused_pods_cost_an_unhelpful_event_nothing() -> None:
    queue = make_queue(backoff=Backoff(initial_seconds=0.0))
    for number in range(2000):
        refused(queue, f"p{number}", now=0.0)
    assert len(queue._resting) == 1  # one group, one look
    queue.on_event(POD_CAME, now=1.0)
    assert queue.counts()["unschedulable"] == 2000
