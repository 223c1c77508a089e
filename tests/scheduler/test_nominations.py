"""Who is to have the room that victims leave, and what the others hear of it."""

from __future__ import annotations

from orchestra.api.builders import pod
from orchestra.scheduler.events import Action, ClusterEvent, Resource
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.nominations import Nominations, Victims
from orchestra.scheduler.podinfo import PodInfo
from orchestra.scheduler.profile import Profile
from orchestra.scheduler.queue import SchedulingQueue

WENT = ClusterEvent(Resource.ASSIGNED_POD, Action.DELETE, pod("gone"), None)
CAME = ClusterEvent(Resource.NODE, Action.ADD, None, None)


def test_a_pod_is_nominated_for_one_node_at_a_time() -> None:
    nominations = Nominations()
    info = PodInfo(pod("p"))
    nominations.put(info, "a")
    nominations.put(info, "b")
    assert (nominations.node_of(info.uid), list(nominations.nodes()), len(nominations)) == ("b", ["b"], 1)
    nominations.withdraw(info.uid)
    nominations.withdraw(info.uid)
    assert not nominations
    assert not nominations.on("b")


def test_the_last_victim_names_the_pod_that_it_went_for() -> None:
    victims = Victims()
    victims.add("v1", "high")
    victims.add("v2", "high")
    assert victims.discard("v1") == ""
    assert victims.discard("v1") == ""
    assert victims.discard("v2") == "high"
    assert victims.discard("v2") == ""


def test_a_pod_that_waits_for_its_victims_is_not_woken_by_others_that_go() -> None:
    table = NodeTable()
    queue = SchedulingQueue({"default-scheduler": Profile()}, table)
    info = PodInfo(pod("high"))
    queue.add(info, 0.0)
    ((waiting,),) = queue.pop(1, 0.0)
    queue.refuse(waiting, ("NodeResourcesFit",), 0.0)
    table.victims.add("v1", info.uid)
    queue.on_event(WENT, 100.0)
    assert queue.counts()["unschedulable"] == 1
    assert table.victims.busy(CAME) == ()
    assert table.victims.discard("v1") == info.uid
    queue.activate(info.uid, 0.1)  # at once: its backoff has not passed
    assert queue.counts()["active"] == 1
