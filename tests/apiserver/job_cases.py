"""Jobs and CronJobs for the tests of their rules."""

from __future__ import annotations

from typing import Any

from tests.apiserver.rule_cases import named, rules, stored

Document = dict[str, Any]
BATCH = "batch/v1"
UID = "u-1"
TEMPLATE: Document = {"spec": {"containers": [{"name": "c", "image": "img:1"}], "restartPolicy": "Never"}}


def job(**spec: Any) -> Document:
    return named("Job", BATCH, spec={"template": TEMPLATE, **spec})


def cron_job(schedule: str = "@daily", **spec: Any) -> Document:
    template = {"spec": {"template": TEMPLATE}}
    return named("CronJob", BATCH, spec={"schedule": schedule, "jobTemplate": template, **spec})


def made(document: Document) -> Document:
    """Return a Job as the server holds it once it has a uid."""
    before = stored("Job", document, BATCH)
    meta = {**before["metadata"], "uid": UID, "creationTimestamp": "2026-01-01T00:00:00Z"}
    return rules("Job", BATCH).finish_create({**before, "metadata": meta})


def told(document: Document) -> list[str]:
    return [str(fault) for fault in rules("Job", BATCH).validate(made(document))]


def changed(old: Document, **spec: Any) -> list[str]:
    """Return the faults of an update of a Job that changes these fields, each told once."""
    new = {**old, "spec": {**old["spec"], **spec}}
    of_kind = rules("Job", BATCH)
    prepared = of_kind.prepare_update(of_kind.default(new), old)
    return list(dict.fromkeys(str(fault) for fault in of_kind.validate_update(prepared, old)))


def status_faults(status: Document, old: Document | None = None, **spec: Any) -> list[str]:
    of_kind, before = rules("Job", BATCH), {**made(job(**spec)), "status": old or {}}
    new = of_kind.prepare_status_update({**before, "status": status}, before)
    return [str(fault) for fault in of_kind.validate_status_update(new, before)]


INDEXED: Document = {"completionMode": "Indexed", "completions": 10}
MANY: Document = {"completionMode": "Indexed", "completions": 200_000, "backoffLimitPerIndex": 1}
