"""Whom kube-scheduler 1.36.2 preempted, replayed: outcome, node, victims and message."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from orchestra.scheduler.harness import Harness

RECORDED: list[dict[str, Any]] = json.loads(
    gzip.decompress((Path(__file__).parent.parent / "data" / "recorded_preemption.json.gz").read_bytes())
)["cases"]


@pytest.mark.parametrize("case", RECORDED, ids=range(len(RECORDED)))
def test_the_recorded_victims_are_chosen(case: dict[str, Any]) -> None:
    cluster = case["cluster"]
    harness = Harness.from_documents(
        nodes=cluster["nodes"], pods=cluster["pods"], poddisruptionbudgets=cluster["poddisruptionbudgets"]
    )
    found = harness.schedule(case["pod"])
    outcome = "preempted" if found.victims else "bound" if found.node else "unschedulable"
    assert outcome == case["outcome"]
    assert sorted(found.victims) == sorted(case["victims"])
    if outcome == "preempted":
        assert found.node == case["node"]
    if outcome == "unschedulable":
        assert found.message == case["message"]
