"""Rules of what ends a Job early: its policies of failure and of success, and the texts that name indexes.

Source: batch/v1, as kube-apiserver 1.36 answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from orchestra.apiserver.validation.fields import (
    Errors,
    check_non_negative,
    duplicate,
    each_invalid,
    invalid,
    invalid_here,
    not_supported,
    quoted,
    required,
    too_long,
    too_many,
)
from orchestra.apiserver.validation.formats import qualified_name

Document = Mapping[str, Any]
MAX_RULES: Final = 20
MAX_PATTERNS: Final = 20
MAX_EXIT_CODES: Final = 255
MAX_INDEXES_BYTES: Final = 64 * 1024
_ACTIONS: Final = ("Count", "FailIndex", "FailJob", "Ignore")
_OPERATORS: Final = ("In", "NotIn")
_STATUSES: Final = ("False", "True", "Unknown")


def check_failure_policy(spec: Document, path: str, errors: Errors) -> None:
    """Append the faults of a Job's `podFailurePolicy`."""
    rules = spec["podFailurePolicy"].get("rules") or ()
    if len(rules) > MAX_RULES:
        errors.append(too_many(f"{path}.rules", len(rules), MAX_RULES))
    inner = (spec.get("template") or {}).get("spec") or {}
    names = {
        container.get("name") or "" for kind in ("containers", "initContainers") for container in inner.get(kind) or ()
    }
    for index, rule in enumerate(rules):
        _check_failure_rule(spec, rule, f"{path}.rules[{index}]", names, errors)


def _check_failure_rule(spec: Document, rule: Document, path: str, names: set[str], errors: Errors) -> None:
    action = rule.get("action") or ""
    if action == "FailIndex":
        if spec.get("backoffLimitPerIndex") is None:
            errors.append(invalid(f"{path}.action", action, "requires the backoffLimitPerIndex to be set"))
    else:
        _check_known(action, _ACTIONS, f"{path}.action", errors)
    codes, patterns = rule.get("onExitCodes"), rule.get("onPodConditions") or ()
    if codes is not None:
        _check_exit_codes(codes, f"{path}.onExitCodes", names, errors)
    if patterns:
        _check_patterns(patterns, f"{path}.onPodConditions", errors)
    if codes is not None and patterns:
        errors.append(invalid_here(path, "specifying both OnExitCodes and OnPodConditions is not supported"))
    if codes is None and not patterns:
        errors.append(invalid_here(path, "specifying one of OnExitCodes and OnPodConditions is required"))


def _check_known(value: str, known: Sequence[str], path: str, errors: Errors) -> None:
    if not value:
        errors.append(required(path, f"valid values: [{' '.join(map(quoted, known))}]"))
    elif value not in known:
        errors.append(not_supported(path, value, known))


def _check_patterns(patterns: Sequence[Document], path: str, errors: Errors) -> None:
    if len(patterns) > MAX_PATTERNS:
        errors.append(too_many(path, len(patterns), MAX_PATTERNS))
    for index, pattern in enumerate(patterns):
        at, kind = f"{path}[{index}]", pattern.get("type") or ""
        each_invalid(f"{at}.type", kind, qualified_name(kind), errors)
        _check_known(pattern.get("status") or "", _STATUSES, f"{at}.status", errors)


def _check_exit_codes(codes: Document, path: str, names: set[str], errors: Errors) -> None:
    operator, container, values = codes.get("operator") or "", codes.get("containerName"), codes.get("values")
    _check_known(operator, _OPERATORS, f"{path}.operator", errors)
    if container is not None and container not in names:
        detail = "must be one of the container or initContainer names in the pod template"
        errors.append(invalid(f"{path}.containerName", container, detail))
    if not values:
        errors.append(invalid(f"{path}.values", values, "at least one value is required"))
        return
    if len(values) > MAX_EXIT_CODES:
        errors.append(too_many(f"{path}.values", len(values), MAX_EXIT_CODES))
    seen: set[int] = set()
    for index, value in enumerate(values):
        if operator == "In" and value == 0:
            errors.append(invalid(f"{path}.values[{index}]", value, "must not be 0 for the In operator"))
        if value in seen:
            errors.append(duplicate(f"{path}.values[{index}]", value))
        seen.add(value)
    if list(values) != sorted(values):
        errors.append(invalid(f"{path}.values", list(values), "must be ordered"))


def check_success_policy(spec: Document, path: str, errors: Errors) -> None:
    """Append the faults of the `successPolicy` of an indexed Job."""
    rules = spec["successPolicy"].get("rules") or ()
    if not rules:
        detail = "at least one rules must be specified when the successPolicy is specified"
        errors.append(required(f"{path}.rules", detail))
    if len(rules) > MAX_RULES:
        errors.append(too_many(f"{path}.rules", len(rules), MAX_RULES))
    for index, rule in enumerate(rules):
        _check_success_rule(rule, spec.get("completions") or 0, f"{path}.rules[{index}]", errors)


def _check_success_rule(rule: Document, completions: int, path: str, errors: Errors) -> None:
    indexes, count = rule.get("succeededIndexes"), rule.get("succeededCount")
    if indexes is None and count is None:
        errors.append(required(path, "at least one of succeededCount or succeededIndexes must be specified"))
    total = 0
    if indexes is not None:
        if len(indexes.encode()) > MAX_INDEXES_BYTES:
            errors.append(too_long(f"{path}.succeededIndexes", MAX_INDEXES_BYTES))
        try:
            total = count_indexes(indexes, completions)
        except IndexesError as error:
            detail = f"error parsing succeededIndexes: {error}"
            errors.append(invalid(f"{path}.succeededIndexes", indexes, detail))
    if count is not None:
        at, most = f"{path}.succeededCount", "must be less than or equal to"
        check_non_negative(at, count, errors)
        if count > completions:
            errors.append(invalid(at, count, f"{most} {completions} (the number of specified completions)"))
        if indexes is not None and count > total:
            detail = f"{most} {total} (the number of indexes in the specified succeededIndexes field)"
            errors.append(invalid(at, count, detail))


class IndexesError(ValueError):
    """A text that names no indexes of a Job."""


@attrs.frozen
class Interval:
    """Neighbouring indexes, both ends included."""

    first: int
    last: int


def interval_of(text: str, completions: int) -> Interval:
    """Return what `3` or `3-5` names, of so many indexes; raises IndexesError."""
    ends = text.split("-")
    if len(ends) > 2:
        why = "violates the requirement that an index interval can have at most two parts separated by '-'"
        raise IndexesError(f"the fragment {quoted(text)} {why}")
    numbers = [_index(end, completions) for end in ends]
    if len(numbers) == 2 and numbers[0] >= numbers[1]:
        raise IndexesError(f"non-increasing order, previous: {numbers[0]}, current: {numbers[1]}")
    return Interval(numbers[0], numbers[-1])


def _index(text: str, completions: int) -> int:
    if not re.fullmatch("[+-]?[0-9]+", text) or abs(int(text)) >= 2**63:
        raise IndexesError(f"cannot convert string to integer for index: {quoted(text)}")
    if int(text) >= completions:
        raise IndexesError(f"too large index: {quoted(text)}")
    return int(text)


def count_indexes(text: str, completions: int) -> int:
    """Return how many indexes a text such as `1,3-5` names; raises IndexesError."""
    total, last = 0, -1
    for number, part in enumerate(text.split(",") if text else ()):
        interval = interval_of(part, completions)
        if number and last >= interval.first:
            raise IndexesError(f"non-increasing order, previous: {last}, current: {interval.first}")
        total += interval.last - interval.first + 1
        last = interval.last
    return total


def _intervals(text: str, completions: int) -> Iterator[Interval]:
    for part in text.split(",") if text else ():
        try:
            yield interval_of(part, completions)
        except IndexesError:
            continue  # told where the form of the text is looked at


def common_index(one: str, other: str, completions: int) -> int | None:
    """Return an index that both texts name; parts that name nothing do not count."""
    left, right = _intervals(one, completions), _intervals(other, completions)
    a, b = next(left, None), next(right, None)
    while a is not None and b is not None:
        if a.first <= b.last and b.first <= a.last:
            return max(a.first, b.first)
        if a.first <= b.first:
            a = next(left, None)
        else:
            b = next(right, None)
    return None
