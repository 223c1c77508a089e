"""Rows of Jobs, CronJobs and HorizontalPodAutoscalers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from orchestra.api.batch import CronJob, Job
from orchestra.api.tables.durations import human_age, human_duration
from orchestra.api.tables.model import NONE, UNKNOWN, UNSET, Cell, Printer, columns
from orchestra.api.tables.workloads import containers_and_images, selector_text

if TYPE_CHECKING:
    from orchestra.api.autoscaling_v2 import (
        HorizontalPodAutoscaler,
        MetricSpec,
        MetricStatus,
        MetricTarget,
        MetricValueStatus,
    )

SHOWN_METRICS: Final = 2
_STATES: Final = ("Complete", "Failed", "Terminating", "Suspended", "FailureTarget", "SuccessCriteriaMet")
_SOURCES: Final = {
    "External": "external",
    "Pods": "pods",
    "Object": "object",
    "Resource": "resource",
    "ContainerResource": "container_resource",
}


def job_cells(obj: Job, now: datetime) -> tuple[Cell, ...]:
    """Return a Job's row."""
    spec, status = obj.spec, obj.status
    names, images = containers_and_images(spec.template)
    if spec.completions is not None:
        done = f"{status.succeeded}/{spec.completions}"
    elif (spec.parallelism or 0) > 1:
        done = f"{status.succeeded}/1 of {spec.parallelism}"
    else:
        done = f"{status.succeeded}/1"
    took = ""
    if status.start_time is not None:
        took = human_duration(((status.completion_time or now) - status.start_time).total_seconds())
    age = human_age(obj.metadata.creation_timestamp, now)
    return obj.metadata.name, _state(obj), done, took, age, names, images, selector_text(spec.selector)


def _state(obj: Job) -> str:
    true = {condition.type for condition in obj.status.conditions if condition.status == "True"}
    if obj.metadata.deletion_timestamp is not None:
        true.add("Terminating")
    return next((state for state in _STATES if state in true), "Running")


def cron_job_cells(obj: CronJob, now: datetime) -> tuple[Cell, ...]:
    """Return a CronJob's row."""
    spec, last = obj.spec, obj.status.last_schedule_time
    names, images = containers_and_images(spec.job_template.spec.template)
    return (
        obj.metadata.name,
        spec.schedule,
        NONE if spec.time_zone is None else spec.time_zone,
        UNSET if spec.suspend is None else str(spec.suspend),
        len(obj.status.active),
        NONE if last is None else human_age(last, now),
        human_age(obj.metadata.creation_timestamp, now),
        names,
        images,
        selector_text(spec.job_template.spec.selector),
    )


def autoscaler_cells(obj: HorizontalPodAutoscaler, now: datetime) -> tuple[Cell, ...]:
    """Return a HorizontalPodAutoscaler's row."""
    spec, status = obj.spec, obj.status
    return (
        obj.metadata.name,
        f"{spec.scale_target_ref.kind}/{spec.scale_target_ref.name}",
        metrics_text(spec.metrics, status.current_metrics),
        UNSET if spec.min_replicas is None else str(spec.min_replicas),
        spec.max_replicas,
        status.current_replicas,
        human_age(obj.metadata.creation_timestamp, now),
    )


def metrics_text(specs: Sequence[MetricSpec], statuses: Sequence[MetricStatus]) -> str:
    """Return what metrics are and should be: `cpu: 10%/80%`; more than two are only counted."""
    if not specs:
        return NONE
    texts = [_metric(spec, statuses[i] if i < len(statuses) else None) for i, spec in enumerate(specs)]
    shown = ", ".join(texts[:SHOWN_METRICS])
    more = len(texts) - SHOWN_METRICS
    return f"{shown} + {more} more..." if more > 0 else shown


def _metric(spec: MetricSpec, status: MetricStatus | None) -> str:
    name = _SOURCES.get(spec.type)
    source = None if name is None else getattr(spec, name)
    if name is None or source is None:
        return "<unknown type>"
    seen = getattr(status, name, None)
    current: MetricValueStatus | None = None if seen is None else seen.current
    target: MetricTarget = source.target
    prefix = f"{source.name}: " if spec.type.endswith("Resource") else ""
    if target.average_value is not None:
        value = UNKNOWN if current is None or current.average_value is None else str(current.average_value)
        average = "" if prefix or spec.type == "Pods" else " (avg)"
        return f"{prefix}{value}/{target.average_value}{average}"
    if prefix:
        now = UNKNOWN if current is None or current.average_utilization is None else f"{current.average_utilization}%"
        wanted = "<auto>" if target.average_utilization is None else f"{target.average_utilization}%"
        return f"{prefix}{now}/{wanted}"
    value = UNKNOWN if current is None or current.value is None else str(current.value)
    return f"{value}/{target.value}"


JOB = Printer(columns("Name|Status|Completions|Duration|Age|*Containers|*Images|*Selector"), job_cells)
CRON_JOB = Printer(
    columns("Name|Schedule|Timezone|?Suspend|#Active|Last Schedule|Age|*Containers|*Images|*Selector"),
    cron_job_cells,
)
AUTOSCALER = Printer(columns("Name|Reference|Targets|MinPods|MaxPods|Replicas|Age"), autoscaler_cells)
