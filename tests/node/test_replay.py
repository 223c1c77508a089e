"""What a real kubelet was recorded to do with a Pod, done by a NodeAgent with a scripted runtime in virtual time."""

from __future__ import annotations

from typing import Any

import pytest

from .replay import event_keys, final_states, order_kept, play, scenarios

pytestmark = pytest.mark.virtual_time

DIFFERENT = {
    "admission-outof-extended": "the recorded node dropped resources from the Pod's status again, for no visible cause",
    "deadline-after-success": "a Pod that has succeeded stays so here: a deadline ends what is active",
    "delete-immediately": "the recorded node started a container of a Pod that was already being deleted",
    "image-pull-secret-missing": "credentials for registries are not looked up",
    "liveness-http-500": "the recorded server was not up at first, so the probe had two different answers",
    "liveness-tcp-refused": "it runs for as long as this test waits, and comes to a longer delay than recorded",
    "no-command-at-all": "every image of a scripted runtime has a command",
    "readiness-http-redirect-other-host": "a scripted runtime answers yes or no",
    "readiness-http-timeout": "the recorded server was not up at first, so the probe had two different answers",
    "sidecar-liveness-fails": "it runs for as long as this test waits, and comes to a longer delay than recorded",
    "sidecar-prestop-on-job-end": "the message is written by a hook, which a scripted runtime cannot do",
    "sidecar-startup-fails-never": "it runs for as long as this test waits, and comes to a longer delay than recorded",
    "sidecar-termination-order": "the message is written on the signal, which a scripted runtime cannot do",
}
"""Scenarios whose end or Events are not compared, and why; their statuses count in the total all the same."""

SCENARIOS = scenarios()
STATUSES_IN_ORDER = 0.93
"""The part of all recorded statuses that must be written here in their order; the rest is mostly the server's doing."""


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name not in DIFFERENT])
async def test_a_pod_ends_as_recorded_and_its_events_say_the_same(name: str) -> None:
    scenario = SCENARIOS[name]
    outcome = await play(scenario)
    for state in final_states(scenario):
        assert state in outcome.statuses
    own, recorded = event_keys(outcome.events), event_keys(scenario["events"])
    assert [key for key in event_keys(scenario["events"], certain=True) if key not in own] == []
    assert [key for key in own if key not in recorded] == []


def test_statuses_come_in_the_recorded_order() -> None:
    from orchestra.testing import run_virtual

    counts = [order_kept(scenario["statuses"], run_virtual(play, scenario).statuses) for scenario in _all()]
    kept, total = sum(kept for kept, _ in counts), sum(total for _, total in counts)
    assert kept / total >= STATUSES_IN_ORDER


def _all() -> list[dict[str, Any]]:
    return list(SCENARIOS.values())
