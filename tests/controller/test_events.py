"""Which Events are written and as what: client-go's rules, and the recorder over the real server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

from orchestra.api.core import ConfigMap, Event
from orchestra.api.object import ObjectMeta
from orchestra.apiserver import APIServer
from orchestra.controller import EventRecorder
from orchestra.controller.correlator import COMBINED, SPAM_BURST, Correlator, Occurrence, Subject
from orchestra.controller.recorder import MAX_PENDING
from orchestra.testing import VirtualClock

SUBJECT = Subject("v1", "ConfigMap", "default", "a", "uid-a")


def occurrence(message: str, at: float = 1000.0, subject: Subject = SUBJECT, reason: str = "R") -> Occurrence:
    return Occurrence("test", "", subject, "Normal", reason, message, at)


def test_the_same_again_is_counted_in_the_same_series() -> None:
    correlator = Correlator()
    first, second = (correlator.judge(occurrence("m", at)) for at in (1000.0, 1001.0))
    assert first.series == second.series
    assert not second.dropped


def test_the_tenth_different_message_and_those_after_it_are_combined() -> None:
    correlator = Correlator()
    verdicts = [correlator.judge(occurrence(f"m{number}")) for number in range(12)]
    assert [verdict.message for verdict in verdicts[:9]] == [f"m{number}" for number in range(9)]
    assert [verdict.message for verdict in verdicts[9:]] == [f"{COMBINED}m{number}" for number in (9, 10, 11)]
    assert len({verdict.series for verdict in verdicts}) == 10
    assert correlator.judge(occurrence("m3")).message == "m3"


def test_after_ten_quiet_minutes_messages_stand_alone_again() -> None:
    correlator = Correlator()
    for number in range(12):
        correlator.judge(occurrence(f"m{number}"))
    assert correlator.judge(occurrence("new", at=1000.0 + 601)).message == "new"


def test_a_source_may_say_25_things_of_an_object_and_then_one_in_five_minutes() -> None:
    correlator = Correlator()
    verdicts = [correlator.judge(occurrence("m", reason=f"R{number}")) for number in range(30)]
    assert [verdict.dropped for verdict in verdicts] == [False] * SPAM_BURST + [True] * 5
    assert not correlator.judge(occurrence("m", at=1300.0, reason="late")).dropped
    assert correlator.judge(occurrence("m", at=1301.0, reason="later")).dropped
    other = SUBJECT._replace(name="b", uid="uid-b")
    assert not correlator.judge(occurrence("m", subject=other)).dropped


@pytest.fixture
async def recorder(server: APIServer) -> AsyncIterator[EventRecorder]:
    recorder = EventRecorder(server, clock=VirtualClock())
    async with anyio.create_task_group() as tasks:
        await tasks.start(recorder.run)
        yield recorder
        tasks.cancel_scope.cancel()


async def stored(server: APIServer) -> list[Event]:
    return list((await server.list(Event)).items)


@pytest.mark.virtual_time
async def test_an_event_has_the_fields_that_kubernetes_writes(server: APIServer, recorder: EventRecorder) -> None:
    obj = await server.create(ConfigMap(metadata=ObjectMeta(name="a", namespace="default")))
    recorder.events("kubelet", "n1").warning(obj, "Failed", "it broke", field_path="spec.x")
    await anyio.sleep(1)
    (event,) = await stored(server)
    prefix, _, suffix = event.metadata.name.partition(".")
    assert (prefix, len(suffix), int(suffix, 16) > 0) == ("a", 16, True)
    assert (event.type, event.reason, event.message, event.count) == ("Warning", "Failed", "it broke", 1)
    assert (event.source.component, event.source.host) == ("kubelet", "n1")
    assert (event.reporting_component, event.reporting_instance) == ("kubelet", "n1")
    about = event.involved_object
    assert (about.api_version, about.kind, about.namespace, about.name) == ("v1", "ConfigMap", "default", "a")
    assert (about.uid, about.resource_version, about.field_path) == (
        obj.metadata.uid,
        obj.metadata.resource_version,
        "spec.x",
    )
    assert event.first_timestamp == event.last_timestamp


@pytest.mark.virtual_time
async def test_repetitions_raise_the_count_and_are_written_now_and_then(
    server: APIServer, recorder: EventRecorder
) -> None:
    obj = await server.create(ConfigMap(metadata=ObjectMeta(name="a", namespace="default")))
    events = recorder.events("test")
    for _ in range(20):
        events.normal(obj, "Again", "and again")
        await anyio.sleep(0.1)
    await anyio.sleep(1)
    (event,) = await stored(server)
    assert event.count == 20
    assert event.last_timestamp is not None
    assert event.first_timestamp is not None
    assert (event.last_timestamp - event.first_timestamp).total_seconds() >= 1
    assert int(event.metadata.resource_version) - int(obj.metadata.resource_version) <= 6


@pytest.mark.virtual_time
async def test_many_events_are_smoothed_and_none_is_lost(server: APIServer, recorder: EventRecorder) -> None:
    events = recorder.events("test")
    for number in range(1000):
        obj = ConfigMap(metadata=ObjectMeta(name=f"c{number}", namespace="default", uid=str(number)))
        events.normal(obj, "Made", "made")
    await anyio.sleep(0.5)
    assert len(await stored(server)) < 300
    await anyio.sleep(2)
    assert len(await stored(server)) == 1000


class BusyClock(VirtualClock):
    """The clock of a process whose tasks hold one another up: each look at it finds more time gone than was slept."""

    late = 0.0

    def monotonic(self) -> float:
        self.late += 0.02
        return super().monotonic() + self.late


@pytest.mark.virtual_time
async def test_a_busy_process_writes_its_events_more_slowly(server: APIServer) -> None:
    recorder = EventRecorder(server, clock=BusyClock())
    async with anyio.create_task_group() as tasks:
        await tasks.start(recorder.run)
        events = recorder.events("test")
        for number in range(1000):
            obj = ConfigMap(metadata=ObjectMeta(name=f"c{number}", namespace="default", uid=str(number)))
            events.normal(obj, "Made", "made")
        await anyio.sleep(5)
        assert 50 <= len(await stored(server)) <= 200
        tasks.cancel_scope.cancel()


@pytest.mark.virtual_time
async def test_more_than_can_wait_is_dropped_and_counted(server: APIServer) -> None:
    recorder = EventRecorder(server, clock=VirtualClock())
    events = recorder.events("test")
    for number in range(MAX_PENDING + 7):
        events.normal(ConfigMap(metadata=ObjectMeta(name=f"c{number}", uid=str(number))), "Made", "made")
    assert recorder.dropped == 7


@pytest.mark.virtual_time
async def test_an_event_for_a_namespace_that_is_gone_is_dropped(server: APIServer, recorder: EventRecorder) -> None:
    recorder.events("test").normal(ConfigMap(metadata=ObjectMeta(name="a", namespace="nowhere")), "R", "m")
    await anyio.sleep(1)
    assert recorder.dropped == 1
    assert recorder.health().ok
