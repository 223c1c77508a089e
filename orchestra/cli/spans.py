"""Spans of time as people type them: `30s`, `5m`, `1h30m` (Go's time.ParseDuration)."""

from __future__ import annotations

import re
from typing import Final

from orchestra.cli.failures import CommandError

_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")
_WHOLE = re.compile(rf"[+-]?(?:0|(?:{_PART.pattern})+)")

FOREVER: Final = 7 * 24 * 3600.0
"""What a negative timeout means: a week."""


def parse_span(text: str, option: str) -> float:
    """Return seconds; raises CommandError naming the option when `text` is no span."""
    if not _WHOLE.fullmatch(text):
        why = f'missing unit in duration "{text}"' if text.isdigit() else f'invalid duration "{text}"'
        raise CommandError(f'invalid argument "{text}" for "--{option}" flag: time: {why}')
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    return -seconds if text.startswith("-") else seconds
