"""Rules of Jobs and CronJobs."""

from __future__ import annotations

from typing import Any

import pytest

from orchestra.api.batch import Job
from orchestra.api.codec import decode
from tests.apiserver.job_cases import (
    BATCH,
    INDEXED,
    MANY,
    TEMPLATE,
    UID,
    changed,
    cron_job,
    job,
    made,
    told,
)
from tests.apiserver.rule_cases import faults, rules, stored, update_faults

Document = dict[str, Any]


def test_a_job_selects_its_pods_by_its_uid_and_is_labelled_as_they_are() -> None:
    found = made(job())
    labels = {
        "batch.kubernetes.io/controller-uid": UID,
        "batch.kubernetes.io/job-name": "web",
        "controller-uid": UID,
        "job-name": "web",
    }
    assert found["metadata"]["labels"] == found["spec"]["template"]["metadata"]["labels"] == labels
    assert found["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": UID}}
    assert decode(found, Job).spec.completions == 1


def test_a_job_keeps_the_labels_that_it_has() -> None:
    document = {**job(), "metadata": {"name": "web", "namespace": "default", "labels": {"a": "b"}}}
    assert made(document)["metadata"]["labels"] == {"a": "b"}


def test_a_job_may_select_its_pods_itself() -> None:
    template = {**TEMPLATE, "metadata": {"labels": {"a": "b"}}}
    manual = job(template=template, manualSelector=True, selector={"matchLabels": {"a": "b"}})
    assert told(manual) == []
    assert made(manual)["spec"]["selector"] == {"matchLabels": {"a": "b"}}
    assert made(manual)["metadata"]["labels"] == {"a": "b"}
    assert told(job(template=template, manualSelector=True)) == [
        "spec.selector: Required value",
        'spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`',
    ]


def test_labels_that_are_not_the_jobs_are_refused() -> None:
    foreign = {**TEMPLATE, "metadata": {"labels": {"controller-uid": "other"}}}
    shown = (
        '{"batch.kubernetes.io/controller-uid":"u-1","batch.kubernetes.io/job-name":"web",'
        '"controller-uid":"other","job-name":"web"}'
    )
    assert told(job(template=foreign)) == [
        f"spec.template.metadata.labels[controller-uid]: Invalid value: {shown}: must be 'u-1'"
    ]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, {"parallelism": 1, "completions": 1, "backoffLimit": 6, "podReplacementPolicy": "TerminatingOrFailed"}),
        ({"parallelism": 3}, {"parallelism": 3, "completions": None}),
        ({"completions": 3}, {"parallelism": 1, "completions": 3}),
        ({"completionMode": "Indexed", "completions": 2, "backoffLimitPerIndex": 1}, {"backoffLimit": 2**31 - 1}),
        (
            {"podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "A"}]}]}},
            {
                "podReplacementPolicy": "Failed",
                "podFailurePolicy": {
                    "rules": [{"action": "Ignore", "onPodConditions": [{"type": "A", "status": "True"}]}]
                },
            },
        ),
    ],
)
def test_what_a_job_does_not_say_is_filled_in(spec: Document, expected: Document) -> None:
    found = made(job(**spec))["spec"]
    assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"maxFailedIndexes": 1, **INDEXED},
            ["spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified"],
        ),
        (
            {"backoffLimitPerIndex": 1},
            ["spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"],
        ),
        (
            {"completionMode": "Indexed"},
            [],
        ),
        (
            {"completionMode": "Indexed", "parallelism": 1},
            ["spec.completions: Required value: when completion mode is Indexed"],
        ),
        (
            {"completionMode": "Bad"},
            ['spec.completionMode: Unsupported value: "Bad": supported values: "NonIndexed", "Indexed"'],
        ),
        (
            {**MANY},
            ["spec.maxFailedIndexes: Required value: must be specified when completions is above 100000"],
        ),
        (
            {**MANY, "maxFailedIndexes": 20_000, "parallelism": 20_000},
            [
                (
                    "spec.parallelism: Invalid value: 20000: must be less than or equal to 10000 when completions "
                    "are above "
                    "100000 and used with backoff limit per index"
                ),
                (
                    "spec.maxFailedIndexes: Invalid value: 20000: must be less than or equal to 10000 when "
                    "completions are "
                    "above 100000 and used with backoff limit per index"
                ),
            ],
        ),
        ({"managedBy": "a.b/c"}, []),
        (
            {"managedBy": "A.b/c d"},
            [
                (
                    'spec.managedBy: Invalid value: "A.b": a lowercase RFC 1123 subdomain must consist of lower case '
                    "alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. "
                    "'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*"
                    "[a-z0-9])?)*')"
                ),
                (
                    'spec.managedBy: Invalid value: "c d": Invalid path (regex used for validation is '
                    "'[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')"
                ),
            ],
        ),
        (
            {"podReplacementPolicy": "Bad"},
            ['spec.podReplacementPolicy: Unsupported value: "Bad": supported values: "Failed", "TerminatingOrFailed"'],
        ),
    ],
)
def test_the_numbers_of_a_job_fit_together(spec: Document, expected: list[str]) -> None:
    assert told(job(**spec)) == expected


def test_the_name_of_an_indexed_job_leaves_room_for_its_indexes() -> None:
    name = "a" * 62
    document = {**job(**INDEXED), "metadata": {"name": name, "namespace": "default"}}
    assert told(document) == [
        f'metadata.name: Invalid value: "{name}": will not able to create pod with invalid DNS label: {name}-9'
    ]


def test_a_jobs_template_and_way_of_counting_stay_as_they_are() -> None:
    old = made(job())
    assert changed(old) == []
    assert changed(old, parallelism=4, backoffLimit=1, activeDeadlineSeconds=5, suspend=True) == []
    assert changed(old, completions=2) == ["spec.completions: Invalid value: 2: field is immutable"]
    assert changed(old, completionMode="Indexed", managedBy="a.b/c") == [
        'spec.completionMode: Invalid value: "Indexed": field is immutable',
        'spec.managedBy: Invalid value: "a.b/c": field is immutable',
    ]
    template = {**old["spec"]["template"], "spec": {**old["spec"]["template"]["spec"], "nodeSelector": {"a": "b"}}}
    (fault,) = changed(old, template=template)
    assert fault.startswith('spec.template: Invalid value: {"labels":{"batch.kubernetes.io/controller-uid":"u-1"')
    assert fault.endswith("field is immutable")


def test_an_indexed_job_grows_while_all_of_its_indexes_run_at_once() -> None:
    old = made(job(**INDEXED))
    assert changed(old, completions=20, parallelism=20) == []
    assert changed(old, completions=20) == [
        "spec.completions: Invalid value: 20: can only be modified in tandem with spec.parallelism"
    ]


def test_a_suspended_job_without_pods_may_be_placed_and_sized_anew() -> None:
    old = made(job(suspend=True))
    template = old["spec"]["template"]
    container = {**template["spec"]["containers"][0], "resources": {"requests": {"cpu": "1"}}}
    affinity = {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]
            }
        }
    }
    free = {"nodeSelector": {"a": "b"}, "tolerations": [{"operator": "Exists"}], "affinity": affinity}
    placed = {**template, "spec": {**template["spec"], **free, "containers": [container]}}
    assert changed(old, template=placed) == []
    running = {**old, "status": {"active": 1}}
    assert [text.partition(":")[0] for text in changed(running, template=placed)] == ["spec.template"]
    image = {**template, "spec": {**template["spec"], "containers": [{**container, "image": "img:2"}]}}
    assert [text.partition(":")[0] for text in changed(old, template=image)] == ["spec.template"]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (cron_job(), []),
        (cron_job(""), ["spec.schedule: Required value"]),
        (
            cron_job("61 * * * *"),
            ['spec.schedule: Invalid value: "61 * * * *": end of range (61) above maximum (59): 61'],
        ),
        (
            cron_job("TZ=UTC 0 0 * * *"),
            [
                (
                    'spec.schedule: Invalid value: "TZ=UTC 0 0 * * *": cannot use TZ or CRON_TZ in schedule, use '
                    "timeZone "
                    "field instead"
                )
            ],
        ),
        (cron_job(timeZone="Europe/Paris"), []),
        (cron_job(timeZone=""), ['spec.timeZone: Invalid value: "": timeZone must be nil or non-empty string']),
        (cron_job(timeZone="No/Where"), ['spec.timeZone: Invalid value: "No/Where": unknown time zone No/Where']),
        (cron_job(timeZone="../UTC"), ['spec.timeZone: Invalid value: "../UTC": unknown time zone ../UTC']),
        (
            cron_job(timeZone="Local"),
            [
                (
                    'spec.timeZone: Invalid value: "Local": timeZone must be an explicit time zone as defined in '
                    "https://www.iana.org/time-zones"
                )
            ],
        ),
        (
            cron_job(concurrencyPolicy="Bad"),
            ['spec.concurrencyPolicy: Unsupported value: "Bad": supported values: "Allow", "Forbid", "Replace"'],
        ),
    ],
)
def test_a_cron_job_says_when_and_where(document: Document, expected: list[str]) -> None:
    assert faults("CronJob", document, BATCH) == expected


def test_an_old_schedule_may_go_on_naming_its_zone() -> None:
    old = cron_job("TZ=UTC 0 0 * * *")
    assert update_faults("CronJob", cron_job("TZ=UTC 0 1 * * *"), old, BATCH) == []
    assert update_faults("CronJob", cron_job("TZ=UTC 0 1 * * *", timeZone="UTC"), old, BATCH) == [
        'spec.schedule: Invalid value: "TZ=UTC 0 1 * * *": cannot use both timeZone field and TZ or CRON_TZ in schedule'
    ]
    assert [text.partition(" is not")[0] for text in rules("CronJob", BATCH).warnings(old, old)] == [
        "CRON_TZ or TZ used in spec.spec.schedule"
    ]


def test_what_a_cron_job_does_not_say_is_filled_in_and_its_jobs_are_left_open() -> None:
    spec = stored("CronJob", cron_job(), BATCH)["spec"]
    assert (spec["concurrencyPolicy"], spec["suspend"]) == ("Allow", False)
    assert (spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) == (3, 1)
    assert set(spec["jobTemplate"]["spec"]) == {"template"}
    assert spec["jobTemplate"]["spec"]["template"]["spec"]["dnsPolicy"] == "ClusterFirst"


def test_jobs_are_warned_of_names_that_make_bad_hosts_and_of_numbers_that_are_hard_to_track() -> None:
    big = {"completionMode": "Indexed", "completions": 100_001, "parallelism": 10_001}
    document = {**job(**big), "metadata": {"name": "a.b"}}
    first, second = rules("Job", BATCH).warnings(document, None)
    assert first.startswith("metadata.name: this is used in Pod names and hostnames")
    assert second.startswith("spec: In Indexed Jobs with a number of completions higher than 10^5")
    assert rules("Job", BATCH).warnings(document, document) == []


def test_a_null_in_a_list_is_an_item_of_which_nothing_is_said() -> None:
    at = "spec.template.spec.containers[0]"
    found = told(
        job(template={"spec": {"containers": [None], "restartPolicy": "Never"}}, successPolicy={"rules": [None]})
    )
    assert found[:2] == [
        (
            'spec.successPolicy: Invalid value: {"Rules":[{"SucceededIndexes":null,"SucceededCount":null}]}: requires '
            "indexed completion mode"
        ),
        f"{at}.name: Required value",
    ]
