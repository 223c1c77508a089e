"""What a StatefulSet does next, and in which order."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from orchestra.api.apps import (
    RollingUpdateStatefulSetStrategy,
    StatefulSet,
    StatefulSetOrdinals,
    StatefulSetPersistentVolumeClaimRetentionPolicy,
    StatefulSetSpec,
    StatefulSetUpdateStrategy,
)
from orchestra.api.core import Pod, PodCondition, PodStatus, Volume
from orchestra.api.core.persistentvolume import PersistentVolumeClaim
from orchestra.api.meta import LabelSelector
from orchestra.api.object import ObjectMeta
from orchestra.workloads.stateful_steps import Members, new_claim, new_pod, ordinal_of, retained, with_claims
from tests.workloads.making import NOW, template


def stateful(replicas: int, *, start: int = 0, partition: int = 0, **spec: Any) -> StatefulSet:
    rolling = RollingUpdateStatefulSetStrategy(partition=partition)
    spec.setdefault("update_strategy", StatefulSetUpdateStrategy(type="RollingUpdate", rolling_update=rolling))
    return StatefulSet(
        metadata=ObjectMeta(name="db", namespace="default", uid="db"),
        spec=StatefulSetSpec(
            replicas=replicas,
            selector=LabelSelector(match_labels={"app": "db"}),
            template=template("app:2"),
            ordinals=StatefulSetOrdinals(start=start),
            **spec,
        ),
    )


def pod(
    ordinal: int, revision: str = "new", *, ready: bool = True, phase: str = "Running", ending: bool = False
) -> Pod:
    made = new_pod(stateful(9), template("app:1"), revision, ordinal)
    condition = PodCondition(type="Ready", status="True" if ready else "False", last_transition_time=NOW)
    meta = attrs.evolve(made.metadata, uid=str(ordinal), deletion_timestamp=NOW if ending else None)
    return attrs.evolve(made, metadata=meta, status=PodStatus(phase=phase, conditions=(condition,)))


def told(sts: StatefulSet, *pods: Pod) -> tuple[list[int], list[str]]:
    """Return the ordinals that are created and the names of the Pods that go."""
    steps = Members(sts=sts, pods=pods, current="old", update="new", now=NOW).steps()
    return list(steps.create), [one.metadata.name for one in steps.delete]


@pytest.mark.parametrize(("name", "number"), [("db-0", 0), ("db-12", 12), ("db-x", -1), ("db", -1), ("db-a-1", -1)])
def test_the_number_of_a_pod_is_in_its_name(name: str, number: int) -> None:
    assert ordinal_of("db", name) == number


def test_ordered_pods_come_one_after_the_other_and_parallel_ones_at_once() -> None:
    assert told(stateful(3)) == ([0], [])
    assert told(stateful(3), pod(0, ready=False)) == ([], [])
    assert told(stateful(3), pod(0)) == ([1], [])
    assert told(stateful(3, start=5)) == ([5], [])
    assert told(stateful(3, pod_management_policy="Parallel"), pod(1, ready=False)) == ([0, 2], [])


def test_a_pod_that_has_ended_is_deleted_once_and_holds_the_next_ones() -> None:
    assert told(stateful(2), pod(0, phase="Failed")) == ([], ["db-0"])
    assert told(stateful(2), pod(0, phase="Succeeded", ending=True)) == ([], [])


def test_scaling_down_goes_from_the_top_and_waits_for_the_others_to_be_healthy() -> None:
    assert told(stateful(1), pod(0), pod(1), pod(2)) == ([], ["db-2"])
    assert told(stateful(1), pod(0), pod(1), pod(2, ending=True)) == ([], [])
    assert told(stateful(1), pod(0, ready=False), pod(1)) == ([], [])
    assert told(stateful(1), pod(0), pod(1, ready=False), pod(2)) == ([], ["db-2"])
    assert told(stateful(1), pod(0), pod(1, ready=False), pod(2, ready=False)) == ([], [])
    assert told(stateful(1, pod_management_policy="Parallel"), pod(0, ready=False), pod(1), pod(2)) == (
        [],
        ["db-2", "db-1"],
    )


def test_an_update_takes_the_highest_old_pod_and_waits_until_its_successor_is_available() -> None:
    assert told(stateful(3), pod(0, "old"), pod(1, "old"), pod(2, "old")) == ([], ["db-2"])
    assert told(stateful(3), pod(0, "old"), pod(1, "old"), pod(2)) == ([], ["db-1"])
    assert told(stateful(3), pod(0, "old"), pod(1, "old"), pod(2, ready=False)) == ([], [])
    assert told(stateful(3, partition=2), pod(0, "old"), pod(1, "old"), pod(2)) == ([], [])
    manual = StatefulSetUpdateStrategy(type="OnDelete")
    assert told(stateful(1, update_strategy=manual), pod(0, "old")) == ([], [])


def test_below_the_partition_a_lost_pod_comes_back_as_it_was() -> None:
    members = Members(sts=stateful(3, start=4, partition=2), pods=(), current="old", update="new", now=NOW)
    assert [members.needs_current(ordinal) for ordinal in (4, 5, 6)] == [True, True, False]


def test_an_update_is_complete_when_all_are_ready_and_new() -> None:
    done = Members(sts=stateful(2), pods=(pod(0), pod(1)), current="old", update="new", now=NOW)
    status = done.status(done.steps(), 0)
    assert (status.current_revision, status.current_replicas, status.updated_replicas) == ("new", 2, 2)
    half = Members(sts=stateful(2), pods=(pod(0, "old"), pod(1)), current="old", update="new", now=NOW)
    status = half.status(half.steps(), 0)
    assert (status.current_revision, status.current_replicas, status.updated_replicas) == ("old", 0, 1)


def test_a_claim_belongs_to_the_set_or_to_the_pod_that_goes_as_the_policy_says() -> None:
    policy = StatefulSetPersistentVolumeClaimRetentionPolicy(when_deleted="Delete", when_scaled="Delete")
    sts = stateful(1, persistent_volume_claim_retention_policy=policy)
    made = new_claim(sts, PersistentVolumeClaim(metadata=ObjectMeta(name="data")), "data-db-0")
    assert dict(made.metadata.labels) == {"app": "db"}
    assert [r.kind for r in made.metadata.owner_references] == ["StatefulSet"]
    assert retained(sts, made, pod(0)) is made
    assert [r.kind for r in retained(sts, made, pod(1)).metadata.owner_references] == ["Pod"]
    assert retained(stateful(1), made, pod(0)).metadata.owner_references == ()


def test_a_claim_takes_the_place_of_a_volume_of_its_name() -> None:
    volumes = with_claims((Volume(name="data"), Volume(name="tmp")), {"data": "data-db-0"})
    assert [v.name for v in volumes] == ["data", "tmp"]
    assert volumes[0].persistent_volume_claim is not None
