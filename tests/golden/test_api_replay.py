"""What kube-apiserver 1.36.2 answered, replayed through the verbs of a server in this process."""

from __future__ import annotations

import sys
from collections import Counter

import pytest

from tests.golden.api_adapter import transport_reason
from tests.golden.api_match import Variables, differences
from tests.golden.api_replay import recording, replay_all, table

FLOORS = {
    "1-defaulting": 105,
    "2-validation": 519,
    "3-updates": 443,
    "4-patches": 239,
    "5-field-validation": 165,
    "6-list-get-watch": 387,
    "7-delete": 555,
    "8-subresources": 159,
    "9-names-and-transport": 176,
    "10-service-allocation": 149,
}
"""How many steps of each group are equal at the least."""

LEFT_OUT = {"discovery": 20, "malformed body": 19, "media type": 8, "size of the body": 5}
"""How many steps are about the transport itself, and why."""


def test_no_group_is_below_its_floor() -> None:
    recorded = recording()
    outcomes = replay_all(recorded["scenarios"], recorded["fixtures"])
    sys.stdout.write(f"\n{table(outcomes)}\n\n{table(outcomes, 'kind')}\n")
    equal: Counter[str] = Counter()
    for outcome in outcomes:
        equal[outcome.group] += outcome.equal_steps
    assert {group: equal[group] for group, floor in FLOORS.items() if equal[group] < floor} == {}


def test_only_what_is_about_the_transport_is_left_out() -> None:
    steps = [step for scenario in recording()["scenarios"] for step in scenario["steps"]]
    reasons = Counter(filter(None, map(transport_reason, steps)))
    assert dict(reasons) == LEFT_OUT


@pytest.mark.parametrize(
    ("recorded", "actual", "equal"),
    [
        ({"a": "<uid-1>", "b": "<uid-1>"}, {"a": "x", "b": "x"}, True),
        ({"a": "<uid-1>", "b": "<uid-1>"}, {"a": "x", "b": "y"}, False),
        ({"a": "<uid-1>", "b": "<uid-2>"}, {"a": "x", "b": "x"}, False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": 1, "b": 2}, {"a": 1}, False),
        ({"a": 1}, {"a": True}, False),
        ({"a": [1, 2]}, {"a": [2, 1]}, False),
        ({"causes": [{"m": "1"}, {"m": "2"}]}, {"causes": [{"m": "2"}, {"m": "1"}]}, True),
        ({"causes": [{"m": "1"}, {"m": "1"}]}, {"causes": [{"m": "1"}, {"m": "2"}]}, False),
        ("o in NS at <rv> is <varies>", "o in here at 17 is whatever", True),
        ("o in NS", "o in there", False),
        ("<port-1>", 30001, True),
        (None, {}, False),
    ],
)
def test_placeholders_are_variables(recorded: object, actual: object, equal: bool) -> None:
    assert (differences(recorded, actual, Variables("here")) == []) is equal
