"""The rules of Jobs and CronJobs, as the registry asks for them, and what Kubernetes warns of in valid ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from orchestra.apiserver.defaults import jobs as defaults
from orchestra.apiserver.defaults import prepare
from orchestra.apiserver.validation import jobs
from orchestra.apiserver.validation.formats import dns_label
from orchestra.apiserver.validation.job_status import validate_job_status
from orchestra.apiserver.validation.job_update import validate_job_update
from orchestra.apiserver.validation.kind_rules import KindRules
from orchestra.apiserver.validation.options import RuleOptions
from orchestra.apiserver.validation.pod_warnings import spec_warnings
from orchestra.apiserver.validation.unsupported import unsupported_fields

Document = Mapping[str, Any]
MANY_PARALLEL: Final = 10_000
_MANY: Final = (
    "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, "
    "Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
)
_ZONE: Final = (
    "CRON_TZ or TZ used in spec.spec.schedule is not officially supported, see "
    "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
)


def job_rules(options: RuleOptions) -> KindRules:
    """Return the rules of a Job."""
    return KindRules(
        default=defaults.default_job,
        prepare_create=defaults.create_job,
        finish_create=defaults.finish_job,
        prepare_update=prepare.keep_status,
        prepare_status_update=defaults.update_job_status,
        validate=lambda new: jobs.validate_new_job(new, options),
        validate_update=lambda new, old: validate_job_update(new, old, options),
        validate_status_update=validate_job_status,
        warnings=warnings_of_job,
    )


def cron_job_rules(options: RuleOptions) -> KindRules:
    """Return the rules of a CronJob."""
    return KindRules(
        default=defaults.default_cron_job,
        prepare_create=prepare.create_without_status,
        prepare_update=prepare.keep_status,
        prepare_status_update=defaults.update_cron_job_status,
        validate=lambda new: jobs.validate_cron_job(new, options),
        validate_update=lambda new, old: jobs.validate_cron_job_update(new, old, options),
        warnings=warnings_of_cron_job,
    )


def warnings_of_job(document: Document, old: Document | None) -> list[str]:
    """Return the warnings of a Job; an update that leaves the spec alone has none."""
    spec = document.get("spec") or {}
    if old is None:
        return [*_name_warnings(document), *_spec_warnings(document, spec, "spec")]
    return [] if spec == (old.get("spec") or {}) else list(_spec_warnings(document, spec, "spec"))


def warnings_of_cron_job(document: Document, old: Document | None) -> list[str]:
    """Return the warnings of a CronJob; a schedule that names its zone is always told."""
    spec = document.get("spec") or {}
    told = [] if old is not None else _name_warnings(document)
    if old is None or spec != (old.get("spec") or {}):
        job = (spec.get("jobTemplate") or {}).get("spec") or {}
        told += _spec_warnings(document, job, "spec.jobTemplate.spec")
    if old is not None and "TZ" in (spec.get("schedule") or ""):
        told.append(_ZONE)
    return told


def _name_warnings(document: Document) -> list[str]:
    faults = dns_label((document.get("metadata") or {}).get("name") or "")
    if not faults:
        return []
    told = "this is used in Pod names and hostnames, which can result in surprising behavior"
    return [f"metadata.name: {told}; a DNS label is recommended: [{' '.join(faults)}]"]


def _spec_warnings(document: Document, spec: Document, path: str) -> Iterator[str]:
    completions, parallelism = spec.get("completions") or 0, spec.get("parallelism") or 0
    if spec.get("completionMode") == "Indexed" and completions > jobs.MANY_COMPLETIONS and parallelism > MANY_PARALLEL:
        yield f"{path}: {_MANY}"
    template = spec.get("template") or {}
    inner = template.get("spec") or {}
    yield from spec_warnings(inner, template.get("metadata") or {}, f"{path}.template.")
    owners = (document.get("metadata") or {}).get("ownerReferences") or ()
    if not any(owner.get("controller") for owner in owners):
        yield from unsupported_fields(inner, f"{path}.template.spec")
