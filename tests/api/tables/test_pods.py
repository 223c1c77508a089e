"""The word that says how a Pod is, state by state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from orchestra.api.codec import from_document
from orchestra.api.core import Pod
from orchestra.api.tables import human_age, human_duration
from orchestra.api.tables.pods import cells, summarize

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
RUNNING = {"state": {"running": {}}, "ready": True}
DONE = {"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}


def waiting(reason: str) -> dict[str, Any]:
    return {"state": {"waiting": {"reason": reason}}}


def ended(code: int, reason: str = "", signal: int = 0) -> dict[str, Any]:
    return {"state": {"terminated": {"exitCode": code, "reason": reason, "signal": signal}}}


def pod(
    *containers: dict[str, Any],
    init: tuple[dict[str, Any], ...] = (),
    phase: str = "Running",
    conditions: tuple[tuple[str, str], ...] = (),
    sidecars: tuple[int, ...] = (),
    **status: Any,
) -> Pod:
    def named(states: tuple[dict[str, Any], ...], prefix: str) -> list[dict[str, Any]]:
        common = {"image": "i", "imageID": "", "ready": False, "restartCount": 0}
        return [{"name": f"{prefix}{index}", **common, **state} for index, state in enumerate(states)]

    inits = [
        {"name": f"i{index}", "image": "i", **({"restartPolicy": "Always"} if index in sidecars else {})}
        for index in range(len(init))
    ]
    document = {
        "metadata": {"name": "p"},
        "spec": {
            "containers": [{"name": f"c{index}", "image": "i"} for index in range(len(containers) or 1)],
            "initContainers": inits,
        },
        "status": {
            "phase": phase,
            "conditions": [{"type": kind, "status": state} for kind, state in conditions],
            "containerStatuses": named(containers, "c"),
            "initContainerStatuses": named(init, "i"),
            **status,
        },
    }
    return from_document(document, Pod)


@pytest.mark.parametrize(
    ("subject", "word", "ready"),
    [
        (pod(phase="Pending"), "Pending", "0/1"),
        (pod(RUNNING), "Running", "1/1"),
        (pod(waiting("ContainerCreating"), phase="Pending"), "ContainerCreating", "0/1"),
        (pod(waiting("CrashLoopBackOff")), "CrashLoopBackOff", "0/1"),
        (pod(RUNNING, waiting("ImagePullBackOff")), "ImagePullBackOff", "1/2"),
        (pod(DONE, phase="Succeeded"), "Completed", "0/1"),
        (pod(ended(1, "Error"), phase="Failed"), "Error", "0/1"),
        (pod(ended(3), phase="Failed"), "ExitCode:3", "0/1"),
        (pod(ended(0, signal=9), phase="Failed"), "Signal:9", "0/1"),
        (pod(DONE, RUNNING, conditions=(("Ready", "True"),)), "Running", "1/2"),
        (pod(DONE, RUNNING), "NotReady", "1/2"),
        (pod(waiting("PodInitializing"), init=(DONE, RUNNING), phase="Pending"), "Init:1/2", "0/1"),
        (pod(init=(waiting("PodInitializing"),), phase="Pending"), "Init:0/1", "0/1"),
        (pod(init=(waiting("CrashLoopBackOff"),), phase="Pending"), "Init:CrashLoopBackOff", "0/1"),
        (pod(init=(ended(2, "Error"),), phase="Pending"), "Init:Error", "0/1"),
        (pod(init=(ended(2),), phase="Pending"), "Init:ExitCode:2", "0/1"),
        (pod(RUNNING, init=({**RUNNING, "started": True},), sidecars=(0,)), "Running", "2/2"),
        (pod(init=({**RUNNING, "started": True}, RUNNING), sidecars=(0,), phase="Pending"), "Init:1/2", "1/2"),
        (pod(phase="Failed", reason="Evicted"), "Evicted", "0/1"),
    ],
)
def test_the_status_of_a_pod(subject: Pod, word: str, ready: str) -> None:
    brief = summarize(subject)
    assert (brief.status, f"{brief.ready}/{brief.total}") == (word, ready)


def test_a_pod_that_is_going_away_is_terminating_unless_it_has_ended() -> None:
    going = attrs.evolve(pod(RUNNING), metadata=attrs.evolve(pod().metadata, deletion_timestamp=NOW))
    assert summarize(going).status == "Terminating"
    lost = attrs.evolve(going, status=attrs.evolve(going.status, reason="NodeLost"))
    assert summarize(lost).status == "Unknown"
    ended_pod = attrs.evolve(going, status=pod(DONE, phase="Succeeded").status)
    assert summarize(ended_pod).status == "Completed"


def test_a_gated_pod_says_so() -> None:
    gated = pod(phase="Pending")
    condition = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}
    document = {"metadata": {"name": "p"}, "spec": {}, "status": {"phase": "Pending", "conditions": [condition]}}
    assert summarize(gated).status == "Pending"
    assert summarize(from_document(document, Pod)).status == "SchedulingGated"


def test_restarts_tell_how_long_ago_the_last_one_was() -> None:
    state = {**RUNNING, "restartCount": 3, "lastState": {"terminated": {"finishedAt": "2026-01-01T11:57:58Z"}}}
    assert cells(pod(state), NOW)[3] == "3 (2m2s ago)"
    assert cells(pod({**RUNNING, "restartCount": 3}), NOW)[3] == "3"


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(seconds=-1), "0s"),
        (timedelta(seconds=-5), "<invalid>"),
        (timedelta(), "0s"),
        (timedelta(seconds=119), "119s"),
        (timedelta(seconds=120), "2m"),
        (timedelta(minutes=3, seconds=2), "3m2s"),
        (timedelta(minutes=10, seconds=5), "10m"),
        (timedelta(minutes=179), "179m"),
        (timedelta(hours=3, minutes=5), "3h5m"),
        (timedelta(hours=8, minutes=5), "8h"),
        (timedelta(hours=47), "47h"),
        (timedelta(days=5, hours=1), "5d1h"),
        (timedelta(days=8, hours=1), "8d"),
        (timedelta(days=729), "729d"),
        (timedelta(days=800), "2y70d"),
        (timedelta(days=365 * 9), "9y"),
    ],
)
def test_spans_of_time_are_coarser_the_longer_they_are(span: timedelta, text: str) -> None:
    assert human_duration(span.total_seconds()) == text


def test_a_time_that_is_not_known() -> None:
    assert human_age(None, NOW) == "<unknown>"
