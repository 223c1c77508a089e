"""Leader election: the decision over a Lease, and terms with fences over the real server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import anyio
import pytest

from orchestra.api.coordination import Lease
from orchestra.api.core import ConfigMap
from orchestra.api.object import ObjectMeta
from orchestra.apiserver import APIServer
from orchestra.client.interface import Fence, WriteOptions
from orchestra.controller import Context, Election, Manager, Result, Terms, controller
from orchestra.controller.leader import Candidate, Term, Wait, Write
from orchestra.errors import ConfigurationError, Conflict
from orchestra.testing import VirtualClock

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TERMS = Terms()


def candidate(name: str) -> Candidate:
    return Candidate("kube-system", "lock", name, TERMS)


def taken_by(name: str) -> Lease:
    decision = candidate(name).decide(None, 0.0, NOW)
    assert isinstance(decision, Write)
    return decision.lease


def test_a_lease_that_is_not_there_is_made() -> None:
    decision = candidate("a").decide(None, 0.0, NOW)
    assert isinstance(decision, Write)
    assert decision.create
    assert decision.lease.spec.holder_identity == "a"
    assert decision.lease.spec.lease_duration_seconds == 15
    assert decision.lease.spec.lease_transitions == 0


def test_the_holder_renews_and_keeps_when_it_took_the_lease() -> None:
    decision = candidate("a").decide(taken_by("a"), 5.0, NOW + timedelta(seconds=5))
    assert isinstance(decision, Write)
    assert not decision.transition
    assert decision.lease.spec.acquire_time == NOW
    assert decision.lease.spec.renew_time == NOW + timedelta(seconds=5)


def test_others_wait_until_they_have_seen_it_unchanged_for_its_duration() -> None:
    other, lease = candidate("b"), taken_by("a")
    # The holder's clock is an hour off; that does not matter.
    assert other.decide(lease, 100.0, NOW + timedelta(hours=1)) == Wait(2.0, "a")
    assert isinstance(other.decide(lease, 114.9, NOW), Wait)
    decision = other.decide(lease, 115.0, NOW)
    assert isinstance(decision, Write)
    assert decision.transition
    assert decision.lease.spec.lease_transitions == 1


def test_a_renewal_starts_the_wait_anew() -> None:
    other = candidate("b")
    other.decide(taken_by("a"), 100.0, NOW)
    renewed = candidate("a").decide(taken_by("a"), 0.0, NOW + timedelta(seconds=9))
    assert isinstance(renewed, Write)
    assert isinstance(other.decide(renewed.lease, 109.0, NOW), Wait)
    assert isinstance(other.decide(renewed.lease, 123.0, NOW), Wait)


def test_a_released_lease_is_taken_at_once() -> None:
    released = candidate("a").release(taken_by("a"), NOW)
    assert isinstance(candidate("b").decide(released, 0.0, NOW), Write)


def test_a_term_ends_before_anybody_else_can_lead() -> None:
    term = Term(TERMS, 0.0)
    term.renewed(3.0)
    assert term.ends_at() == 13.0
    assert term.ends_at() < 3.0 + TERMS.lease_seconds


def test_times_that_cannot_work_are_refused() -> None:
    with pytest.raises(ConfigurationError):
        Terms(lease_seconds=10, renew_deadline_seconds=10)


@pytest.mark.virtual_time
async def test_one_leads_and_when_it_stops_another_follows_soon(server: APIServer) -> None:
    clock = VirtualClock()
    log: list[tuple[str, float]] = []

    async def compete(name: str, scope: anyio.CancelScope) -> None:
        election = Election(server, clock=clock, name="lock", identity=name)

        async def lead(fence: Fence) -> None:
            log.append((name, clock.monotonic()))
            await anyio.Event().wait()

        with scope:
            await election.run(lead)

    scopes = {name: anyio.CancelScope() for name in ("a", "b")}
    async with anyio.create_task_group() as tasks:
        for name, scope in scopes.items():
            tasks.start_soon(compete, name, scope)
        await anyio.sleep(60)
        assert len(log) == 1
        first = log[0][0]
        stopped_at = clock.monotonic()
        scopes[first].cancel()
        await anyio.sleep(10)
        assert len(log) == 2
        assert log[1][1] - stopped_at < 1.0
        tasks.cancel_scope.cancel()


@pytest.mark.virtual_time
async def test_the_writes_of_a_term_that_is_over_are_refused(server: APIServer) -> None:
    old = await server.acquire_fence("lock", "a")
    obj = ConfigMap(metadata=ObjectMeta(name="x", namespace="default"))
    await server.create(obj, options=WriteOptions(fence=old))
    await server.acquire_fence("lock", "b")
    changed = ConfigMap(metadata=obj.metadata, data={"written": "late"})
    with pytest.raises(Conflict):
        await server.update(changed, options=WriteOptions(fence=old))


@pytest.mark.virtual_time
async def test_a_leader_that_is_robbed_of_its_fence_notices_and_leads_again(server: APIServer) -> None:
    clock = VirtualClock()
    terms: list[Fence] = []
    election = Election(server, clock=clock, name="lock", identity="a")

    async def lead(fence: Fence) -> None:
        terms.append(fence)
        await anyio.Event().wait()

    async with anyio.create_task_group() as tasks:
        await tasks.start(election.run, lead)
        await anyio.sleep(5)
        assert [fence.name for fence in terms] == ["kube-system.lock"]
        robber = await server.acquire_fence("kube-system.lock", "b")
        await anyio.sleep(30)
        assert len(terms) == 2
        assert terms[1].revision > robber.revision
        assert election.leading
        tasks.cancel_scope.cancel()


@pytest.mark.virtual_time
async def test_controllers_run_only_while_their_manager_leads_and_write_with_its_fence(server: APIServer) -> None:
    clock = VirtualClock()
    seen: list[str] = []

    def make(name: str) -> Manager:
        @controller("stamp", for_=ConfigMap)
        async def stamp(obj: ConfigMap, ctx: Context) -> Result | None:
            seen.append(name)
            return None

        election = Election(server, clock=clock, name="lock", identity=name)
        return Manager(server, clock=clock, controllers=(stamp,), election=election)

    await server.create(ConfigMap(metadata=ObjectMeta(name="x", namespace="default")))
    async with anyio.create_task_group() as tasks:
        for name in ("a", "b"):
            await tasks.start(make(name).run)
        await anyio.sleep(30)
        assert len(set(seen)) == 1
        tasks.cancel_scope.cancel()
