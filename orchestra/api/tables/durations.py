"""Spans of time as people read them: `45s`, `3m2s`, `5d1h` (apimachinery `util/duration`, HumanDuration)."""

from __future__ import annotations

from datetime import datetime
from typing import Final

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_YEAR: Final = 365 * _DAY

_RULES: Final = (
    # below this many seconds: unit, its letter, the second unit (0: none), its letter
    (2 * _MINUTE, 1, "s", 0, ""),
    (10 * _MINUTE, _MINUTE, "m", 1, "s"),
    (3 * _HOUR, _MINUTE, "m", 0, ""),
    (8 * _HOUR, _HOUR, "h", _MINUTE, "m"),
    (2 * _DAY, _HOUR, "h", 0, ""),
    (8 * _DAY, _DAY, "d", _HOUR, "h"),
    (2 * _YEAR, _DAY, "d", 0, ""),
    (8 * _YEAR, _YEAR, "y", _DAY, "d"),
    (float("inf"), _YEAR, "y", 0, ""),
)


def human_duration(seconds: float) -> str:
    """Return a span with one or two units, coarser the longer it is; a clock that is a little behind counts as 0s."""
    if seconds <= -2:
        return "<invalid>"
    whole = max(int(seconds), 0)
    for below, unit, letter, second, second_letter in _RULES:
        if whole < below:
            rest = whole % unit // second if second else 0
            return f"{whole // unit}{letter}" + (f"{rest}{second_letter}" if rest else "")
    raise AssertionError("the last rule covers everything")


def human_age(since: datetime | None, now: datetime) -> str:
    """Return how long ago a time was; `<unknown>` for none."""
    return "<unknown>" if since is None else human_duration((now - since).total_seconds())
