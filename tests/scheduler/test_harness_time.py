"""The harness over time: order, backoff, gates, permission, and which event helps whom, without waiting."""

from __future__ import annotations

from typing import ClassVar

import attrs
import pytest

from orchestra.api.core.pod import PodSchedulingGate
from orchestra.errors import PluginError
from orchestra.scheduler import Harness, Plugin, PodInfo, Profile, Status, Verdict, node, pod
from orchestra.scheduler.interface import CycleState


def test_submitted_pods_are_tried_in_their_order_and_again_when_something_helps() -> None:
    h = Harness(nodes=[node("a", cpu=2)])
    h.submit(pod("small", cpu=1), pod("big", cpu=8), pod("urgent", cpu=1, priority=9))
    assert [(r.pod, r.node, r.outcome) for r in h.advance(0)] == [
        ("urgent", "a", "Placed"),
        ("small", "a", "Placed"),
        ("big", "", "Unschedulable"),
    ]
    assert h.waiting() == {"big": "unschedulable"}
    assert h.advance(5) == []
    h.add_node(node("b", cpu=16))
    (result,) = h.advance(5)
    assert (result.pod, result.node, result.attempt, result.at_seconds) == ("big", "b", 2, 5.0)
    assert result.why("a").startswith("NodeResourcesFit: Insufficient cpu")
    assert h.waiting() == {}


def test_a_refused_pod_rests_before_it_is_tried_again_and_is_never_forgotten() -> None:
    h = Harness(nodes=[node("a", cpu=1)])
    h.submit(pod("big", cpu=8))
    h.advance(0)
    h.add_node(node("b", cpu=8, unschedulable=True))
    assert h.advance(0.5) == []
    assert [result.at_seconds for result in h.advance(70)] == [1.0, 31.0, 61.0]


def test_a_gated_pod_waits_until_its_gate_is_gone() -> None:
    h = Harness(nodes=[node("a")])
    gated = pod("p", scheduling_gates=(PodSchedulingGate(name="quota"),))
    h.submit(gated)
    (result,) = h.advance(1)
    assert (result.outcome, result.message) == ("Gated", "waiting for scheduling gates: [quota]")
    h.submit(attrs.evolve(gated, spec=attrs.evolve(gated.spec, scheduling_gates=())))
    assert [r.node for r in h.advance(0)] == ["a"]


def test_room_that_is_made_by_eviction_is_used_after_the_backoff() -> None:
    h = Harness(nodes=[node("a", cpu=1)])
    h.schedule(pod("low", cpu=1))
    h.submit(pod("high", cpu=1, priority=9))
    first, second = h.advance(10)
    assert (first.outcome, first.node, first.victims) == ("Unschedulable", "a", ("low",))
    assert (second.outcome, second.node, second.at_seconds) == ("Placed", "a", 1.0)


class Together(Plugin):
    """Lets Pods go when two of them have a node."""

    name: ClassVar[str] = "Together"

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def permit(self, _state: CycleState, pod: PodInfo, _node: str) -> Status | None:
        self.seen.add(pod.uid)
        return None if len(self.seen) > 1 else Status(Verdict.WAIT, ("alone",), wait_seconds=60)


def test_permit_is_asked_and_its_waits_end() -> None:
    h = Harness(nodes=[node("a")], profile=Profile().with_plugins(Together()))
    h.submit(pod("p"))
    (waits,) = h.advance(1)
    assert (waits.outcome, waits.message) == ("Waiting", "waiting for permission of Together: alone")
    assert h.waiting() == {"p": "in_flight"}
    h.submit(pod("q"))
    assert sorted(r.pod for r in h.advance(1) if r.outcome == "Placed") == ["p", "q"]
    lonely = Harness(nodes=[node("a")], profile=Profile().with_plugins(Together()))
    lonely.submit(pod("p"))
    assert [r.outcome for r in lonely.advance(61)] == ["Waiting", "Refused"]
    assert [r.at_seconds for r in lonely.advance(0)] == []


def test_a_pod_that_waits_for_permission_can_be_approved_and_denied() -> None:
    for decide, outcome in ((Harness.approve, "Placed"), (Harness.deny, "Refused")):
        h = Harness(nodes=[node("a")], profile=Profile().with_plugins(Together()))
        h.submit(pod("p"))
        h.advance(1)
        assert decide(h, "p", "Together")
        assert [r.outcome for r in h.advance(1)][:1] == [outcome]
        assert not decide(h, "nobody", "Together")


def test_a_plugin_that_fails_while_time_passes_is_raised() -> None:
    class Broken(Plugin):
        name = "Broken"

        def pre_filter(self, _state: CycleState, _pod: PodInfo, _table: object) -> None:
            raise RuntimeError("boom")

    h = Harness(nodes=[node("a")], profile=Profile().with_plugins(Broken()))
    h.submit(pod("p"))
    with pytest.raises(PluginError, match="Broken"):
        h.advance(0)
