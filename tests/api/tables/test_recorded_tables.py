"""Tables as kube-apiserver prints them, replayed."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from orchestra.api.scheme import Scheme
from orchestra.api.tables import table_of

RECORDING = Path(__file__).parents[2] / "data" / "golden_api.json.gz"
AGES = {"Age", "Last Seen", "First Seen"}
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SCHEME = Scheme()
PLURALS = {info.kind: info.plural for info in SCHEME}


def _filled(value: Any) -> Any:
    """Return a recorded object with a time where the recording has left one out."""
    if isinstance(value, dict):
        return {key: _filled(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item) for item in value]
    return "2026-01-01T00:00:00Z" if value == "<time>" else value


def _is_of(path: str, shown: dict[str, Any] | None) -> bool:
    return shown is not None and PLURALS[shown["kind"]] in path.split("/")


def _tables() -> Iterator[Any]:
    """Yield an object and the answer that shows it as a table."""
    scenarios = json.loads(gzip.decompress(RECORDING.read_bytes()))["scenarios"]
    for scenario in scenarios:
        shown = None
        for index, step in enumerate(scenario["steps"]):
            body = step["response"].get("body")
            if not isinstance(body, dict):
                continue
            if body.get("kind") in PLURALS and step["response"]["code"] < 300:
                shown = body
            elif body.get("kind") == "Table" and len(body["rows"]) == 1 and _is_of(step["path"], shown):
                yield pytest.param(_filled(shown), body, id=f"{scenario['name']}-{index}")


CASES = list(_tables())


def test_the_recording_has_tables() -> None:
    assert len(CASES) >= 20


@pytest.mark.parametrize(("document", "table"), CASES)
def test_a_row_has_the_recorded_columns_and_cells(document: dict[str, Any], table: dict[str, Any]) -> None:
    obj = SCHEME.decode(document)
    printer = table_of(obj.resource_info)
    columns = [(column.name, column.type, column.format, column.priority) for column in printer.columns]
    recorded = table["columnDefinitions"]
    assert columns == [(c["name"], c["type"], c["format"], c["priority"]) for c in recorded]
    names = [column.name for column in printer.columns]
    cells = printer.cells(obj, NOW)
    shown = ["<age>" if n in AGES and c != "<unknown>" else c for n, c in zip(names, cells, strict=True)]
    assert shown == _filled(table["rows"][0]["cells"])
    conditions = [(c.type, c.status, c.reason, c.message) for c in printer.conditions(obj)]
    said = table["rows"][0].get("conditions", [])
    assert conditions == [(c["type"], c["status"], c["reason"], c["message"]) for c in said]
