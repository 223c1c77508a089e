"""Rules of what ends a Job, and of what its status may say."""

from __future__ import annotations

from typing import Any

import pytest

from orchestra.apiserver.validation.job_policies import IndexesError, common_index, count_indexes
from tests.apiserver.job_cases import (
    INDEXED,
    TEMPLATE,
    job,
    status_faults,
    told,
)

Document = dict[str, Any]


RULE = "spec.podFailurePolicy.rules[0]"


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1, 2]}}, []),
        (
            {},
            [
                f'{RULE}.action: Required value: valid values: ["Count" "FailIndex" "FailJob" "Ignore"]',
                f"{RULE}: Invalid value: specifying one of OnExitCodes and OnPodConditions is required",
            ],
        ),
        (
            {"action": "FailIndex", "onPodConditions": [{"type": "a b", "status": "Maybe"}]},
            [
                f'{RULE}.action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set',
                (
                    f'{RULE}.onPodConditions[0].type: Invalid value: "a b": name part must consist of alphanumeric '
                    "characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. "
                    "'MyName',  or "
                    "'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
                ),
                (
                    f'{RULE}.onPodConditions[0].status: Unsupported value: "Maybe": supported values: "False", "True", '
                    '"Unknown"'
                ),
            ],
        ),
        (
            {"action": "Bad", "onExitCodes": {"operator": "Is", "containerName": "x", "values": []}},
            [
                f'{RULE}.action: Unsupported value: "Bad": supported values: "Count", "FailIndex", "FailJob", "Ignore"',
                f'{RULE}.onExitCodes.operator: Unsupported value: "Is": supported values: "In", "NotIn"',
                (
                    f'{RULE}.onExitCodes.containerName: Invalid value: "x": must be one of the container or '
                    f"initContainer "
                    "names in the pod template"
                ),
                f"{RULE}.onExitCodes.values: Invalid value: []: at least one value is required",
            ],
        ),
        (
            {
                "action": "Ignore",
                "onExitCodes": {"operator": "In", "values": [5, 0, 5]},
                "onPodConditions": [{"type": "A"}],
            },
            [
                f"{RULE}.onExitCodes.values[1]: Invalid value: 0: must not be 0 for the In operator",
                f"{RULE}.onExitCodes.values[2]: Duplicate value: 5",
                f"{RULE}.onExitCodes.values: Invalid value: [5,0,5]: must be ordered",
                f"{RULE}: Invalid value: specifying both OnExitCodes and OnPodConditions is not supported",
            ],
        ),
    ],
)
def test_a_rule_of_failure_has_an_action_and_one_cause(rule: Document, expected: list[str]) -> None:
    assert told(job(podFailurePolicy={"rules": [rule]})) == expected


def test_a_policy_of_failure_needs_pods_that_do_not_restart_by_themselves() -> None:
    again = {"spec": {**TEMPLATE["spec"], "restartPolicy": "OnFailure"}}
    assert told(job(template=again)) == []
    policy = {"rules": [{"action": "Count", "onPodConditions": [{"type": "A"}]}]}
    assert told(job(template=again, podFailurePolicy=policy)) == [
        (
            'spec.template.spec.restartPolicy: Invalid value: "OnFailure": only "Never" is supported when '
            "podFailurePolicy "
            "is specified"
        )
    ]


@pytest.mark.parametrize(
    ("rules_given", "expected"),
    [
        ([{"succeededIndexes": "0,2-4", "succeededCount": 4}], []),
        (
            [],
            [
                (
                    "spec.successPolicy.rules: Required value: at least one rules must be specified when the "
                    "successPolicy is specified"
                )
            ],
        ),
        (
            [{}],
            [
                (
                    "spec.successPolicy.rules[0]: Required value: at least one of succeededCount or "
                    "succeededIndexes must be "
                    "specified"
                )
            ],
        ),
        (
            [{"succeededIndexes": "3-1"}, {"succeededIndexes": "0", "succeededCount": 11}],
            [
                (
                    'spec.successPolicy.rules[0].succeededIndexes: Invalid value: "3-1": error parsing '
                    "succeededIndexes: "
                    "non-increasing order, previous: 3, current: 1"
                ),
                (
                    "spec.successPolicy.rules[1].succeededCount: Invalid value: 11: must be less than or equal to "
                    "10 (the "
                    "number of specified completions)"
                ),
                (
                    "spec.successPolicy.rules[1].succeededCount: Invalid value: 11: must be less than or equal to 1 "
                    "(the "
                    "number of indexes in the specified succeededIndexes field)"
                ),
            ],
        ),
    ],
)
def test_a_policy_of_success_names_indexes_or_their_number(rules_given: list[Document], expected: list[str]) -> None:
    assert told(job(**INDEXED, successPolicy={"rules": rules_given})) == expected


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("10", 'too large index: "10"'),
        ("a", 'cannot convert string to integer for index: "a"'),
        (
            "1-2-3",
            (
                'the fragment "1-2-3" violates the requirement that an index interval can have at most two '
                "parts separated by '-'"
            ),
        ),
        ("3,1", "non-increasing order, previous: 3, current: 1"),
        ("1,1", "non-increasing order, previous: 1, current: 1"),
        ("1,", 'cannot convert string to integer for index: ""'),
    ],
)
def test_texts_that_name_no_indexes_are_refused(text: str, fault: str) -> None:
    with pytest.raises(IndexesError) as caught:
        count_indexes(text, 10)
    assert str(caught.value) == fault


def test_indexes_are_counted_and_compared() -> None:
    assert [count_indexes(text, 10) for text in ("", "0", "0,2-4", "0-9")] == [0, 1, 4, 10]
    assert common_index("0,2-4", "1,5-6", 10) is None
    assert common_index("0,2-5", "1,4-6", 10) == 4
    assert common_index("x,3", "3,y", 10) == 3
    assert common_index("", "3", 10) is None


def condition(*types: str) -> list[Document]:
    return [{"type": kind, "status": "True"} for kind in types]


START = {"startTime": "2026-01-01T00:00:00Z"}
DONE = {**START, "completionTime": "2026-01-01T00:01:00Z", "conditions": condition("SuccessCriteriaMet", "Complete")}


@pytest.mark.parametrize(
    ("status", "old", "expected"),
    [
        (DONE, START, []),
        ({**START, "conditions": condition("FailureTarget", "Failed")}, START, []),
        ({**DONE, "active": 1}, START, ["status.active: Invalid value: 1: active>0 is invalid for finished job"]),
        ({**DONE, "active": 1}, {**DONE, "active": 1}, []),
        (
            {**DONE, "terminating": 2},
            START,
            ["status.terminating: Invalid value: 2: terminating>0 is invalid for finished job"],
        ),
        (
            {**DONE, "uncountedTerminatedPods": {"failed": ["a"]}},
            START,
            [
                (
                    'status.uncountedTerminatedPods: Invalid value: {"Succeeded":null,"Failed":["a"]}: '
                    "uncountedTerminatedPods needs to be empty for finished job"
                )
            ],
        ),
        (
            {"conditions": condition("FailureTarget", "Failed")},
            {},
            ["status.startTime: Required value: startTime is required for finished job"],
        ),
        (
            {**DONE, "completionTime": "2025-01-01T00:00:00Z"},
            START,
            [
                (
                    'status.completionTime: Invalid value: "2025-01-01T00:00:00Z": completionTime cannot be set '
                    "before startTime"
                )
            ],
        ),
        (
            {**START, "completionTime": "2026-01-01T00:01:00Z"},
            START,
            [
                (
                    'status.completionTime: Invalid value: "2026-01-01T00:01:00Z": cannot set completionTime when '
                    "there is "
                    "no Complete=True condition"
                )
            ],
        ),
        (
            {**START, "conditions": condition("SuccessCriteriaMet", "FailureTarget")},
            START,
            ["status.conditions: Invalid value: cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"],
        ),
        (
            START,
            {**START, "failed": 1, "succeeded": 2, "conditions": condition("FailureTarget", "SuccessCriteriaMet")},
            [
                "status.conditions: Invalid value: cannot disable the terminal FailureTarget=True condition",
                "status.failed: Invalid value: 0: cannot decrease the failed counter",
                "status.succeeded: Invalid value: 0: cannot decrease the succeeded counter",
                "status.conditions: Invalid value: cannot disable the SuccessCriteriaMet=True condition",
            ],
        ),
        (
            {"startTime": "2026-02-01T00:00:00Z"},
            START,
            [
                (
                    'status.startTime: Invalid value: "2026-02-01T00:00:00Z": field is immutable for unsuspended '
                    "job once "
                    "set"
                )
            ],
        ),
        ({"startTime": "2026-02-01T00:00:00Z"}, {**START, "conditions": condition("Suspended")}, []),
        (
            {"uncountedTerminatedPods": {"succeeded": ["a", ""], "failed": ["a"]}},
            {},
            [
                'status.uncountedTerminatedPods.succeeded[1]: Invalid value: "": must not be empty',
                'status.uncountedTerminatedPods.failed[0]: Duplicate value: "a"',
            ],
        ),
        ({"ready": 2, "active": 1}, {}, ["status.ready: Invalid value: 2: cannot set more ready pods than active"]),
        (
            {"completedIndexes": "0", "failedIndexes": "0"},
            {},
            [
                (
                    'status.completedIndexes: Invalid value: "0": cannot set non-empty completedIndexes when '
                    "non-indexed "
                    "completion mode"
                ),
                (
                    'status.failedIndexes: Invalid value: "0": cannot set non-null failedIndexes when '
                    "backoffLimitPerIndex "
                    "is null"
                ),
                'status.failedIndexes: Invalid value: "0": failedIndexes and completedIndexes overlap at index: 0',
            ],
        ),
    ],
)
def test_a_jobs_status_goes_one_way(status: Document, old: Document, expected: list[str]) -> None:
    assert status_faults(status, old) == expected


def test_the_indexes_of_a_status_are_those_of_the_job() -> None:
    spec = {**INDEXED, "backoffLimitPerIndex": 1}
    assert status_faults({"completedIndexes": "0-3", "failedIndexes": "5"}, **spec) == []
    assert status_faults({"completedIndexes": "12", "failedIndexes": "x"}, **spec) == [
        'status.completedIndexes: Invalid value: "12": error parsing completedIndexes: too large index: "12"',
        (
            'status.failedIndexes: Invalid value: "x": error parsing failedIndexes: cannot convert string '
            "to integer for "
            'index: "x"'
        ),
    ]


def test_a_job_with_nothing_to_do_is_complete_without_a_start() -> None:
    status = {"completionTime": "2026-01-01T00:01:00Z", "conditions": condition("SuccessCriteriaMet", "Complete")}
    assert status_faults(status, suspend=True, completions=0, parallelism=0) == []
