"""What kube-scheduler 1.36.2 decided, replayed: feasible nodes, every score, and the words of refusals."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from orchestra.scheduler.harness import Harness

RECORDED: list[dict[str, Any]] = json.loads(
    gzip.decompress((Path(__file__).parent.parent / "data" / "recorded_scheduling.json.gz").read_bytes())
)["cases"]

NOT_HERE = {"DynamicResources"}
"""Plugins of kube-scheduler that do not exist here; this one's scores are always 0."""


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: str(case["seed"]))
def test_probes_get_the_recorded_nodes_scores_and_reasons(case: dict[str, Any]) -> None:
    cluster = case["cluster"]
    harness = Harness.from_documents(nodes=cluster["nodes"], pods=cluster["pods"], namespaces=cluster["namespaces"])
    for probe in case["probes"]:
        diagnosis = harness.evaluate(probe["pod"])
        assert sorted(diagnosis.feasible) == sorted(probe["feasible"])
        expected = {
            name: {plugin: score for plugin, score in scores["plugins"].items() if plugin not in NOT_HERE}
            for name, scores in probe["scores"].items()
        }
        assert diagnosis.scores == expected
        assert diagnosis.message == probe["message"]


def test_the_chosen_node_is_one_with_the_highest_recorded_total() -> None:
    for case in RECORDED[:4]:
        cluster = case["cluster"]
        for probe in case["probes"]:
            harness = Harness.from_documents(
                nodes=cluster["nodes"], pods=cluster["pods"], namespaces=cluster["namespaces"]
            )
            found = harness.schedule(probe["pod"])
            if probe["scores"]:
                best = max(scores["total"] for scores in probe["scores"].values())
                assert found.node in {n for n, scores in probe["scores"].items() if scores["total"] == best}
            else:
                assert found.node == (probe["feasible"][0] if probe["feasible"] else "")
