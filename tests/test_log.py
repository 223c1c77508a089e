from __future__ import annotations

import pytest
from structlog.testing import capture_logs

import orchestra
from orchestra import _log


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_log, "_level", 100)
    monkeypatch.setattr(_log, "_configure", None)


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


def test_structlog_is_configured_before_the_first_entry_that_is_worth_writing(silent: None) -> None:
    configured: list[str] = []
    orchestra.enable_logging(level=_log.WARNING, configure=lambda: configured.append("once"))
    scheduler = _log.get_logger("scheduler")
    with capture_logs() as entries:
        scheduler.info("pod bound")
        assert configured == []
        scheduler.warning("pod not bound")
        scheduler.bind(node="n").error("pod lost")
    assert configured == ["once"]
    assert [entry["event"] for entry in entries] == ["pod not bound", "pod lost"]
