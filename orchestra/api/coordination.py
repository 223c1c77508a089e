"""Leases: who holds what, and whether they are alive: coordination.k8s.io/v1."""

from __future__ import annotations

from attrs import frozen

from orchestra.api import builtin
from orchestra.api.object import MicroTime, Object, Struct, declared, freeze_fields, int32, resource


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class LeaseSpec(Struct):
    """Who holds a lease and when it was last renewed."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = int32()
    acquire_time: MicroTime | None = None
    renew_time: MicroTime | None = None
    lease_transitions: int | None = int32()
    strategy: str | None = declared(go="v1.CoordinatedLeaseStrategy")
    preferred_holder: str | None = None


@resource(builtin.LEASE)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class Lease(Object):
    """A sign of life, or a lock that lapses."""

    spec: LeaseSpec = LeaseSpec()
