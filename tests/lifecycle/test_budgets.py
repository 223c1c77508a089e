"""PodDisruptionBudgets: the arithmetic, and the status that the controller keeps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import anyio
import pytest

from orchestra.api.apps import ReplicaSet, ReplicaSetSpec
from orchestra.api.core import Container, Event, Pod, PodCondition, PodSpec, PodStatus, PodTemplateSpec
from orchestra.api.meta import LabelSelector
from orchestra.api.object import ObjectMeta
from orchestra.api.policy import PodDisruptionBudget, PodDisruptionBudgetSpec
from orchestra.api.rules.owners import owner_reference
from orchestra.apiserver import APIServer
from orchestra.lifecycle import budgets

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WEB = {"app": "web"}
SPEC = PodSpec(containers=(Container(name="c", image="i"),))
READY = PodStatus(conditions=(PodCondition(type="Ready", status="True"),))


def pod(name: str, *, ready: bool = True, deleted: bool = False) -> Pod:
    meta = ObjectMeta(name=name, namespace="default", labels=WEB, deletion_timestamp=NOW if deleted else None)
    return Pod(metadata=meta, spec=SPEC, status=READY if ready else PodStatus())


@pytest.mark.parametrize(
    ("spec", "expected", "desired"),
    [
        (PodDisruptionBudgetSpec(max_unavailable=1), 7, 6),
        (PodDisruptionBudgetSpec(max_unavailable="30%"), 7, 4),
        (PodDisruptionBudgetSpec(max_unavailable=9), 7, 0),
        (PodDisruptionBudgetSpec(min_available="50%"), 7, 4),
        (PodDisruptionBudgetSpec(min_available=3), 5, 3),
        (PodDisruptionBudgetSpec(), 0, 0),
    ],
)
def test_percentages_are_of_what_owners_want_and_round_up(
    spec: PodDisruptionBudgetSpec, expected: int, desired: int
) -> None:
    found = budgets.expectation(spec, matching=5, scale=7)
    assert (found.expected, found.desired_healthy) == (expected, desired)


def test_pods_that_are_leaving_or_about_to_are_not_healthy() -> None:
    pods = [pod("a"), pod("b", deleted=True), pod("c", ready=False), pod("d")]
    assert budgets.healthy(pods, {"d": NOW}, NOW + timedelta(seconds=119)) == 1
    assert budgets.healthy(pods, {"d": NOW}, NOW + timedelta(seconds=120)) == 2


def test_an_eviction_is_awaited_for_two_minutes_and_over_once_the_pod_is_being_deleted() -> None:
    pods = [pod("a"), pod("b", deleted=True)]
    found = budgets.underway({"a": NOW, "b": NOW, "gone": NOW}, pods, NOW)
    assert found.awaited == {"a": NOW}
    assert found.recheck_at == NOW + timedelta(minutes=2)
    late = budgets.underway({"a": NOW}, pods, NOW + timedelta(minutes=2, seconds=1))
    assert [one.metadata.name for one in late.overdue] == ["a"]
    assert not late.awaited


def test_a_budget_without_pods_allows_nothing() -> None:
    budget = PodDisruptionBudget(metadata=ObjectMeta(name="b", namespace="default", generation=1))
    wanted = budgets.Expectation(expected=0, desired_healthy=0)
    assert budgets.status_of(budget, [pod("a")], wanted, {}, NOW).disruptions_allowed == 0


def test_a_selector_is_quoted_as_kubernetes_quotes_it() -> None:
    assert budgets.selector_text(LabelSelector(match_labels=WEB)) == (
        "&LabelSelector{MatchLabels:map[string]string{app: web,},MatchExpressions:[]LabelSelectorRequirement{},}"
    )


async def budget(server: APIServer, spec: PodDisruptionBudgetSpec) -> None:
    meta = ObjectMeta(name="b", namespace="default")
    await server.create(PodDisruptionBudget(metadata=meta, spec=spec))
    await anyio.sleep(1)


async def events(server: APIServer, reason: str) -> list[str]:
    return [event.message for event in (await server.list(Event)).items if event.reason == reason]


@pytest.mark.virtual_time
async def test_the_owners_of_pods_say_how_many_there_should_be(server: APIServer) -> None:
    template = PodTemplateSpec(metadata=ObjectMeta(labels=WEB), spec=SPEC)
    spec = ReplicaSetSpec(replicas=3, selector=LabelSelector(match_labels=WEB), template=template)
    owner = await server.create(ReplicaSet(metadata=ObjectMeta(name="web", namespace="default"), spec=spec))
    for name in ("a", "b"):
        meta = ObjectMeta(name=name, namespace="default", labels=WEB, owner_references=(owner_reference(owner),))
        made = await server.create(Pod(metadata=meta, spec=SPEC))
        await server.update(Pod(metadata=made.metadata, spec=made.spec, status=READY), subresource="status")
    await budget(server, PodDisruptionBudgetSpec(selector=LabelSelector(match_labels=WEB), max_unavailable=2))
    status = (await server.get(PodDisruptionBudget, "b")).status
    assert (status.expected_pods, status.desired_healthy, status.current_healthy) == (3, 1, 2)
    assert (status.disruptions_allowed, status.conditions[0].reason) == (1, "SufficientPods")


@pytest.mark.virtual_time
async def test_pods_without_owner_are_warned_of_when_owners_have_to_count(server: APIServer) -> None:
    await server.create(Pod(metadata=ObjectMeta(name="a", namespace="default", labels=WEB), spec=SPEC))
    await budget(server, PodDisruptionBudgetSpec(selector=LabelSelector(match_labels=WEB), max_unavailable=1))
    status = (await server.get(PodDisruptionBudget, "b")).status
    assert (status.expected_pods, status.disruptions_allowed) == (0, 0)
    assert "were found to be unmanaged" in (await events(server, "UnmanagedPods"))[0]


@pytest.mark.virtual_time
async def test_a_disruption_that_never_comes_is_taken_back(server: APIServer) -> None:
    made = await server.create(Pod(metadata=ObjectMeta(name="a", namespace="default"), spec=SPEC))
    said = PodStatus(conditions=(PodCondition(type="DisruptionTarget", status="True", last_transition_time=NOW),))
    await server.update(Pod(metadata=made.metadata, spec=made.spec, status=said), subresource="status")
    await anyio.sleep(121)
    found = await server.get(Pod, "a")
    assert [(one.type, one.status) for one in found.status.conditions if one.type == "DisruptionTarget"] == [
        ("DisruptionTarget", "False")
    ]
