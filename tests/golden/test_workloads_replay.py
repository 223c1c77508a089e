"""What kube-controller-manager 1.36.2 did, replayed; DIFFERENCES.md says what differs and why."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.golden.workloads_replay import replay, report, scenarios, told

DIFFERENCES = Path(__file__).parent / "DIFFERENCES.md"

FLOORS = {
    "Deployment": (74, 524),
    "ReplicaSet": (31, 130),
    "DaemonSet": (13, 94),
    "EndpointSlice": (15, 81),
    "GarbageCollector": (17, 49),
    "StatefulSet": (21, 166),
    "NodeLifecycle": (9, 44),
    "Namespace": (5, 15),
    "PodDisruptionBudget": (13, 95),
    "ServiceAccount": (3, 9),
    "ResourceQuota": (2, 13),
}
"""How many scenarios and steps of each area are equal at the least."""


MAX_OTHER_PACE = 6
"""In how many steps of an area the strides of a rollout may be others than the recorded ones."""


@pytest.mark.parametrize("area", FLOORS)
def test_an_area_goes_as_recorded_but_for_the_known_differences(area: str) -> None:
    outcomes = [replay(scenario) for scenario in scenarios(area)]
    sys.stdout.write(report(outcomes))
    known = set(re.findall(r"^- `([a-z0-9-]+)`", DIFFERENCES.read_text(), re.MULTILINE))
    unknown = ["\n".join(told(o)) for o in outcomes if not o.equal and not o.needs and o.name not in known]
    assert not unknown, "\n".join(unknown)
    assert sum(outcome.other_pace for outcome in outcomes) <= MAX_OTHER_PACE
    run = [o for o in outcomes if not o.needs]
    assert (sum(o.equal for o in run), sum(o.equal_steps for o in run)) >= FLOORS[area]
