"""PriorityClasses, disruption budgets and Pod groups at the server: what Pods get of them, and what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest

from orchestra.api.builders import meta, pod
from orchestra.api.core.pod import Pod
from orchestra.api.policy import PodDisruptionBudget, PodDisruptionBudgetSpec
from orchestra.api.scheduling import (
    BasicSchedulingPolicy,
    GangSchedulingPolicy,
    PodGroup,
    PodGroupSchedulingPolicy,
    PodGroupSpec,
    PriorityClass,
)
from orchestra.apiserver import APIServer
from orchestra.errors import Forbidden, Invalid
from orchestra.store import MemoryStore
from orchestra.testing import VirtualClock

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


@pytest.fixture
async def server() -> AsyncIterator[APIServer]:
    clock = VirtualClock()
    async with MemoryStore(clock=clock) as store, APIServer(store, clock=clock) as api:
        yield api


def named(name: str, value: int = 0, **more: Any) -> PriorityClass:
    return PriorityClass(metadata=meta(name), value=value, **more)


def group(**policies: Any) -> PodGroup:
    spec = PodGroupSpec(scheduling_policy=PodGroupSchedulingPolicy(**policies))
    return PodGroup(metadata=meta("g"), spec=spec)


async def test_a_pod_gets_the_priority_and_the_policy_of_its_class(server: APIServer) -> None:
    await server.create(named("gold", 77, preemption_policy="Never"))
    made = await server.create(pod("p", priority_class_name="gold"))
    assert (made.spec.priority, made.spec.preemption_policy) == (77, "Never")


async def test_a_class_that_was_made_a_moment_ago_is_known(server: APIServer) -> None:
    for number in range(5):
        await server.create(named(f"c{number}", number))
        made = await server.create(pod(f"p{number}", priority_class_name=f"c{number}"))
        assert made.spec.priority == number


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"priority_class_name": "none"}, "no PriorityClass with name none was found"),
        ({"priority": 5}, "the integer value of priority (5) must not be provided in pod spec"),
        ({"priority_class_name": "gold", "priority": 5}, "computed 77 from the given PriorityClass name"),
        ({"preemption_policy": "Never"}, "the string value of PreemptionPolicy (Never) must not be provided"),
    ],
)
async def test_what_is_not_of_the_class_is_refused(server: APIServer, spec: dict[str, Any], told: str) -> None:
    await server.create(named("gold", 77))
    with pytest.raises(Forbidden) as refusal:
        await server.create(pod("p", **spec))
    assert told in str(refusal.value)


async def test_a_pod_that_names_no_class_is_of_the_default_one(server: APIServer) -> None:
    assert (await server.create(pod("before"))).spec.priority == 0
    await server.create(named("usual", 10, global_default=True))
    made = await server.create(pod("after"))
    assert (made.spec.priority, made.spec.priority_class_name) == (10, "usual")
    assert (await server.get(Pod, "before")).spec.priority == 0


async def test_there_is_one_default_class_at_most(server: APIServer) -> None:
    await server.create(named("usual", 10, global_default=True))
    with pytest.raises(Forbidden) as refusal:
        await server.create(named("other", 1, global_default=True))
    assert "PriorityClass usual is already marked as default" in str(refusal.value)
    other = await server.create(named("other", 1))
    with pytest.raises(Forbidden):
        await server.update(attrs.evolve(other, global_default=True))
    usual = await server.get(PriorityClass, "usual")
    await server.update(attrs.evolve(usual, description="may be described"))


async def test_the_system_s_classes_are_there_and_stay(server: APIServer) -> None:
    values = {item.metadata.name: item.value for item in (await server.list(PriorityClass)).items}
    assert values == {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
    with pytest.raises(Forbidden) as refusal:
        await server.delete(PriorityClass, "system-node-critical")
    assert "this is a system priority class and cannot be deleted" in str(refusal.value)
    made = await server.create(pod("p", priority_class_name="system-node-critical"))
    assert made.spec.priority == 2_000_001_000


@pytest.mark.parametrize(
    ("made", "field"),
    [
        (named("big", 1_000_000_001), "value"),
        (named("system-mine", 1), "metadata.name"),
        (named("odd", preemption_policy="Maybe"), "preemptionPolicy"),
        (group(), "spec.schedulingPolicy"),
        (group(basic=BasicSchedulingPolicy(), gang=GangSchedulingPolicy(min_count=1)), "spec.schedulingPolicy"),
        (group(gang=GangSchedulingPolicy(min_count=0)), "spec.schedulingPolicy.gang.minCount"),
        (
            PodDisruptionBudget(
                metadata=meta("b"), spec=PodDisruptionBudgetSpec(min_available=1, max_unavailable="10%")
            ),
            "spec",
        ),
        (
            PodDisruptionBudget(metadata=meta("b"), spec=PodDisruptionBudgetSpec(min_available="101%")),
            "spec.minAvailable",
        ),
    ],
)
async def test_faults_name_their_field(server: APIServer, made: Any, field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        await server.create(made)
    assert [cause.field for cause in refusal.value.causes] == [field]


async def test_the_value_of_a_class_and_the_policy_of_a_group_are_fixed(server: APIServer) -> None:
    gold = await server.create(named("gold", 77))
    with pytest.raises(Invalid):
        await server.update(attrs.evolve(gold, value=78))
    made = await server.create(group(gang=GangSchedulingPolicy(min_count=2)))
    changed = group(gang=GangSchedulingPolicy(min_count=3)).spec
    with pytest.raises(Invalid):
        await server.update(attrs.evolve(made, spec=changed))


async def test_a_budget_s_status_is_the_controller_s(server: APIServer) -> None:
    made = await server.create(PodDisruptionBudget(metadata=meta("b"), spec=PodDisruptionBudgetSpec(min_available=1)))
    assert made.status.disruptions_allowed == 0
    told = attrs.evolve(made, status=attrs.evolve(made.status, disruptions_allowed=3))
    assert (await server.update(told)).status.disruptions_allowed == 0
    told = attrs.evolve(told, metadata=attrs.evolve(told.metadata, resource_version=""))
    with pytest.raises(Invalid):
        await server.update(told, subresource="status")  # the revision must be named
    current = await server.get(PodDisruptionBudget, "b")
    current = attrs.evolve(current, status=attrs.evolve(current.status, disruptions_allowed=3))
    assert (await server.update(current, subresource="status")).status.disruptions_allowed == 3
