"""The arithmetic of rollouts: tables as Kubernetes computes them, and the promises that hold for every number."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.api.apps import Deployment, DeploymentStrategy, ReplicaSet
from orchestra.workloads import rollout
from tests.workloads.making import deployment, replica_set


def sizes(steps: Sequence[rollout.Step]) -> dict[str, int]:
    return {step.replica_set.metadata.name: step.replicas for step in steps}


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (10, "25%", "25%", (3, 2)),
        (5, "25%", "25%", (2, 1)),
        (1, "25%", "25%", (1, 0)),
        (3, "30%", "10%", (1, 0)),
        (4, "200%", 0, (8, 0)),
        (3, 0, "10%", (0, 1)),  # both nothing: one is lent
        (10, 0, 0, (0, 1)),
        (3, 0, "100%", (0, 3)),
        (3, 1, 5, (1, 3)),  # no more can be missing than there are
        (0, 1, 1, (1, 0)),
    ],
)
def test_surge_rounds_up_and_unavailability_rounds_down(
    replicas: int, surge: int | str, unavailable: int | str, expected: tuple[int, int]
) -> None:
    subject = deployment(replicas, surge=surge, unavailable=unavailable)
    assert (rollout.max_surge(subject), rollout.max_unavailable(subject)) == expected


def test_recreate_has_neither_surge_nor_unavailability() -> None:
    subject = deployment(5, strategy=DeploymentStrategy(type="Recreate"))
    assert (rollout.max_surge(subject), rollout.max_unavailable(subject)) == (0, 0)


@pytest.mark.parametrize(
    ("replicas", "old", "new", "grown", "shrunk"),
    [
        (5, (5, 5), (0, 0), 2, 4),
        (5, (4, 4), (2, 0), 3, 4),
        (5, (4, 4), (3, 1), 3, 3),
        (10, (10, 10), (0, 0), 3, 8),
        (10, (8, 8), (5, 2), 5, 6),
        (1, (1, 1), (0, 0), 1, 1),
        (1, (1, 1), (1, 1), 1, 0),
    ],
)
def test_each_step_uses_the_room_that_surge_and_unavailability_leave(
    replicas: int, old: tuple[int, int], new: tuple[int, int], grown: int, shrunk: int
) -> None:
    subject = deployment(replicas, image="app:2")
    before, after = replica_set("old", *old, age=9), replica_set("new", *new, image="app:2")
    assert rollout.grow(subject, [before, after], after) == grown
    assert sizes(rollout.shrink(subject, [before], after)).get("old", old[0]) == shrunk


def test_unhealthy_old_pods_go_first_whatever_their_replica_set() -> None:
    subject = deployment(6, surge=0, unavailable=2, image="app:3")
    old = [replica_set("older", 3, 3, age=20), replica_set("sick", 3, 1, age=10, image="app:2")]
    assert sizes(rollout.shrink(subject, old, replica_set("new", 0, image="app:3"))) == {"sick": 1}


def test_without_unavailability_sick_old_pods_wait_for_new_ones() -> None:
    subject = deployment(3, surge=1, unavailable=0, image="app:2")
    sick, new = replica_set("old", 3, 0, age=9), replica_set("new", 1, 0, image="app:2")
    assert rollout.shrink(subject, [sick], new) == []
    assert sizes(rollout.shrink(subject, [sick], replica_set("new", 1, 1, image="app:2"))) == {"old": 2}


def test_a_status_that_still_counts_given_up_pods_gives_nothing_up_again() -> None:
    subject = deployment(10, surge=5, unavailable=0, image="app:2")
    stale = attrs.evolve(replica_set("old", 3), spec=replica_set("old", 2).spec)
    assert sizes(rollout.shrink(subject, [stale], replica_set("new", 10, 9, image="app:2"))) == {"old": 1}


@pytest.mark.parametrize(
    ("wanted", "old", "new", "expected"),
    [
        (11, 6, 7, {"new": 8, "old": 6}),
        (20, 6, 7, {"new": 12, "old": 11}),
        (5, 6, 7, {"new": 4, "old": 4}),
        (0, 6, 7, {"new": 0, "old": 0}),
    ],
)
def test_a_change_of_size_amid_a_rollout_is_shared_out(
    wanted: int, old: int, new: int, expected: dict[str, int]
) -> None:
    subject = deployment(wanted, surge=3, unavailable=2, image="app:2")
    noted = {"desired_replicas": "10", "max_replicas": "13"}
    steps = rollout.scale(
        subject,
        replica_set("new", new, 2, image="app:2", **noted),
        [replica_set("old", old, age=9, **noted)],
    )
    assert sizes(steps) == expected


def test_a_single_active_replica_set_takes_every_change_of_size() -> None:
    idle, active = replica_set("idle", 0, age=9), replica_set("active", 3, image="app:2")
    assert sizes(rollout.scale(deployment(7, image="app:2"), active, [idle])) == {"active": 7}
    assert rollout.scale(deployment(3, image="app:2"), active, [idle]) == []


def test_a_finished_rollout_empties_what_is_old() -> None:
    new = replica_set("new", 3, image="app:2", desired_replicas="3")
    assert sizes(rollout.scale(deployment(3, image="app:2"), new, [replica_set("old", 1, age=9)])) == {"old": 0}


def test_of_several_replica_sets_with_the_template_the_oldest_is_the_newest() -> None:
    sets = [replica_set("b", 1, age=1), replica_set("a", 1, age=5), replica_set("c", 1, age=9, image="app:2")]
    found = rollout.newest_of(deployment(1), sets)
    assert found is not None
    assert found.metadata.name == "a"


def test_history_beyond_its_limit_goes_oldest_first_and_only_when_empty() -> None:
    subject = deployment(1, revision_history_limit=1)
    old = [replica_set(f"r{n}", 1 if n == 2 else 0, revision=str(n)) for n in (4, 3, 2, 1)]
    assert [rs.metadata.name for rs in rollout.expendable(subject, old)] == ["r1", "r3"]
    assert rollout.expendable(deployment(1, revision_history_limit=None), old) == []


@attrs.define
class Simulated:
    """A ReplicaSet whose status may be behind: `running` Pods are really available, `told` is what its status says."""

    name: str
    age: int
    size: int = 0
    running: int = 0
    told: int = 0

    def object(self) -> ReplicaSet:
        one = replica_set(self.name, self.size, self.told, age=self.age, image=f"app:{self.name}")
        return attrs.evolve(one, spec=attrs.evolve(one.spec, replicas=self.size))

    def resize(self, size: int) -> None:
        self.size = size
        self.running = min(self.running, size)  # what is not ready goes first


def reconciled(subject: Deployment, sets: list[Simulated]) -> bool:
    """Do one step as the controller does: grow, or else shrink. Say whether anything changed."""
    *old, newest = sets
    objects = [one.object() for one in sets]
    size = rollout.grow(subject, objects, objects[-1])
    if size != newest.size:
        newest.resize(size)
        return True
    by_name = {one.name: one for one in old}
    steps = rollout.shrink(subject, objects[:-1], objects[-1])
    for step in steps:
        by_name[step.replica_set.metadata.name].resize(step.replicas)
    return bool(steps)


portions = st.one_of(st.integers(0, 12), st.integers(0, 100).map(lambda n: f"{n}%"))


@settings(max_examples=300, deadline=None)
@given(st.data(), st.integers(1, 12), portions, portions)
def test_a_rollout_never_has_too_many_or_too_few_pods_and_always_ends(
    data: st.DataObject, wanted: int, surge: int | str, unavailable: int | str
) -> None:
    subject = deployment(wanted, surge=surge, unavailable=unavailable)
    most, least = wanted + rollout.max_surge(subject), wanted - rollout.max_unavailable(subject)
    sets = [Simulated("0", 100, wanted, wanted, wanted)]

    def check() -> None:
        assert sum(one.size for one in sets) <= most
        assert sum(one.running for one in sets) >= least

    for word in data.draw(st.lists(st.sampled_from(("change", "ready", "tell", "sync")), max_size=40)):
        one = sets[data.draw(st.integers(0, len(sets) - 1))]
        if word == "change" and len(sets) < 4:
            sets.append(Simulated(str(len(sets)), 100 - len(sets)))
        elif word == "ready":
            one.running = min(one.size, one.running + 1)
        elif word == "tell":
            one.told = one.running
        subject = _of_image(subject, f"app:{sets[-1].name}")
        if word == "sync":
            reconciled(subject, sets)
        check()
    for _ in range(200):
        for one in sets:
            one.running = one.told = one.size
        if not reconciled(subject, sets):
            break
        check()
    assert [one.size for one in sets] == [0] * (len(sets) - 1) + [wanted]


def _of_image(subject: Deployment, image: str) -> Deployment:
    return attrs.evolve(subject, spec=attrs.evolve(subject.spec, template=deployment(1, image=image).spec.template))


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, 20),
    st.integers(1, 20),
    st.lists(st.integers(1, 10), min_size=2, max_size=4),
    portions,
)
def test_sharing_out_a_change_of_size_never_overshoots(
    wanted: int, before: int, parts: list[int], surge: int | str
) -> None:
    noted = {"desired_replicas": str(before), "max_replicas": str(sum(parts))}
    sets = [replica_set(f"r{n}", part, 0, age=n, image=f"app:{n}", **noted) for n, part in enumerate(parts)]
    subject = deployment(wanted, surge=surge, unavailable=1, image="app:0")
    steps = rollout.scale(subject, sets[0], sets[1:])
    after = sum(step.replicas for step in steps)
    assert all(step.replicas >= 0 for step in steps)
    allowed = wanted + rollout.max_surge(subject) if wanted else 0
    # What rounding leaves goes to the largest, which cannot give more than it has: the rollout's own steps do the rest.
    assert after == allowed or allowed < after <= sum(parts)
