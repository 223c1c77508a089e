"""Laws of defaults over objects that a real API server returned."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestra.apiserver.validation import rules_for
from orchestra.apiserver.validation.registry import RULES
from tests.apiserver.rule_cases import SCHEME

DATA = Path(__file__).parent.parent / "data"


def _recorded() -> Iterator[dict[str, Any]]:
    """Yield every object that was recorded by itself, and every one that was the answer to a request."""
    yield from json.loads(gzip.decompress((DATA / "recorded_objects.json.gz").read_bytes()))
    answers = json.loads(gzip.decompress((DATA / "golden_api.json.gz").read_bytes()))
    for scenario in answers["scenarios"]:
        for step in scenario["steps"]:
            body = step["response"].get("body")
            if step["response"]["code"] < 300 and isinstance(body, dict) and "uid" in body.get("metadata", {}):
                yield body


OBJECTS: list[dict[str, Any]] = [
    document
    for document in _recorded()
    if any(info.api_version == document["apiVersion"] and info.kind == document["kind"] for info in SCHEME)
    and SCHEME.info(document["apiVersion"], document["kind"]).group_kind in RULES
]


def test_most_kinds_with_rules_were_recorded() -> None:
    assert len({document["kind"] for document in OBJECTS}) >= len(RULES) - 6


@pytest.mark.parametrize(
    "document", OBJECTS, ids=lambda document: f"{document['kind']}/{document['metadata'].get('name')}"
)
def test_defaults_change_nothing_the_second_time_and_leave_the_input_alone(document: dict[str, Any]) -> None:
    of_kind = rules_for(SCHEME.info(document["apiVersion"], document["kind"]))
    given = copy.deepcopy(document)
    once = of_kind.default(document)
    assert document == given
    assert of_kind.default(once) is once
    assert of_kind.prepare_update(once, once) == once
