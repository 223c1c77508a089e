"""Who leads: a pure decision over a Lease, after client-go's leaderelection.

Candidates never compare their clocks with the leader's: what counts is how long a candidate itself has seen the Lease
unchanged. A Lease that nobody renewed for its duration may be taken. Being leader ends on the leader's own clock
`renew_deadline_seconds` after the last successful renewal, which is earlier than anybody else can take over; and
because a process can be paused past that, each term also begins with a fence that makes older terms' writes fail.
"""

from __future__ import annotations

from datetime import datetime

import attrs

from orchestra.api.coordination import Lease, LeaseSpec
from orchestra.api.object import MicroTime, ObjectMeta
from orchestra.errors import ConfigurationError


@attrs.frozen(kw_only=True)
class Terms:
    """The times of an election, in seconds; the defaults are those of the Kubernetes components."""

    lease_seconds: float = 15.0
    renew_deadline_seconds: float = 10.0
    retry_seconds: float = 2.0

    def __attrs_post_init__(self) -> None:
        if not 0 < self.retry_seconds < self.renew_deadline_seconds < self.lease_seconds:
            raise ConfigurationError("an election needs 0 < retry < renew deadline < lease")


@attrs.frozen
class Write:
    """Write this Lease: `create` when there is none. `transition` says that a new term begins."""

    lease: Lease
    create: bool = False
    transition: bool = False


@attrs.frozen
class Wait:
    """Somebody else leads; look again after `seconds`."""

    seconds: float
    holder: str


Decision = Write | Wait


class Candidate:
    """What one process knows of the Lease it competes for."""

    def __init__(self, namespace: str, name: str, identity: str, terms: Terms) -> None:
        self.identity = identity
        self._meta = ObjectMeta(namespace=namespace, name=name)
        self._terms = terms
        self._seen: LeaseSpec | None = None
        self._seen_at = 0.0

    def decide(self, lease: Lease | None, monotonic: float, now: datetime) -> Decision:
        """Say what to do about the newest state of the Lease; None when there is none."""
        terms = self._terms
        renewed = MicroTime(now)
        if lease is None:
            return Write(self._lease(None, renewed, renewed, 0), create=True, transition=True)
        spec = lease.spec
        if spec != self._seen:
            self._seen, self._seen_at = spec, monotonic
        if spec.holder_identity == self.identity:
            return Write(self._lease(lease, spec.acquire_time or renewed, renewed, spec.lease_transitions or 0))
        expires = self._seen_at + float(spec.lease_duration_seconds or terms.lease_seconds)
        if spec.holder_identity and monotonic < expires:
            return Wait(min(terms.retry_seconds, expires - monotonic), spec.holder_identity)
        transitions = (spec.lease_transitions or 0) + 1
        return Write(self._lease(lease, renewed, renewed, transitions), transition=True)

    def release(self, lease: Lease, now: datetime) -> Lease:
        """Return the Lease as a leader leaves it that stops: held by nobody, free to be taken at once."""
        renewed = MicroTime(now)
        transitions = lease.spec.lease_transitions
        spec = LeaseSpec(
            holder_identity="",
            lease_duration_seconds=1,
            acquire_time=renewed,
            renew_time=renewed,
            lease_transitions=transitions,
        )
        return attrs.evolve(lease, spec=spec)

    def _lease(self, lease: Lease | None, acquired: MicroTime, renewed: MicroTime, transitions: int) -> Lease:
        spec = LeaseSpec(
            holder_identity=self.identity,
            lease_duration_seconds=max(1, round(self._terms.lease_seconds)),
            acquire_time=acquired,
            renew_time=renewed,
            lease_transitions=transitions,
        )
        return attrs.evolve(lease, spec=spec) if lease is not None else Lease(metadata=self._meta, spec=spec)


class Term:
    """How long a leader may call itself one, on its own clock."""

    def __init__(self, terms: Terms, monotonic: float) -> None:
        self._terms = terms
        self._renewed_at = monotonic

    def renewed(self, began_at: float) -> None:
        """Take note of a renewal; it counts from when it was begun, not from when its answer came."""
        self._renewed_at = began_at

    def ends_at(self) -> float:
        """Return when the term is over unless it is renewed."""
        return self._renewed_at + self._terms.renew_deadline_seconds
