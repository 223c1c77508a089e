"""Rows of Jobs, CronJobs and autoscalers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from orchestra.api.autoscaling_v2 import HorizontalPodAutoscaler
from orchestra.api.batch import CronJob, Job
from orchestra.api.codec import from_document
from orchestra.api.tables.jobs import CRON_JOB, autoscaler_cells, cron_job_cells, job_cells
from orchestra.api.tables.model import Printer
from orchestra.api.tables.scheduling import POD_DISRUPTION_BUDGET, PRIORITY_CLASS
from orchestra.api.tables.sets import DAEMON_SET
from orchestra.api.tables.workloads import REPLICA_SET

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
TEMPLATE = {"spec": {"containers": [{"name": "c", "image": "img:1"}]}}
START = {"startTime": "2026-01-01T11:59:00Z"}


def job(status: dict[str, Any], meta: dict[str, Any] | None = None, **spec: Any) -> Job:
    named = {"name": "j", "creationTimestamp": "2026-01-01T11:00:00Z", **(meta or {})}
    return from_document({"metadata": named, "spec": {"template": TEMPLATE, **spec}, "status": status}, Job)


def true(*types: str) -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": "True"} for kind in types]}


@pytest.mark.parametrize(
    ("spec", "status", "shown"),
    [
        ({"completions": 3}, {"succeeded": 1, **START}, ("Running", "1/3", "60s")),
        ({}, {}, ("Running", "0/1", "")),
        ({"parallelism": 4}, {"succeeded": 2}, ("Running", "2/1 of 4", "")),
        (
            {"completions": 1},
            {
                "succeeded": 1,
                **START,
                "completionTime": "2026-01-01T11:59:05Z",
                **true("SuccessCriteriaMet", "Complete"),
            },
            ("Complete", "1/1", "5s"),
        ),
        ({"completions": 1}, true("FailureTarget", "Failed"), ("Failed", "0/1", "")),
        ({"completions": 1}, true("Suspended"), ("Suspended", "0/1", "")),
        ({"completions": 1}, true("SuccessCriteriaMet"), ("SuccessCriteriaMet", "0/1", "")),
    ],
)
def test_a_job_shows_how_far_it_is(spec: dict[str, Any], status: dict[str, Any], shown: tuple[str, ...]) -> None:
    assert job_cells(job(status, **spec), NOW) == ("j", *shown, "60m", "c", "img:1", "<none>")


def test_a_job_that_is_deleted_terminates_unless_it_has_ended() -> None:
    leaving = {"deletionTimestamp": "2026-01-01T12:00:00Z"}
    assert job_cells(job({}, leaving), NOW)[1] == "Terminating"
    assert job_cells(job(true("Complete"), leaving), NOW)[1] == "Complete"


def test_a_cron_job_shows_when_it_was_last_due() -> None:
    spec: dict[str, Any] = {"schedule": "@daily", "jobTemplate": {"spec": {"template": TEMPLATE}}}
    meta = {"name": "c", "creationTimestamp": "2026-01-01T11:00:00Z"}
    fresh = from_document({"metadata": meta, "spec": spec}, CronJob)
    tail = ("60m", "c", "img:1", "<none>")
    assert cron_job_cells(fresh, NOW) == ("c", "@daily", "<none>", "<unset>", 0, "<none>", *tail)
    status = {"active": [{"name": "a"}], "lastScheduleTime": "2026-01-01T11:55:00Z"}
    spec = {**spec, "suspend": True, "timeZone": "UTC"}
    used = from_document({"metadata": meta, "spec": spec, "status": status}, CronJob)
    assert cron_job_cells(used, NOW) == ("c", "@daily", "UTC", "True", 1, "5m", *tail)


@pytest.mark.parametrize(
    ("printer", "types"),
    [
        (CRON_JOB, {"Suspend": "boolean", "Active": "integer"}),
        (DAEMON_SET, dict.fromkeys(("Desired", "Current", "Ready", "Up-to-date", "Available"), "integer")),
        (REPLICA_SET, dict.fromkeys(("Desired", "Current", "Ready"), "integer")),
        (PRIORITY_CLASS, {"Value": "integer", "Global-Default": "boolean"}),
        (POD_DISRUPTION_BUDGET, {"Allowed Disruptions": "integer"}),
    ],
)
def test_columns_say_what_is_in_them(printer: Printer, types: dict[str, str]) -> None:
    assert {column.name: column.type for column in printer.columns if column.type != "string"} == types


CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
CPU_NOW = {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 10}}}
PODS = {"type": "Pods", "pods": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "5"}}}
OUTSIDE = {"type": "External", "external": {"metric": {"name": "m"}, "target": {"type": "Value", "value": "30"}}}
SHARED = {
    "type": "External",
    "external": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "3"}},
}


@pytest.mark.parametrize(
    ("metrics", "current", "shown"),
    [
        ([], [], "<none>"),
        ([CPU], [], "cpu: <unknown>/80%"),
        ([CPU], [CPU_NOW], "cpu: 10%/80%"),
        ([PODS, OUTSIDE], [], "<unknown>/5, <unknown>/30"),
        ([SHARED], [{"type": "External", "external": {"current": {"averageValue": "2"}}}], "2/3 (avg)"),
        ([CPU, PODS, OUTSIDE, SHARED], [CPU_NOW], "cpu: 10%/80%, <unknown>/5 + 2 more..."),
        ([{"type": "Bad"}], [], "<unknown type>"),
    ],
)
def test_an_autoscaler_shows_its_metrics(metrics: list[Any], current: list[Any], shown: str) -> None:
    document = {
        "metadata": {"name": "h", "creationTimestamp": "2026-01-01T11:00:00Z"},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "d"}, "maxReplicas": 3, "metrics": metrics},
        "status": {"currentReplicas": 1, "desiredReplicas": 2, "currentMetrics": current},
    }
    cells = autoscaler_cells(from_document(document, HorizontalPodAutoscaler), NOW)
    assert cells == ("h", "Deployment/d", shown, "<unset>", 3, 1, "60m")
