"""Rules of HorizontalPodAutoscalers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.apiserver.rule_cases import faults, named, rules, stored, update_faults

KIND, VERSION = "HorizontalPodAutoscaler", "autoscaling/v2"
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
Document = dict[str, Any]


def autoscaler(**spec: Any) -> Document:
    return named(KIND, VERSION, spec={"scaleTargetRef": TARGET, "maxReplicas": 3, **spec})


def told(**spec: Any) -> list[str]:
    return faults(KIND, autoscaler(**spec), VERSION)


def test_an_autoscaler_that_says_little_keeps_the_cpu_at_four_fifths() -> None:
    spec = stored(KIND, autoscaler(), VERSION)["spec"]
    assert spec["minReplicas"] == 1
    target = {"type": "Utilization", "averageUtilization": 80}
    assert spec["metrics"] == [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    assert "behavior" not in spec


def test_a_behavior_is_filled_in_for_both_directions() -> None:
    spec = stored(KIND, autoscaler(behavior={"scaleUp": {"policies": [{"type": "Pods", "value": 1}]}}), VERSION)["spec"]
    all_of_them = {"type": "Percent", "value": 100, "periodSeconds": 15}
    assert spec["behavior"] == {
        "scaleUp": {
            "policies": [{"type": "Pods", "value": 1}],
            "stabilizationWindowSeconds": 0,
            "selectPolicy": "Max",
        },
        "scaleDown": {"selectPolicy": "Max", "policies": [all_of_them]},
    }


def metric(kind: str, **source: Any) -> Document:
    name = kind[0].lower() + kind[1:]
    return {"metrics": [{"type": kind, name: source}]}


USAGE = {"type": "Utilization", "averageUtilization": 50}
AVERAGE = {"type": "AverageValue", "averageValue": "1"}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"maxReplicas": 0, "minReplicas": 0}, 3),
        (metric("Resource", name="cpu", target=USAGE), []),
        (metric("ContainerResource", name="cpu", container="c", target=USAGE), []),
        (metric("Pods", metric={"name": "m"}, target=AVERAGE), []),
        (metric("External", metric={"name": "m"}, target={"type": "Value", "value": "5"}), []),
        (metric("Object", metric={"name": "m"}, target=AVERAGE, describedObject={"kind": "Service", "name": "s"}), []),
        (
            metric("External", metric={"name": "m"}, target={"type": "Value", "value": "5", "averageValue": "0"}),
            [
                'spec.metrics[0].external.target.averageValue: Invalid value: "0": must be positive',
                (
                    "spec.metrics[0].external.target.value: Forbidden: may not set both a target value for "
                    "metric and a "
                    "per-pod target"
                ),
            ],
        ),
        (
            {"metrics": [{"type": "Pods", "resource": {"name": "cpu", "target": USAGE}}]},
            ["spec.metrics[0].pods: Required value: must populate information for the given metric source"],
        ),
        (
            {"metrics": [{**metric("Resource", name="cpu", target=USAGE)["metrics"][0], "pods": {}}]},
            [
                "spec.metrics[0].pods.metric.name: Required value: must specify a metric name",
                "spec.metrics[0].pods.target.type: Required value: must specify a metric target type",
                (
                    'spec.metrics[0].pods.target.type: Invalid value: "": must be either Utilization, Value, or '
                    "AverageValue"
                ),
                "spec.metrics[0].pods.target.averageValue: Required value: must specify a positive target averageValue",
                "spec.metrics[0].pods: Forbidden: must populate the given metric source only",
            ],
        ),
        (
            {"behavior": {"scaleUp": {"policies": [], "selectPolicy": "Bad", "stabilizationWindowSeconds": -1}}},
            [
                (
                    "spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: -1: must be greater than "
                    "or equal to "
                    "zero"
                ),
                (
                    'spec.behavior.scaleUp.selectPolicy: Unsupported value: "Bad": supported values: '
                    '"Disabled", "Max", '
                    '"Min"'
                ),
                "spec.behavior.scaleUp.policies: Required value: must specify at least one Policy",
            ],
        ),
        (
            {"behavior": {"scaleDown": {"policies": [{"type": "x", "periodSeconds": 1801}], "tolerance": "-1"}}},
            [
                'spec.behavior.scaleDown.policies[0].type: Unsupported value: "x": supported values: "Percent", "Pods"',
                "spec.behavior.scaleDown.policies[0].value: Invalid value: 0: must be greater than zero",
                (
                    "spec.behavior.scaleDown.policies[0].periodSeconds: Invalid value: 1801: must be less than "
                    "or equal to "
                    "1800"
                ),
                'spec.behavior.scaleDown.tolerance: Invalid value: "-1": must be greater than or equal to 0',
            ],
        ),
        (
            {"scaleTargetRef": {**TARGET, "apiVersion": "v1"}},
            ['spec.scaleTargetRef.apiVersion: Invalid value: "v1": apiVersion must specify API group'],
        ),
        ({"scaleTargetRef": {"apiVersion": "v1", "kind": "ReplicationController", "name": "r"}}, []),
    ],
)
def test_an_autoscaler_has_bounds_metrics_and_speeds(spec: Document, expected: list[str] | int) -> None:
    found = told(**spec)
    assert (len(found) if isinstance(expected, int) else found) == expected


def test_what_was_wrong_already_may_stay() -> None:
    old = autoscaler(scaleTargetRef={**TARGET, "apiVersion": "v1"}, minReplicas=0)
    again = {**old, "spec": {**old["spec"], "maxReplicas": 4}}
    assert update_faults(KIND, again, old, VERSION) == [
        (
            "spec.metrics: Forbidden: must specify at least one Object or External metric to support "
            "scaling to zero replicas"
        )
    ]
    other = {**old, "spec": {**old["spec"], "scaleTargetRef": {"apiVersion": "v1", "kind": "Other", "name": "x"}}}
    assert len(update_faults(KIND, other, old, VERSION)) == 2


def test_counts_of_a_status_are_not_negative() -> None:
    before = stored(KIND, autoscaler(), VERSION)
    of_kind = rules(KIND, VERSION)
    new = of_kind.prepare_status_update({**before, "status": {"currentReplicas": -1, "desiredReplicas": -2}}, before)
    assert [str(fault) for fault in of_kind.validate_status_update(new, before)] == [
        "status.currentReplicas: Invalid value: -1: must be greater than or equal to 0",
        "status.desiredReplicas: Invalid value: -2: must be greater than or equal to 0",
    ]
