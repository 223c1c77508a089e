"""Defaults of Jobs and CronJobs, and what their writes may set. Source: batch/v1 defaults and strategies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from orchestra.apiserver.defaults.canonical import canonical
from orchestra.apiserver.defaults.others import with_status
from orchestra.apiserver.defaults.prepare import only_status
from orchestra.apiserver.defaults.workloads import filled, with_template

Document = dict[str, Any]
JOB_NAME_LABELS: Final = ("job-name", "batch.kubernetes.io/job-name")
CONTROLLER_UID_LABELS: Final = ("controller-uid", "batch.kubernetes.io/controller-uid")
"""The labels of a Job's Pods: those of old, which have no domain, and those of today."""
BACKOFF_LIMIT: Final = 6
BACKOFF_LIMIT_WITH_INDEXES: Final = 2**31 - 1


def default_job(document: Document) -> Document:
    """Return a Job with its numbers, its modes and its labels filled in."""
    from orchestra.api.batch import Job

    given = document.get("spec")
    document = canonical(document, Job)
    spec = document.get("spec") or {}
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec = {**spec, "completions": 1}
    per_index = spec.get("backoffLimitPerIndex") is not None
    spec = filled(
        spec,
        {
            "parallelism": 1,
            "backoffLimit": BACKOFF_LIMIT_WITH_INDEXES if per_index else BACKOFF_LIMIT,
            "completionMode": "NonIndexed",
            "suspend": False,
            "manualSelector": False,
            "podReplacementPolicy": "TerminatingOrFailed" if spec.get("podFailurePolicy") is None else "Failed",
        },
    )
    document = with_template(document, _with_failure_policy(spec, given))
    # Labels of a new Job's Pods are complete when it has a uid: `finish_job`.
    return _labelled(document) if (document.get("metadata") or {}).get("uid") else document


def _labelled(document: Document) -> Document:
    """Return the Job with the labels of its template, if it has none."""
    meta = document["metadata"]
    labels = ((document["spec"].get("template") or {}).get("metadata") or {}).get("labels")
    if not labels or meta.get("labels"):
        return document
    return {**document, "metadata": {**meta, "labels": labels}}


def _with_failure_policy(spec: Document, given: Any) -> Document:
    policy = spec.get("podFailurePolicy")
    if not policy or not policy.get("rules"):
        return spec
    written = ((given or {}).get("podFailurePolicy") or {}).get("rules") or ()
    rules = [_failure_rule(rule, raw) for rule, raw in zip(policy["rules"], written, strict=True)]
    return spec if rules == policy["rules"] else {**spec, "podFailurePolicy": {**policy, "rules": rules}}


def _failure_rule(rule: Document, given: Mapping[str, Any]) -> Document:
    codes = (given or {}).get("onExitCodes")
    if codes and codes.get("values") == []:
        # Never valid, but a message shows whether an empty list was written or none.
        rule = {**rule, "onExitCodes": {**rule["onExitCodes"], "values": []}}
    patterns: Sequence[Document] = rule.get("onPodConditions") or ()
    if all(pattern.get("status") for pattern in patterns):
        return rule
    return {
        **rule,
        "onPodConditions": [each if each.get("status") else {**each, "status": "True"} for each in patterns],
    }


def create_job(document: Document) -> Document:
    """Return a new Job, which has not started."""
    return with_status(document, None)


def finish_job(document: Document) -> Document:
    """Return a new Job, whose name and uid are known now, with a selector of its own Pods, which carry both.

    A Job with `manualSelector` says itself which Pods are its own.
    """
    meta, spec = document["metadata"], document.get("spec") or {}
    if spec.get("manualSelector"):
        return _labelled(document)
    template = spec.get("template") or {}
    inner = template.get("metadata") or {}
    labels = inner.get("labels") or {}
    own = {
        **dict.fromkeys(JOB_NAME_LABELS, meta.get("name") or ""),
        **dict.fromkeys(CONTROLLER_UID_LABELS, meta["uid"]),
        **labels,
    }
    selector = spec.get("selector") or {}
    wanted = {CONTROLLER_UID_LABELS[1]: meta["uid"], **(selector.get("matchLabels") or {})}
    spec = {
        **spec,
        "selector": {**selector, "matchLabels": wanted},
        "template": {**template, "metadata": {**inner, "labels": own}},
    }
    return _labelled({**document, "spec": spec})


def update_job_status(new: Document, old: Document) -> Document:
    """Return an update of a Job's status."""
    return default_job(only_status(new, old))


def default_cron_job(document: Document) -> Document:
    """Return a CronJob with its policy, its limits and the template of its Pods filled in."""
    from orchestra.api.batch import CronJob

    written = ((document.get("spec") or {}).get("jobTemplate") or {}).get("spec")
    document = canonical(document, CronJob)
    spec = filled(
        document.get("spec") or {},
        {
            "concurrencyPolicy": "Allow",
            "suspend": False,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 1,
        },
    )
    template = spec.get("jobTemplate") or {}
    completed = with_template(template, _with_failure_policy(template.get("spec") or {}, written))
    if completed is not spec.get("jobTemplate"):
        spec = {**spec, "jobTemplate": completed}
    return document if spec is document.get("spec") else {**document, "spec": spec}


def update_cron_job_status(new: Document, old: Document) -> Document:
    """Return an update of a CronJob's status."""
    return default_cron_job(only_status(new, old))
