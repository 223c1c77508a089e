"""Rules of a Job's status, which several controllers may write. Source: batch/v1, as kube-apiserver 1.36 answers.

Most rules are asked only when one of the fields that they are about has changed: a status that is wrong already, such
as after a change of the spec, can still be written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from orchestra.apiserver.validation.fields import (
    Errors,
    check_non_negative,
    duplicate,
    invalid,
    invalid_here,
    required,
)
from orchestra.apiserver.validation.go_shapes import go_value
from orchestra.apiserver.validation.job_policies import IndexesError, common_index, count_indexes
from orchestra.apiserver.validation.metadata import check_metadata_update

Document = Mapping[str, Any]
_CONDITIONS: Final = "status.conditions"
_COUNTS: Final = ("active", "succeeded", "failed", "ready", "terminating")
_TERMINAL: Final = ("Failed", "Complete", "FailureTarget")
_START: Final = "status.startTime"
_COMPLETION: Final = "status.completionTime"


class _State:
    """A Job's status with what follows from it."""

    def __init__(self, job: Document) -> None:
        self.spec: Document = job.get("spec") or {}
        self.status: Document = job.get("status") or {}
        conditions: Sequence[Document] = self.status.get("conditions") or ()
        self.true = frozenset(each.get("type") for each in conditions if each.get("status") == "True")
        self.finished = bool(self.true & {"Complete", "Failed"})

    def number(self, name: str) -> int:
        """Return a count; an absent one is zero."""
        value: int = self.status.get(name) or 0
        return value


class _Change:
    """Two states, and which fields differ."""

    def __init__(self, new: Document, old: Document) -> None:
        self.new, self.old = _State(new), _State(old)

    def condition(self, *types: str) -> bool:
        """Whether one of these conditions has become true, or is not any more."""
        return any((kind in self.new.true) != (kind in self.old.true) for kind in types)

    def field(self, *names: str) -> bool:
        """Whether one of these fields of the status has changed."""
        return any((self.new.status.get(n) or None) != (self.old.status.get(n) or None) for n in names)

    @property
    def finished(self) -> bool:
        """Whether the Job has finished, or is not any more."""
        return self.new.finished != self.old.finished


def validate_job_status(new: Document, old: Document) -> Errors:
    """Return the faults of an update of a Job's status."""
    errors: Errors = []
    check_metadata_update(new, old, errors, kube_finalizers=True)
    change = _Change(new, old)
    for name in _COUNTS:
        check_non_negative(f"status.{name}", change.new.status.get(name), errors)
    _check_uncounted(change.new.status.get("uncountedTerminatedPods"), errors)
    _check_conditions(change, errors)
    _check_finished(change, errors)
    _check_indexes(change, errors)
    _check_pods(change, errors)
    _check_success(change.new, errors)
    _check_course(change, errors)
    return errors


def _check_uncounted(uncounted: Document | None, errors: Errors) -> None:
    seen: set[str] = set()
    for name in ("succeeded", "failed"):
        for index, uid in enumerate((uncounted or {}).get(name) or ()):
            at = f"status.uncountedTerminatedPods.{name}[{index}]"
            if not uid:
                errors.append(invalid(at, uid, "must not be empty"))
            elif uid in seen:
                errors.append(duplicate(at, uid))
            seen.add(uid)


def _check_conditions(change: _Change, errors: Errors) -> None:
    true, status = change.new.true, change.new.status
    complete, failed = "Complete" in true, "Failed" in true
    if complete and failed and change.condition("Complete", "Failed"):
        errors.append(invalid_here(_CONDITIONS, "cannot set Complete=True and Failed=true conditions"))
    if complete and "FailureTarget" in true and change.condition("Complete", "FailureTarget"):
        errors.append(invalid_here(_CONDITIONS, "cannot set Complete=True and FailureTarget=true conditions"))
    start, end = status.get("startTime"), status.get("completionTime")
    if change.condition("Complete") or change.field("completionTime"):
        if end and not complete:
            errors.append(
                invalid(_COMPLETION, end, "cannot set completionTime when there is no Complete=True condition")
            )
        if complete and not end:
            errors.append(required(_COMPLETION, "completionTime is required for Complete jobs"))
    if start and end and change.field("startTime", "completionTime") and _time(end) < _time(start):
        errors.append(invalid(_COMPLETION, end, "completionTime cannot be set before startTime"))
    if failed and "FailureTarget" not in true and change.condition("Failed", "FailureTarget"):
        detail = "cannot set Failed=True condition without the FailureTarget=true condition"
        errors.append(invalid_here(_CONDITIONS, detail))
    if complete and "SuccessCriteriaMet" not in true and change.condition("Complete", "SuccessCriteriaMet"):
        detail = "cannot set Complete=True condition without the SuccessCriteriaMet=true condition"
        errors.append(invalid_here(_CONDITIONS, detail))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _check_finished(change: _Change, errors: Errors) -> None:
    state = change.new
    if not state.finished:
        return
    if state.number("active") > 0 and (change.finished or change.field("active")):
        errors.append(invalid("status.active", state.number("active"), "active>0 is invalid for finished job"))
    # A Job that has nothing to do is complete although it is suspended and never starts.
    idle = state.spec.get("suspend") is True and state.spec.get("completions") == 0
    if not state.status.get("startTime") and not idle and (change.finished or change.field("startTime")):
        errors.append(required(_START, "startTime is required for finished job"))
    uncounted = state.status.get("uncountedTerminatedPods") or {}
    if any(uncounted.values()) and (change.finished or change.field("uncountedTerminatedPods")):
        shown = go_value("UncountedTerminatedPods", uncounted)
        detail = "uncountedTerminatedPods needs to be empty for finished job"
        errors.append(invalid("status.uncountedTerminatedPods", shown, detail))


def _check_indexes(change: _Change, errors: Errors) -> None:
    state = change.new
    completions, limit = state.spec.get("completions"), state.spec.get("backoffLimitPerIndex")
    completed, failed = state.status.get("completedIndexes") or "", state.status.get("failedIndexes")
    at_completed, at_failed = "status.completedIndexes", "status.failedIndexes"
    new_completed, new_failed = change.field("completedIndexes"), _failed_indexes_changed(change)
    if new_completed and completions is not None:
        _check_form(completed, completions, at_completed, errors)
    if new_failed and completions is not None and limit is not None and failed is not None:
        _check_form(failed, completions, at_failed, errors)
    if new_completed and completed and state.spec.get("completionMode") != "Indexed":
        detail = "cannot set non-empty completedIndexes when non-indexed completion mode"
        errors.append(invalid(at_completed, completed, detail))
    if new_failed and limit is None and failed is not None:
        detail = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
        errors.append(invalid(at_failed, failed, detail))
    if (new_completed or new_failed) and completions is not None and failed is not None:
        common = common_index(completed, failed, completions)
        if common is not None:
            detail = f"failedIndexes and completedIndexes overlap at index: {common}"
            errors.append(invalid(at_failed, failed, detail))


def _failed_indexes_changed(change: _Change) -> bool:
    # No failed indexes and none that are counted are not the same.
    return bool(change.new.status.get("failedIndexes") != change.old.status.get("failedIndexes"))


def _check_form(text: str, completions: int, path: str, errors: Errors) -> None:
    try:
        count_indexes(text, completions)
    except IndexesError as error:
        errors.append(invalid(path, text, f"error parsing {path.removeprefix('status.')}: {error}"))


def _check_pods(change: _Change, errors: Errors) -> None:
    state = change.new
    terminating, ready = state.number("terminating"), state.number("ready")
    if terminating > 0 and state.finished and (change.finished or change.field("terminating")):
        errors.append(invalid("status.terminating", terminating, "terminating>0 is invalid for finished job"))
    known = state.status.get("ready") is not None
    if known and ready > state.number("active") and change.field("ready", "active"):
        errors.append(invalid("status.ready", ready, "cannot set more ready pods than active"))


def _check_success(state: _State, errors: Errors) -> None:
    if "SuccessCriteriaMet" in state.true:
        for other, shown in (("Failed", "Failed=true"), ("FailureTarget", "FailureTarget=true")):
            if other in state.true:
                errors.append(invalid_here(_CONDITIONS, f"cannot set SuccessCriteriaMet=True and {shown} conditions"))
    elif "Complete" in state.true and state.spec.get("successPolicy") is not None:
        detail = "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True"
        errors.append(invalid_here(_CONDITIONS, detail))


def _check_course(change: _Change, errors: Errors) -> None:
    """Append the faults of what only goes one way: conditions that stay, counts that grow, times that stand."""
    new, old = change.new, change.old
    for kind in _TERMINAL:
        if kind in old.true and kind not in new.true:
            errors.append(invalid_here(_CONDITIONS, f"cannot disable the terminal {kind}=True condition"))
    if new.number("failed") < old.number("failed"):
        errors.append(invalid("status.failed", new.number("failed"), "cannot decrease the failed counter"))
    elastic = new.spec.get("completionMode") == "Indexed" and (
        new.spec.get("completions") == new.spec.get("parallelism")
    )
    if not elastic and new.number("succeeded") < old.number("succeeded"):
        errors.append(invalid("status.succeeded", new.number("succeeded"), "cannot decrease the succeeded counter"))
    end, before = new.status.get("completionTime"), old.status.get("completionTime")
    if end and before and end != before:
        errors.append(invalid(_COMPLETION, end, "completionTime cannot be mutated"))
    start, began = new.status.get("startTime"), old.status.get("startTime")
    resumed = "Suspended" in old.true and "Suspended" not in new.true
    if began and start != began and not new.spec.get("suspend") and not resumed:
        errors.append(invalid(_START, start, "field is immutable for unsuspended job once set"))
    if "SuccessCriteriaMet" in old.true and "SuccessCriteriaMet" not in new.true:
        errors.append(invalid_here(_CONDITIONS, "cannot disable the SuccessCriteriaMet=True condition"))
    if "Complete" in old.true and "SuccessCriteriaMet" in new.true and "SuccessCriteriaMet" not in old.true:
        detail = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"
        errors.append(invalid_here(_CONDITIONS, detail))
