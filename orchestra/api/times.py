"""Times as Kubernetes writes and reads them: metav1.Time and metav1.MicroTime, both RFC 3339.

Refusals are worded as Go's time.Parse words them, because clients and tests show these words.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)", re.ASCII)
_LAYOUT = re.compile(r"2006|01|02|15|04|05|\.000000|Z07:00|[-T:]")
_ELEMENTS = {
    "2006": re.compile(r"\d{4}", re.ASCII),
    "Z07:00": re.compile(r"Z|[+-]\d\d:\d\d", re.ASCII),
    ".000000": re.compile(r"\.\d{6}", re.ASCII),
}
_TWO_DIGITS = re.compile(r"\d\d", re.ASCII)
_FRACTION = re.compile(r"\.\d+", re.ASCII)
_RANGES = {"01": ("month", 1, 12), "15": ("hour", 0, 23), "04": ("minute", 0, 59), "05": ("second", 0, 59)}


@lru_cache(maxsize=4096)
def parse_time(text: str) -> datetime:
    """Return the time that `text` names, in UTC; raises ValueError for what is not RFC 3339."""
    return _parse(text, "2006-01-02T15:04:05Z07:00", micro=False)


@lru_cache(maxsize=4096)
def parse_micro_time(text: str) -> datetime:
    """Return the time that `text` names; raises ValueError unless it is RFC 3339 with six digits of a second."""
    return _parse(text, "2006-01-02T15:04:05.000000Z07:00", micro=True)


@lru_cache(maxsize=4096)
def format_time(value: datetime) -> str:
    """Return a time as metav1.Time writes it: UTC, whole seconds."""
    return value.astimezone(UTC).isoformat(timespec="seconds")[:19] + "Z"


@lru_cache(maxsize=4096)
def format_micro_time(value: datetime) -> str:
    """Return a time as metav1.MicroTime writes it: UTC, six digits of a second."""
    return value.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


def _parse(text: str, layout: str, *, micro: bool) -> datetime:
    match = _RFC3339.fullmatch(text)
    if match is not None and (not micro or len(match[2] or "") == 6):
        zone = "+00:00" if match[3] == "Z" else match[3]
        try:
            return datetime.fromisoformat(f"{match[1]}.{(match[2] or '0')[:6]:0<6}{zone}").astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise ValueError(f'parsing time "{text}"{_complaint(text, layout)}')


def _complaint(text: str, layout: str) -> str:
    rest = text
    for element in _LAYOUT.findall(layout):
        pattern = _ELEMENTS.get(element) or (_TWO_DIGITS if element.isdigit() else re.compile(re.escape(element)))
        match = pattern.match(rest)
        if match is None:
            return f' as "{layout}": cannot parse "{rest}" as "{element}"'
        name, low, high = _RANGES.get(element, ("", 0, 0))
        if name and not low <= int(match[0]) <= high:
            return f": {name} out of range"
        rest = rest[match.end() :]
        if element == "05" and ".000000" not in layout and (fraction := _FRACTION.match(rest)):
            rest = rest[fraction.end() :]
    return f': extra text: "{rest}"' if rest else ": day out of range"
