from __future__ import annotations

import pytest
from structlog.testing import capture_logs

import orchestra
from orchestra import _log


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_log, "_enabled", False)


def test_a_program_that_imports_orchestra_hears_nothing_by_default(silent: None) -> None:
    with capture_logs() as entries:
        _log.get_logger("scheduler").info("pod bound", pod="default/a")
    assert entries == []


def test_entries_are_a_constant_event_with_keys_and_their_component(silent: None) -> None:
    orchestra.enable_logging()
    with capture_logs() as entries:
        _log.get_logger("scheduler").bind(pod="default/a").warning("pod not bound", node="n")
    assert entries == [
        {"component": "scheduler", "pod": "default/a", "node": "n", "event": "pod not bound", "log_level": "warning"}
    ]
