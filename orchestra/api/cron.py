"""When a CronJob is due: its schedule as Kubernetes reads it, and the moments that it names.

A schedule is five fields (minute, hour, day of month, month, day of week), a name such as `@daily`, or `@every 1h30m`.
What a valid one is and how a fault is worded follow the Go library `robfig/cron` v3, which Kubernetes uses; which
moments are meant is calculated by the library `cronsim`. A day is meant when the day of month and the day of week both
match, or, when neither of them is a star, when one of them does. Local times that a change of clocks leaves out do not
happen, and those that it repeats happen twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from fractions import Fraction
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import attrs
from cronsim import CronSim, CronSimError

REMEMBERED_SCHEDULES: Final = 1024

_MONTHS = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1
    )
}
_DAYS = {name: number for number, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
_NAMED: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_UNITS: Final = {
    "ns": 1,
    "us": 10**3,
    "\u00b5s": 10**3,  # both signs for micro are in use
    "\u03bcs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_SECOND: Final = 10**9
_MAX_NANOS: Final = 2**63 - 1
_ZONE_PART = re.compile(r"[A-Za-z.\-_0-9+]{1,14}")


class ScheduleError(ValueError):
    """A schedule, or the name of a time zone, that says nothing; the text is what Kubernetes says of it."""


@attrs.frozen
class _Bounds:
    low: int
    high: int
    names: Mapping[str, int] = attrs.field(factory=dict)


_FIELDS: Final = (_Bounds(0, 59), _Bounds(0, 23), _Bounds(1, 31), _Bounds(1, 12, _MONTHS), _Bounds(0, 6, _DAYS))


@attrs.frozen
class CronSchedule:
    """A schedule: `fields` in the form of five lists of numbers, or `every_seconds`; with neither it is never due.

    `zone` is the one that the schedule itself names (`TZ=Europe/Paris 0 4 * * *`), which only old CronJobs may.
    """

    fields: str = ""
    every_seconds: int = 0
    zone: tzinfo | None = None

    def after(self, moment: datetime, zone: tzinfo = UTC) -> datetime | None:
        """Return the first due time after `moment`, in UTC; None when the schedule names no time at all.

        `zone` is where the schedule's hours are those of the clock on the wall.
        """
        if self.every_seconds:
            return moment.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=self.every_seconds)
        if not self.fields:
            return None
        local = moment.astimezone(self.zone or zone)
        try:
            # With a field for seconds the library takes clocks as they are, and not as Debian's cron does.
            found = next(CronSim(f"0 {self.fields}", local))
        except (CronSimError, StopIteration):
            return None
        return found.astimezone(UTC)


@lru_cache(REMEMBERED_SCHEDULES)
def parse_schedule(text: str) -> CronSchedule:
    """Return the schedule that `text` states; raises ScheduleError."""
    if not text:
        raise ScheduleError("empty spec string")
    zone: tzinfo | None = None
    if text.startswith(("TZ=", "CRON_TZ=")):
        head, _, rest = text.partition(" ")
        name = head.partition("=")[2]
        try:
            zone = load_zone(name)
        except ScheduleError as error:
            raise ScheduleError(f"provided bad location {name}: {error}") from error
        text = rest.strip()
    if text.startswith("@"):
        return attrs.evolve(_described(text), zone=zone)
    words = text.split()
    if len(words) != len(_FIELDS):
        raise ScheduleError(f"expected exactly {len(_FIELDS)} fields, found {len(words)}: [{' '.join(words)}]")
    fields = [_field(word, bounds) for word, bounds in zip(words, _FIELDS, strict=True)]
    # Words such as "," name no value; Kubernetes takes them, and such a schedule never comes due.
    return CronSchedule(" ".join(fields) if all(fields) else "", zone=zone)


def _described(text: str) -> CronSchedule:
    if text in _NAMED:
        return CronSchedule(_NAMED[text])
    if not text.startswith("@every "):
        raise ScheduleError(f"unrecognized descriptor: {text}")
    try:
        nanos = duration_nanos(text.removeprefix("@every "))
    except ScheduleError as error:
        raise ScheduleError(f"failed to parse duration {text}: {error}") from error
    # Less than a second is a second, and parts of seconds do not count.
    return CronSchedule(every_seconds=max(nanos // _SECOND, 1))


def _field(word: str, bounds: _Bounds) -> str:
    """Return one field as a star or as a list of numbers."""
    values: set[int] = set()
    star = False
    for part in filter(None, word.split(",")):
        found, is_star = _range(part, bounds)
        values.update(found)
        star = star or is_star
    return "*" if star else ",".join(map(str, sorted(values)))


def _range(part: str, bounds: _Bounds) -> tuple[range, bool]:
    span, *steps = part.split("/")
    low, *high = span.split("-")
    star = low in ("*", "?")
    if star:
        start, end = bounds.low, bounds.high
    else:
        start = _number(low, bounds.names)
        if len(high) > 1:
            raise ScheduleError(f"too many hyphens: {part}")
        end = _number(high[0], bounds.names) if high else start
    step = 1
    if len(steps) > 1:
        raise ScheduleError(f"too many slashes: {part}")
    if steps:
        step = _number(steps[0], {})
        if not high and not star:  # "5/15" goes on to the end
            end = bounds.high
    if start < bounds.low:
        raise ScheduleError(f"beginning of range ({start}) below minimum ({bounds.low}): {part}")
    if end > bounds.high:
        raise ScheduleError(f"end of range ({end}) above maximum ({bounds.high}): {part}")
    if start > end:
        raise ScheduleError(f"beginning of range ({start}) beyond end of range ({end}): {part}")
    if step == 0:
        raise ScheduleError(f"step of range should be a positive number: {part}")
    return range(start, end + 1, step), star and step == 1


def _number(text: str, names: Mapping[str, int]) -> int:
    known = names.get(text.lower())
    if known is not None:
        return known
    if not re.fullmatch("[+-]?[0-9]+", text):
        shown = text.replace("\\", "\\\\").replace('"', '\\"')
        raise ScheduleError(f'failed to parse int from {text}: strconv.Atoi: parsing "{shown}": invalid syntax')
    value = int(text)
    if not -(2**63) <= value < 2**63:
        raise ScheduleError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": value out of range')
    if value < 0:
        raise ScheduleError(f"negative number ({value}) not allowed: {text}")
    return value


def duration_nanos(text: str) -> int:
    """Return a Go duration such as `1h30m` or `1.5s` in nanoseconds; raises ScheduleError, worded as Go words it."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    shown = f'"{text}"'
    if not rest:
        raise ScheduleError(f"time: invalid duration {shown}")
    total = Fraction(0)
    while rest:
        found = re.match(r"([0-9]*)(\.[0-9]*)?([^0-9.]*)", rest)
        if found is None or not (found[1] or (found[2] or "").strip(".")):
            raise ScheduleError(f"time: invalid duration {shown}")
        unit = found[3]
        if not unit:
            raise ScheduleError(f"time: missing unit in duration {shown}")
        if unit not in _UNITS:
            raise ScheduleError(f'time: unknown unit "{unit}" in duration {shown}')
        total += int(Fraction(f"{found[1] or '0'}.{(found[2] or '.').removeprefix('.') or '0'}") * _UNITS[unit])
        if total > _MAX_NANOS:
            raise ScheduleError(f"time: invalid duration {shown}")
        rest = rest[found.end() :]
    return sign * int(total)


def is_zone_name(name: str) -> bool:
    """Say whether a text has the form of a time zone's name."""
    parts = name.split("/")
    return all(p not in (".", "..") and not p.startswith("-") and _ZONE_PART.fullmatch(p) for p in parts)


@lru_cache(REMEMBERED_SCHEDULES)
def load_zone(name: str) -> tzinfo:
    """Return a time zone by its name; raises ScheduleError when there is none."""
    if name in ("", "UTC"):
        return UTC
    if name == "Local":
        return UTC  # servers run in UTC: what is due does not depend on where the server stands
    if ".." in name or name.startswith(("/", "\\")):
        raise ScheduleError("time: invalid location name")
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError) as error:
        raise ScheduleError(f"unknown time zone {name}") from error
