"""Pods that shall end: batch/v1."""

from __future__ import annotations

from datetime import datetime

from attrs import frozen

from orchestra.api import builtin
from orchestra.api.core.pod import PodTemplateSpec
from orchestra.api.core.reference import ObjectReference
from orchestra.api.meta import LabelSelector
from orchestra.api.object import (
    Object,
    ObjectMeta,
    Struct,
    declared,
    freeze_fields,
    int32,
    list_set,
    omit_empty,
    resource,
)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodFailurePolicyOnExitCodesRequirement(Struct):
    """Which exit codes of which container a rule is about: `operator` is In or NotIn."""

    container_name: str | None = None
    operator: str = declared("", go="v1.PodFailurePolicyOnExitCodesOperator")
    values: tuple[int, ...] = list_set(int32=True, required=True)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodFailurePolicyOnPodConditionsPattern(Struct):
    """A condition of a failed Pod that a rule is about."""

    type: str = declared("", go="v1.PodConditionType")
    status: str = declared("", go="v1.ConditionStatus")


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodFailurePolicyRule(Struct):
    """What a Pod's failure means for its Job: FailJob, FailIndex, Ignore or Count."""

    action: str = declared("", go="v1.PodFailurePolicyAction")
    on_exit_codes: PodFailurePolicyOnExitCodesRequirement | None = None
    on_pod_conditions: tuple[PodFailurePolicyOnPodConditionsPattern, ...] = ()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodFailurePolicy(Struct):
    """Rules for failed Pods; the first that matches decides."""

    rules: tuple[PodFailurePolicyRule, ...] = declared((), required=True)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class SuccessPolicyRule(Struct):
    """Which indexes must have succeeded, or how many of them, for the Job to have."""

    succeeded_indexes: str | None = None
    succeeded_count: int | None = int32()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class SuccessPolicy(Struct):
    """When an indexed Job has succeeded although not all of its indexes have; one rule is enough."""

    rules: tuple[SuccessPolicyRule, ...] = declared((), required=True)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class JobSpec(Struct):
    """How many Pods shall end well, how many run at once, and when to give up."""

    parallelism: int | None = int32()
    completions: int | None = int32()
    active_deadline_seconds: int | None = None
    pod_failure_policy: PodFailurePolicy | None = None
    success_policy: SuccessPolicy | None = None
    backoff_limit: int | None = int32()
    backoff_limit_per_index: int | None = int32()
    max_failed_indexes: int | None = int32()
    selector: LabelSelector | None = None
    manual_selector: bool | None = None
    template: PodTemplateSpec = PodTemplateSpec()
    ttl_seconds_after_finished: int | None = int32()
    completion_mode: str | None = declared(go="v1.CompletionMode")
    suspend: bool | None = None
    pod_replacement_policy: str | None = declared(go="v1.PodReplacementPolicy")
    managed_by: str | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class UncountedTerminatedPods(Struct):
    """Pods that have ended and are not in the status's counts yet, by uid."""

    succeeded: tuple[str, ...] = list_set()
    failed: tuple[str, ...] = list_set()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class JobCondition(Struct):
    """One aspect of a Job: Complete, Failed, Suspended, FailureTarget or SuccessCriteriaMet."""

    type: str = declared("", go="v1.JobConditionType")
    status: str = declared("", go="v1.ConditionStatus")
    last_probe_time: datetime | None = declared(nullable=True)
    last_transition_time: datetime | None = declared(nullable=True)
    reason: str = omit_empty()
    message: str = omit_empty()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class JobStatus(Struct):
    """How far a Job is; indexes are written as ranges such as `1,3-5`."""

    conditions: tuple[JobCondition, ...] = declared((), patch_merge_key="type")
    start_time: datetime | None = None
    completion_time: datetime | None = None
    active: int = omit_empty(0, int32=True)
    succeeded: int = omit_empty(0, int32=True)
    failed: int = omit_empty(0, int32=True)
    terminating: int | None = int32()
    completed_indexes: str = omit_empty()
    failed_indexes: str | None = None
    uncounted_terminated_pods: UncountedTerminatedPods | None = None
    ready: int | None = int32()


@resource(builtin.JOB)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class Job(Object):
    """Runs Pods until enough of them have ended well."""

    spec: JobSpec = JobSpec()
    status: JobStatus = JobStatus()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class JobTemplateSpec(Struct):
    """The Job that a CronJob makes."""

    metadata: ObjectMeta = ObjectMeta()
    spec: JobSpec = JobSpec()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class CronJobSpec(Struct):
    """When to make which Job, and what to do while the one before still runs."""

    schedule: str = ""
    time_zone: str | None = None
    starting_deadline_seconds: int | None = None
    concurrency_policy: str = omit_empty(go="v1.ConcurrencyPolicy")
    suspend: bool | None = None
    job_template: JobTemplateSpec = JobTemplateSpec()
    successful_jobs_history_limit: int | None = int32()
    failed_jobs_history_limit: int | None = int32()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class CronJobStatus(Struct):
    """The Jobs that run, and when the last was due."""

    active: tuple[ObjectReference, ...] = ()
    last_schedule_time: datetime | None = None
    last_successful_time: datetime | None = None


@resource(builtin.CRON_JOB)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class CronJob(Object):
    """Makes a Job whenever its schedule says."""

    spec: CronJobSpec = CronJobSpec()
    status: CronJobStatus = CronJobStatus()
