"""When a Pod is tried, and when again."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from orchestra.api.builders import meta, node, pod
from orchestra.api.core.pod import PodSchedulingGate
from orchestra.backoff import Backoff
from orchestra.scheduler.events import Action, ClusterEvent, EventHint, Resource
from orchestra.scheduler.interface import Plugin, Status, unschedulable
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.podinfo import PodInfo
from orchestra.scheduler.profile import Profile
from orchestra.scheduler.queue import FLUSH_SECONDS, PATIENCE_SECONDS, TURNS, SchedulingQueue
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


class Curfew(Plugin):
    """Lets nobody in before it says so; asks for nodes that come with the label `open`."""

    name = "Curfew"

    def __init__(self) -> None:
        self.open = False
        self.asked = 0

    def pre_enqueue(self, _pod: PodInfo, _table: NodeTable) -> Status | None:
        self.asked += 1
        return None if self.open else unschedulable("it is night")

    def events(self) -> tuple[EventHint, ...]:
        return (EventHint(Resource.NODE, Action.ADD, lambda _pod, event: "open" in event.new.metadata.labels),)


def curfew_queue() -> tuple[Curfew, SchedulingQueue]:
    curfew = Curfew()
    profile = Profile().with_plugins(curfew)
    return curfew, SchedulingQueue({profile.name: profile})


def test_a_gated_pod_is_asked_about_again_after_an_event_that_its_plugin_asked_for() -> None:
    curfew, queue = curfew_queue()
    queue.add(info("a"), now=0.0)
    curfew.open = True
    queue.on_event(ClusterEvent(Resource.NODE, Action.ADD, None, node("x")), now=1.0)
    assert queue.pop(1, 1.0) == []
    queue.on_event(ClusterEvent(Resource.NODE, Action.ADD, None, node("x", labels={"open": "yes"})), now=1.0)
    assert names(queue.pop(1, 1.0)) == ["a"]


def test_a_gated_pod_is_asked_about_again_although_every_event_was_missed() -> None:
    curfew, queue = curfew_queue()
    queue.add(info("a"), now=0.0)
    queue.flush(now=FLUSH_SECONDS)
    assert (curfew.asked, queue.counts()["gated"]) == (2, 1)
    curfew.open = True
    queue.flush(now=2 * FLUSH_SECONDS)
    assert names(queue.pop(1, 2 * FLUSH_SECONDS)) == ["a"]


def test_a_pod_whose_priority_changes_while_it_waits_gets_its_new_place() -> None:
    queue = make_queue()
    for name in ("a", "b"):
        queue.add(info(name), now=0.0)
    queue.add(info("b", priority=5), now=1.0)
    assert names(queue.pop(2, 1.0)) == ["b", "a"]
    assert queue.pop(2, 1.0) == []


def test_a_stream_of_more_important_pods_starves_nobody() -> None:
    queue = make_queue()
    for number in range(5):
        queue.add(info(f"low{number}"), now=0.0)
    attempts: list[str] = []
    for step in range(600):
        now = step * 0.1  # ten attempts a second, and as many new Pods
        for number in range(10):
            queue.add(info(f"high{step}-{number}", priority=100), now=now)
        attempts.append(pop(queue, now=now).info.pod.metadata.name)
    low = [index for index, name in enumerate(attempts) if name.startswith("low")]
    patience = int(PATIENCE_SECONDS / 0.1)
    assert [attempts[index] for index in low] == [f"low{n}" for n in range(5)]
    assert all(index <= patience + TURNS * (place + 1) for place, index in enumerate(low))
    assert min(low) >= patience


def test_the_more_important_go_first_while_nobody_has_waited_for_long() -> None:
    queue = make_queue()
    queue.add(info("low"), now=0.0)
    for number in range(100):
        queue.add(info(f"high{number}", priority=1), now=0.0)
    assert names(queue.pop(101, 5.0))[-1] == "low"


def test_a_pod_that_is_refused_again_and_again_takes_no_turn_from_the_patient() -> None:
    queue = make_queue(backoff=Backoff(initial_seconds=0.0))
    queue.add(info("patient"), now=0.0)
    queue.add(info("loud", priority=1), now=0.0)
    tried = []
    for step in range(300):
        now = step * 0.1
        item = pop(queue, now=now)
        tried.append(item.info.pod.metadata.name)
        if tried[-1] == "patient":
            break
        queue.refuse(item, FIT, now)
        queue.on_event(POD_GONE, now)
    assert len(tried) <= PATIENCE_SECONDS / 0.1 + TURNS + 1


def test_a_plugin_whose_hints_fail_is_named_once() -> None:
    class Confused(Curfew):
        name = "Confused"

        def events(self) -> tuple[EventHint, ...]:
            def helps(_pod: PodInfo, _event: ClusterEvent) -> bool:
                raise RuntimeError("boom")

            return (EventHint(Resource.NODE, Action.ADD, helps),)

    profile = Profile().with_plugins(Confused())
    queue = SchedulingQueue({profile.name: profile})
    queue.add(info("a"), now=0.0)
    for _ in range(3):
        queue.on_event(ClusterEvent(Resource.NODE, Action.ADD, None, node("x")), now=1.0)
    assert [str(error) for error in queue.hints.take_complaints()] == [
        "plugin Confused failed in Events: RuntimeError('boom')"
    ]
    assert queue.hints.take_complaints() == []
