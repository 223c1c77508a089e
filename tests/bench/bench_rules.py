"""What the rules of a write cost per object. `python -m tests.bench.bench_rules` prints it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import orjson

from orchestra.api.codec import encode
from orchestra.api.scheme import Scheme
from orchestra.apiserver.validation import KindRules, rules_for
from tests.bench.bench_api import realistic_pod
from tests.bench.figure import Figure

Document = dict[str, Any]
OBJECTS = 1000
ROUNDS = 5
GOAL_MICROSECONDS = 250.0


def _copies(document: Document, *, alike: bool) -> list[Document]:
    """Return separate documents, as they come from the wire: with one spec, or each with its own."""
    text = orjson.dumps(document)
    found = []
    for number in range(OBJECTS):
        copy: Document = orjson.loads(text)
        copy["metadata"]["name"] = f"web-{number}"
        if not alike:
            copy["spec"]["containers"][0]["env"][0]["value"] = f"{time.perf_counter_ns()}-{number}"
        found.append(copy)
    return found


def _create(rules: KindRules, document: Document) -> None:
    created = rules.prepare_create(rules.default(document))
    if rules.validate(created):
        raise AssertionError("the measured Pod is not valid")


def _update(rules: KindRules, document: Document) -> None:
    prepared = rules.prepare_update(rules.default(document), document)
    if rules.validate_update(prepared, document):
        raise AssertionError("the measured update is not valid")


def _microseconds(act: Callable[[Document], None], documents: Callable[[], list[Document]]) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        made = documents()
        start = time.process_time()
        for document in made:
            act(document)
        best = min(best, time.process_time() - start)
    return best / OBJECTS * 1e6


def run() -> list[Figure]:
    """Measure creations of equal and of different Pods, and updates that change nothing."""
    rules = rules_for(Scheme().info("v1", "Pod"))
    document = {**encode(realistic_pod()), "status": None}
    stored = rules.prepare_create(rules.default(document))
    measured = {
        "rules: create a Pod like others": _microseconds(
            lambda new: _create(rules, new), lambda: _copies(document, alike=True)
        ),
        "rules: create a Pod unlike others": _microseconds(
            lambda new: _create(rules, new), lambda: _copies(document, alike=False)
        ),
        "rules: update a Pod, no change": _microseconds(lambda new: _update(rules, new), lambda: [stored] * OBJECTS),
    }
    goal = f"≤ {GOAL_MICROSECONDS:g}"
    return [Figure(name, value, "µs", goal, value <= GOAL_MICROSECONDS) for name, value in measured.items()]


if __name__ == "__main__":
    for figure in run():
        sys.stdout.write(f"{figure.name}: {figure.value:.0f} {figure.unit}\n")
