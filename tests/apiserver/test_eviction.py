"""Eviction under disruption budgets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import anyio
import attrs
import pytest

from orchestra.api.builders import meta, pod
from orchestra.api.core.pod import Pod
from orchestra.api.core.status import PodCondition, PodStatus
from orchestra.api.meta import LabelSelector
from orchestra.api.policy import Eviction, PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus
from orchestra.apiserver import APIServer
from orchestra.apiserver.eviction import charged
from orchestra.apiserver.interface import IN_PROCESS
from orchestra.apiserver.writes import Call
from orchestra.client.interface import WriteOptions
from orchestra.errors import BadRequest, Conflict, Forbidden, NotFound, TooManyRequests
from orchestra.store import MemoryStore
from orchestra.testing import VirtualClock

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def server() -> AsyncIterator[APIServer]:
    clock = VirtualClock()
    async with MemoryStore(clock=clock) as store, APIServer(store, clock=clock) as api:
        yield api


async def running(server: APIServer, name: str, *, ready: bool = True) -> Pod:
    given = pod(name, node="n", labels={"app": "web"})
    made = await server.create(given)
    condition = PodCondition(type="Ready", status="True" if ready else "False")
    status = attrs.evolve(made.status, phase="Running", conditions=(condition,))
    return await server.update(attrs.evolve(made, status=status), subresource="status")


async def budget(server: APIServer, allowed: int, name: str = "b", policy: str | None = None, **status: Any) -> None:
    spec = PodDisruptionBudgetSpec(
        min_available=1, selector=LabelSelector(match_labels={"app": "web"}), unhealthy_pod_eviction_policy=policy
    )
    made = await server.create(PodDisruptionBudget(metadata=meta(name), spec=spec))
    counted = PodDisruptionBudgetStatus(disruptions_allowed=allowed, observed_generation=1, **status)
    await server.update(attrs.evolve(made, status=counted), subresource="status")


async def test_a_pod_without_a_budget_goes_and_says_why(server: APIServer) -> None:
    await running(server, "p")
    await server.evict("p")
    left = await server.get(Pod, "p")
    assert left.metadata.deletion_timestamp is not None
    assert [(each.type, each.reason) for each in left.status.conditions][-1] == (
        "DisruptionTarget",
        "EvictionByEvictionAPI",
    )
    await server.evict("p", grace_period_seconds=0)
    with pytest.raises(NotFound):
        await server.evict("p")


async def test_a_budget_gives_each_disruption_once_however_many_ask_at_one_moment(server: APIServer) -> None:
    await budget(server, 2, current_healthy=5, desired_healthy=3)
    for number in range(40):
        await running(server, f"p{number}")
    refused: list[str] = []

    async def evict(name: str) -> None:
        try:
            await server.evict(name)
        except TooManyRequests as error:
            refused.append(error.causes[0].reason)

    async with anyio.create_task_group() as tasks:
        for number in range(40):
            tasks.start_soon(evict, f"p{number}")
    left = (await server.get(PodDisruptionBudget, "b")).status
    assert refused == ["DisruptionBudget"] * 38
    assert (left.disruptions_allowed, len(left.disrupted_pods)) == (0, 2)
    assert [(each.type, each.status, each.reason) for each in left.conditions] == [
        ("DisruptionAllowed", "False", "InsufficientPods")
    ]
    going = [each for each in (await server.list(Pod)).items if each.metadata.deletion_timestamp is not None]
    assert sorted(each.metadata.name for each in going) == sorted(left.disrupted_pods)


async def test_a_dry_run_changes_nothing(server: APIServer) -> None:
    await budget(server, 1)
    before = await running(server, "p")
    await server.evict("p", options=WriteOptions(dry_run=True))
    assert await server.get(Pod, "p") == before
    assert (await server.get(PodDisruptionBudget, "b")).status.disruptions_allowed == 1


@pytest.mark.parametrize(
    ("policy", "healthy", "goes"),
    [(None, 1, True), (None, 0, False), ("AlwaysAllow", 0, True), ("IfHealthyBudget", 0, False)],
)
async def test_a_pod_that_is_not_ready_counts_only_where_the_budget_is_short(
    server: APIServer, policy: str | None, healthy: int, goes: bool
) -> None:
    await budget(server, 0, policy=policy, current_healthy=healthy, desired_healthy=1)
    await running(server, "p", ready=False)
    if goes:
        await server.evict("p")
    else:
        with pytest.raises(TooManyRequests) as refused:
            await server.evict("p")
        assert refused.value.causes[0].message == "The disruption budget b needs 1 healthy pods and has 0 currently"
    assert ((await server.get(Pod, "p")).metadata.deletion_timestamp is not None) is goes


async def test_a_pending_pod_goes_whatever_its_budget_says(server: APIServer) -> None:
    await budget(server, 0, current_healthy=1, desired_healthy=1)
    made = await server.create(pod("p", labels={"app": "web"}))
    assert made.status == PodStatus(phase="Pending", qos_class="BestEffort")
    await server.evict("p")
    with pytest.raises(NotFound):
        await server.get(Pod, "p")


async def test_two_budgets_over_one_pod_are_refused(server: APIServer) -> None:
    await budget(server, 1, "a")
    await budget(server, 1, "b")
    await running(server, "p")
    with pytest.raises(Forbidden, match="more than one PodDisruptionBudget"):
        await server.evict("p")


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({"kind": "Eviction", "apiVersion": "policy/v1", "metadata": {"name": "q"}}, BadRequest),
        ({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "p"}}, BadRequest),
        ({"metadata": {"name": "p"}, "deleteOptions": {"preconditions": {"uid": "x"}}}, Conflict),
        ({"metadata": {"name": "p"}, "deleteOptions": {"preconditions": {"resourceVersion": "1"}}}, Conflict),
    ],
)
async def test_an_eviction_that_means_something_else_is_refused_and_marks_nothing(
    server: APIServer, document: dict[str, Any], error: type[Exception]
) -> None:
    before = await running(server, "p")
    with pytest.raises(error):
        await server.documents.evict("p", document, "default", Call(user=IN_PROCESS))
    assert await server.get(Pod, "p") == before


async def test_an_eviction_can_be_created_like_any_object(server: APIServer) -> None:
    await running(server, "p")
    await server.create(Eviction(metadata=meta("p")))
    assert (await server.get(Pod, "p")).metadata.deletion_timestamp is not None


@pytest.mark.parametrize(
    ("status", "error", "told"),
    [
        ({"observedGeneration": 1}, TooManyRequests, "is still being processed"),
        ({"observedGeneration": 2, "disruptionsAllowed": -1}, Forbidden, "disruptions allowed is negative"),
        (
            {"observedGeneration": 2, "disruptedPods": {str(n): "" for n in range(2001)}},
            Forbidden,
            "DisruptedPods map too big",
        ),
        (
            {
                "observedGeneration": 2,
                "conditions": [
                    {"type": "DisruptionAllowed", "status": "False", "reason": "SyncFailed", "message": "why"}
                ],
            },
            TooManyRequests,
            "it failed sync: why",
        ),
    ],
)
def test_a_budget_that_cannot_be_trusted_gives_nothing(
    status: dict[str, Any], error: type[Forbidden | TooManyRequests], told: str
) -> None:
    with pytest.raises(error) as refused:
        charged({"metadata": {"name": "b", "generation": 2}, "status": status}, "p", NOW)
    assert told in (refused.value.causes[0].message if refused.value.causes else refused.value.message)
