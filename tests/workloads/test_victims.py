"""Which Pods go first."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from orchestra.api.core import Container, ContainerStatus, Pod, PodCondition, PodSpec, PodStatus
from orchestra.api.object import ObjectMeta
from orchestra.workloads.victims import deletion_cost, rank_victims
from tests.workloads.making import NOW


def pod(name: str, **given: Any) -> Pod:
    """Return a Pod: bound to `node`, ready since `ready` seconds, created `age` seconds ago, ..."""
    ready, node = given.get("ready", 60), given.get("node", f"node-of-{name}")
    conditions: tuple[PodCondition, ...] = ()
    if ready is not None:
        conditions = (PodCondition(type="Ready", status="True", last_transition_time=NOW - timedelta(seconds=ready)),)
    cost = {"controller.kubernetes.io/pod-deletion-cost": str(given["cost"])} if "cost" in given else {}
    return Pod(
        metadata=ObjectMeta(
            name=name,
            namespace="default",
            uid=given.get("uid", name),
            annotations=cost,
            creation_timestamp=NOW - timedelta(seconds=given.get("age", 60)),
        ),
        spec=PodSpec(node_name=node, containers=(Container(name="c", image="i"),)),
        status=PodStatus(
            phase=given.get("phase", "Running"),
            conditions=conditions,
            container_statuses=(
                ContainerStatus(name="c", image="i", image_id="", ready=True, restart_count=given.get("restarts", 0)),
            ),
        ),
    )


def ranked(*pods: Pod, related: dict[str, int] | None = None) -> list[str]:
    return [one.metadata.name for one in rank_victims(pods, related or {}, NOW)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"node": ""}, {"phase": "Pending", "ready": None}),
        ({"phase": "Pending", "ready": None}, {"ready": None}),
        ({"ready": None, "cost": 100}, {"cost": -100}),
        ({"cost": -1}, {}),
        ({"cost": 9}, {"cost": 10}),
        ({"ready": 1}, {"ready": 1000}),
        ({"restarts": 4}, {"restarts": 3}),
        ({"age": 10}, {"age": 1000}),
    ],
)
def test_the_less_a_pod_is_worth_the_earlier_it_goes(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert ranked(pod("b", **second), pod("a", **first)) == ["a", "b"]


def test_crowded_nodes_are_relieved_first() -> None:
    pods = (pod("alone", node="n1"), pod("x", node="n2"), pod("y", node="n2"))
    assert ranked(*pods, related={"n1": 1, "n2": 2})[-1] == "alone"


def test_cost_counts_for_more_than_a_crowded_node() -> None:
    pods = (pod("dear", node="n2", cost=5), pod("cheap", node="n1"))
    assert ranked(*pods, related={"n1": 1, "n2": 9}) == ["cheap", "dear"]


def test_times_of_one_magnitude_are_equal_and_then_the_uid_decides() -> None:
    assert ranked(pod("a", ready=50, uid="2"), pod("b", ready=60, uid="1")) == ["b", "a"]
    assert ranked(pod("a", ready=50, uid="2"), pod("b", ready=500, uid="1")) == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "cost"),
    [("7", 7), ("-7", -7), ("", 0), ("+7", 0), ("007", 0), ("1.5", 0), ("2147483648", 0), ("-2147483648", -(2**31))],
)
def test_what_is_no_plain_32_bit_number_costs_nothing(text: str, cost: int) -> None:
    assert deletion_cost(pod("a", cost=text)) == cost
