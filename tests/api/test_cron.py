"""Schedules of CronJobs: what a valid one is, how a fault is worded, and when the next time is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.api.cron import ScheduleError, duration_nanos, is_zone_name, load_zone, parse_schedule


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "empty spec string"),
        ("bad", "expected exactly 5 fields, found 1: [bad]"),
        ("* * * * * *", "expected exactly 5 fields, found 6: [* * * * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("* * * * 7", "end of range (7) above maximum (6): 7"),
        ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
        ("*/-2 * * * *", "negative number (-2) not allowed: -2"),
        ("* * * foo *", 'failed to parse int from foo: strconv.Atoi: parsing "foo": invalid syntax'),
        ("@often", "unrecognized descriptor: @often"),
        ("@every x", 'failed to parse duration @every x: time: invalid duration "x"'),
        ("@every 5", 'failed to parse duration @every 5: time: missing unit in duration "5"'),
        ("@every 1d", 'failed to parse duration @every 1d: time: unknown unit "d" in duration "1d"'),
        ("TZ=No/Where 0 0 * * *", "provided bad location No/Where: unknown time zone No/Where"),
    ],
)
def test_a_schedule_that_says_nothing_is_refused_in_words_of_kubernetes(text: str, fault: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        parse_schedule(text)
    assert str(caught.value) == fault


@pytest.mark.parametrize(
    ("text", "after", "due"),
    [
        ("*/5 * * * *", "2026-01-01T00:00:00", "2026-01-01T00:05:00"),
        ("3/20 * * * *", "2026-01-01T00:04:00", "2026-01-01T00:23:00"),
        ("0 0 1 1 *", "2026-01-01T00:00:00", "2027-01-01T00:00:00"),
        ("@hourly", "2026-01-01T00:59:59", "2026-01-01T01:00:00"),
        ("0 0 * FEB Mon-fri", "2026-01-30T00:00:00", "2026-02-02T00:00:00"),
        # Day of month and of week: either, when neither is a star; both, when one is.
        ("0 0 13 * 5", "2026-01-01T00:00:00", "2026-01-02T00:00:00"),
        ("0 0 13 * *", "2026-01-01T00:00:00", "2026-01-13T00:00:00"),
        ("0 0 */2 * 5", "2026-01-01T00:00:00", "2026-01-02T00:00:00"),
        ("@every 90s", "2026-01-01T00:00:00.5", "2026-01-01T00:01:30"),
        ("@every 1ms", "2026-01-01T00:00:00", "2026-01-01T00:00:01"),
    ],
)
def test_the_next_time_is_the_first_one_after(text: str, after: str, due: str) -> None:
    moment = datetime.fromisoformat(after).replace(tzinfo=UTC)
    assert parse_schedule(text).after(moment) == datetime.fromisoformat(due).replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["0 0 30 2 *", ", * * * *"])
def test_a_schedule_of_no_day_is_never_due(text: str) -> None:
    assert parse_schedule(text).after(datetime(2026, 1, 1, tzinfo=UTC)) is None


def test_hours_that_the_clocks_leave_out_do_not_happen_and_repeated_ones_happen_twice() -> None:
    york = ZoneInfo("America/New_York")
    left_out = parse_schedule("30 2 * * *").after(datetime(2026, 3, 8, 0, 0, tzinfo=york), york)
    assert left_out == datetime(2026, 3, 9, 6, 30, tzinfo=UTC)
    schedule = parse_schedule("30 1 * * *")
    first = schedule.after(datetime(2026, 11, 1, 0, 0, tzinfo=york), york)
    assert first == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
    assert schedule.after(first, york) == datetime(2026, 11, 1, 6, 30, tzinfo=UTC)


def test_a_schedule_may_name_its_own_zone() -> None:
    schedule = parse_schedule("CRON_TZ=Asia/Tokyo 0 9 * * *")
    assert schedule.after(datetime(2026, 1, 1, tzinfo=UTC), ZoneInfo("Europe/Paris")) == datetime(
        2026, 1, 2, tzinfo=UTC
    )


_FIELD_VALUES = st.sampled_from(["*", "*/7", "0", "5,6", "1-3", "2/9"])


@settings(max_examples=60, deadline=None)
@given(
    minute=_FIELD_VALUES,
    hour=st.sampled_from(["*", "1", "2,3", "*/4"]),
    week=st.sampled_from(["*", "0", "1-5"]),
    offset=st.integers(0, 400 * 60),
    zone=st.sampled_from(["UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)
def test_the_next_time_is_the_first_minute_whose_local_clock_matches(
    minute: str, hour: str, week: str, offset: int, zone: str
) -> None:
    place = load_zone(zone)
    start = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=offset // 60, minutes=offset % 60)
    minutes, hours, days = (
        _meant(minute, 0, 59),
        _meant(hour, 0, 23),
        _meant(week, 0, 6),
    )
    expected = start + timedelta(minutes=1)
    while True:
        local = expected.astimezone(place)
        if local.minute in minutes and local.hour in hours and (local.weekday() + 1) % 7 in days:
            break
        expected += timedelta(minutes=1)
    assert parse_schedule(f"{minute} {hour} * * {week}").after(start, place) == expected


def _meant(word: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for part in word.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        begin = low if first == "*" else int(first)
        end = high if first == "*" or (step and not last) else int(last or first)
        found |= set(range(begin, end + 1, int(step or 1)))
    return found


@pytest.mark.parametrize(
    ("text", "nanos"),
    [("1h30m", 5400 * 10**9), ("1.5s", 1_500_000_000), ("-2m", -120 * 10**9), ("0", 0), (".5us", 500), ("+3ns", 3)],
)
def test_durations_are_read_as_go_reads_them(text: str, nanos: int) -> None:
    assert duration_nanos(text) == nanos


@pytest.mark.parametrize("text", ["", "-", "1", "1.5", ".s", "s", "1h1", "1x", "9999999999h"])
def test_malformed_durations_are_refused(text: str) -> None:
    with pytest.raises(ScheduleError, match=r"^time: "):
        duration_nanos(text)


def test_zones_are_known_by_name_and_by_case() -> None:
    assert load_zone("UTC") is UTC
    assert is_zone_name("Europe/Paris")
    assert not is_zone_name("Europe/../Paris")
    assert not is_zone_name("-Europe")
    for name in ("europe/paris", "America", "No/Where"):
        with pytest.raises(ScheduleError, match=f"unknown time zone {name}"):
            load_zone(name)
