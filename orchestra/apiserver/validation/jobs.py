"""Rules of Jobs and CronJobs. Source: batch/v1, as kube-apiserver 1.36 answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from orchestra.api.cron import ScheduleError, is_zone_name, load_zone, parse_schedule
from orchestra.api.selectors import NOTHING, label_selector
from orchestra.apiserver.defaults.jobs import CONTROLLER_UID_LABELS, JOB_NAME_LABELS
from orchestra.apiserver.validation.amounts import shown_selector
from orchestra.apiserver.validation.domain_paths import check_domain_path
from orchestra.apiserver.validation.fields import (
    Errors,
    check_enum,
    check_non_negative,
    invalid,
    not_supported,
    required,
    too_long,
)
from orchestra.apiserver.validation.formats import dns_label, dns_subdomain
from orchestra.apiserver.validation.go_shapes import go_value
from orchestra.apiserver.validation.job_policies import check_failure_policy, check_success_policy
from orchestra.apiserver.validation.metadata import check_label_selector, check_metadata, check_metadata_update
from orchestra.apiserver.validation.options import DEFAULT_OPTIONS, RuleOptions
from orchestra.apiserver.validation.pod import check_template
from orchestra.errors import BadRequest

Document = Mapping[str, Any]
MAX_CRON_JOB_NAME: Final = 52
"""The name of a CronJob's Job has 11 characters more, and is a label."""
MAX_MANAGED_BY_BYTES: Final = 63
MAX_INDEXED_PARALLELISM: Final = 100_000
MAX_FAILED_INDEXES: Final = 100_000
MANY_COMPLETIONS: Final = 100_000
"""So many indexes may fail one by one without a bound of their own."""
MAX_PARALLELISM_OF_MANY: Final = 10_000
MAX_FAILED_OF_MANY: Final = 10_000
_COUNTS: Final = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
)
_MODES: Final = ("NonIndexed", "Indexed")
_REPLACEMENTS: Final = ("Failed", "TerminatingOrFailed")
_CONCURRENCY: Final = ("Allow", "Forbid", "Replace")
_NEEDS_INDEXES: Final = "requires indexed completion mode"


def validate_new_job(document: Document, options: RuleOptions = DEFAULT_OPTIONS) -> Errors:
    """Return the faults of a Job that is about to be created.

    Labels that the server gave it, because it and its Pods had none, are looked at where they came from.
    """
    meta, spec = document.get("metadata") or {}, document.get("spec") or {}
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    if labels.keys() == {*CONTROLLER_UID_LABELS, *JOB_NAME_LABELS} and meta.get("labels") == labels:
        meta = {name: value for name, value in meta.items() if name != "labels"}
        document = {**document, "metadata": meta}
    return validate_job(document, options)


def validate_job(document: Document, options: RuleOptions = DEFAULT_OPTIONS, *, new_labels: bool = True) -> Errors:
    """Return the faults of a Job. `new_labels`: whether its Pods must carry those labels that have a domain."""
    errors: Errors = []
    check_metadata(document, dns_subdomain, errors)
    _check_generated_selector(document, errors, new_labels=new_labels)
    spec, name = document.get("spec") or {}, (document.get("metadata") or {}).get("name") or ""
    check_selecting_spec(spec, errors, options)
    completions = spec.get("completions") or 0
    if spec.get("completionMode") == "Indexed" and completions > 0:
        longest = f"{name}-{completions - 1}"
        if dns_label(longest):
            detail = f"will not able to create pod with invalid DNS label: {longest}"
            errors.append(invalid("metadata.name", name, detail))
    return errors


def _check_generated_selector(document: Document, errors: Errors, *, new_labels: bool) -> None:
    """Append the faults of a selector, and of labels, that the server makes and the writer may not change."""
    meta, spec = document.get("metadata") or {}, document.get("spec") or {}
    selector = spec.get("selector")
    if spec.get("manualSelector") or selector is None:
        return
    name, uid = meta.get("name") or "", meta.get("uid") or ""
    if not uid:
        errors.append(required("metadata.uid"))
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    expected = {CONTROLLER_UID_LABELS[0]: uid, JOB_NAME_LABELS[0]: name}
    if new_labels:
        expected |= {CONTROLLER_UID_LABELS[1]: uid, JOB_NAME_LABELS[1]: name}
    for key, value in expected.items():
        at = f"spec.template.metadata.labels[{key}]"
        if key not in labels:
            errors.append(required(at, f"must be '{value}'"))
        elif labels[key] != value:
            errors.append(invalid(at, dict(sorted(labels.items())), f"must be '{value}'"))
    try:
        chosen = label_selector(selector)
    except BadRequest:
        return
    if not chosen.matches(expected):
        errors.append(invalid("spec.selector", shown_selector(selector), "`selector` not auto-generated"))


def check_selecting_spec(spec: Document, errors: Errors, options: RuleOptions) -> None:
    """Append the faults of a Job's spec with its selector, which selects the Pods of its template."""
    check_job_spec(spec, "spec", errors, options)
    given = spec.get("selector")
    if given is None:
        errors.append(required("spec.selector"))
    else:
        check_label_selector(given, "spec.selector", errors)
    try:
        selector = NOTHING if given is None else label_selector(given)
    except BadRequest:
        return
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    if not selector.matches(labels):
        shown, detail = dict(sorted(labels.items())) or None, "`selector` does not match template `labels`"
        errors.append(invalid("spec.template.metadata.labels", shown, detail))


def check_job_spec(spec: Document, path: str, errors: Errors, options: RuleOptions) -> None:
    """Append the faults of a Job's spec, of a Job or of a CronJob."""
    for name in _COUNTS:
        check_non_negative(f"{path}.{name}", spec.get(name), errors)
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        errors.append(required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    manager = spec.get("managedBy")
    if manager is not None:
        check_domain_path(f"{path}.managedBy", manager, errors)
        if len(manager.encode()) > MAX_MANAGED_BY_BYTES:
            errors.append(too_long(f"{path}.managedBy", MAX_MANAGED_BY_BYTES))
    mode = spec.get("completionMode")
    if mode is not None and mode not in _MODES:
        errors.append(not_supported(f"{path}.completionMode", mode, _MODES))
    if mode == "Indexed":
        _check_indexed(spec, path, errors)
    elif mode in (None, "NonIndexed"):
        for name in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if spec.get(name) is not None:
                errors.append(invalid(f"{path}.{name}", spec[name], _NEEDS_INDEXES))
    _check_policies(spec, path, errors)
    template = spec.get("template") or {}
    check_template(template, f"{path}.template", errors, options)
    _check_restart_policy(spec, (template.get("spec") or {}).get("restartPolicy") or "", path, errors)


def _check_indexed(spec: Document, path: str, errors: Errors) -> None:
    completions, parallelism = spec.get("completions"), spec.get("parallelism")
    failed, per_index = spec.get("maxFailedIndexes"), spec.get("backoffLimitPerIndex")
    most = "must be less than or equal to"
    if completions is None:
        errors.append(required(f"{path}.completions", "when completion mode is Indexed"))
    if parallelism is not None and parallelism > MAX_INDEXED_PARALLELISM:
        detail = f"{most} {MAX_INDEXED_PARALLELISM} when completion mode is Indexed"
        errors.append(invalid(f"{path}.parallelism", parallelism, detail))
    if failed is not None:
        if completions is not None and failed > completions:
            errors.append(invalid(f"{path}.maxFailedIndexes", failed, f"{most} completions"))
        if failed > MAX_FAILED_INDEXES:
            errors.append(invalid(f"{path}.maxFailedIndexes", failed, f"{most} {MAX_FAILED_INDEXES}"))
    if completions is None or completions <= MANY_COMPLETIONS or per_index is None:
        return
    when = f"when completions are above {MANY_COMPLETIONS} and used with backoff limit per index"
    if failed is None:
        detail = f"must be specified when completions is above {MANY_COMPLETIONS}"
        errors.append(required(f"{path}.maxFailedIndexes", detail))
    if parallelism is not None and parallelism > MAX_PARALLELISM_OF_MANY:
        errors.append(invalid(f"{path}.parallelism", parallelism, f"{most} {MAX_PARALLELISM_OF_MANY} {when}"))
    if failed is not None and failed > MAX_FAILED_OF_MANY:
        errors.append(invalid(f"{path}.maxFailedIndexes", failed, f"{most} {MAX_FAILED_OF_MANY} {when}"))


def _check_policies(spec: Document, path: str, errors: Errors) -> None:
    failing, success = spec.get("podFailurePolicy"), spec.get("successPolicy")
    if failing is not None:
        check_failure_policy(spec, f"{path}.podFailurePolicy", errors)
    if success is not None:
        if spec.get("completionMode") != "Indexed":
            errors.append(invalid(f"{path}.successPolicy", go_value("SuccessPolicy", success), _NEEDS_INDEXES))
        else:
            check_success_policy(spec, f"{path}.successPolicy", errors)
    replacement = spec.get("podReplacementPolicy")
    known = _REPLACEMENTS if failing is None else _REPLACEMENTS[:1]
    if replacement is not None and replacement not in known:
        errors.append(not_supported(f"{path}.podReplacementPolicy", replacement, known))


def _check_restart_policy(spec: Document, policy: str, path: str, errors: Errors) -> None:
    at = f"{path}.template.spec.restartPolicy"
    if policy in ("", "Always"):
        errors.append(required(at, 'valid values: "OnFailure", "Never"'))
    elif policy not in ("OnFailure", "Never"):
        errors.append(not_supported(at, policy, ("OnFailure", "Never")))
    elif policy != "Never" and spec.get("podFailurePolicy") is not None:
        errors.append(invalid(at, policy, 'only "Never" is supported when podFailurePolicy is specified'))


def validate_cron_job(document: Document, options: RuleOptions = DEFAULT_OPTIONS) -> Errors:
    """Return the faults of a CronJob."""
    errors: Errors = []
    check_metadata(document, dns_subdomain, errors)
    _check_cron_job_spec(document.get("spec") or {}, None, errors, options)
    name = (document.get("metadata") or {}).get("name") or ""
    if len(name.encode()) > MAX_CRON_JOB_NAME:
        errors.append(invalid("metadata.name", name, f"must be no more than {MAX_CRON_JOB_NAME} characters"))
    return errors


def validate_cron_job_update(new: Document, old: Document, options: RuleOptions = DEFAULT_OPTIONS) -> Errors:
    """Return the faults of an update of a CronJob."""
    errors: Errors = []
    check_metadata_update(new, old, errors, kube_finalizers=True)
    _check_cron_job_spec(new.get("spec") or {}, old.get("spec") or {}, errors, options)
    return errors


def _check_cron_job_spec(spec: Document, old: Document | None, errors: Errors, options: RuleOptions) -> None:
    schedule, zone = spec.get("schedule") or "", spec.get("timeZone")
    if not schedule:
        errors.append(required("spec.schedule"))
    else:
        _check_schedule(schedule, zone, old, errors)
    check_non_negative("spec.startingDeadlineSeconds", spec.get("startingDeadlineSeconds"), errors)
    if zone is not None and (old is None or old.get("timeZone") != zone):
        _check_zone(zone, errors)
    check_enum("spec.concurrencyPolicy", spec.get("concurrencyPolicy"), _CONCURRENCY, errors)
    job: Document = (spec.get("jobTemplate") or {}).get("spec") or {}
    path = "spec.jobTemplate.spec"
    check_job_spec(job, path, errors, options)
    if job.get("selector") is not None:
        shown = shown_selector(job["selector"])
        errors.append(invalid(f"{path}.selector", shown, "`selector` will be auto-generated"))
    if job.get("manualSelector"):
        errors.append(not_supported(f"{path}.manualSelector", True, ("nil", "false")))
    for name in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        check_non_negative(f"spec.{name}", spec.get(name), errors)


def _check_schedule(schedule: str, zone: str | None, old: Document | None, errors: Errors) -> None:
    try:
        parse_schedule(schedule)
    except ScheduleError as error:
        errors.append(invalid("spec.schedule", schedule, str(error)))
    if "TZ" not in schedule:
        return
    if "TZ" not in ((old or {}).get("schedule") or ""):
        detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        errors.append(invalid("spec.schedule", schedule, detail))
    elif zone is not None:
        detail = "cannot use both timeZone field and TZ or CRON_TZ in schedule"
        errors.append(invalid("spec.schedule", schedule, detail))


def _check_zone(zone: str, errors: Errors) -> None:
    if not zone:
        errors.append(invalid("spec.timeZone", zone, "timeZone must be nil or non-empty string"))
        return
    if not is_zone_name(zone):
        errors.append(invalid("spec.timeZone", zone, f"unknown time zone {zone}"))
        return
    if zone.lower() == "local":
        detail = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        errors.append(invalid("spec.timeZone", zone, detail))
    try:
        load_zone(zone)
    except ScheduleError as error:
        errors.append(invalid("spec.timeZone", zone, str(error)))
