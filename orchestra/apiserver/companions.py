"""What some kinds write along with their objects, in the same txn: reservations of addresses, leases that end them."""

from __future__ import annotations

from typing import Protocol

import attrs

from orchestra.apiserver.interface import Document


@attrs.frozen
class Plan:
    """A document to store, the keys to make with it (refused when one exists) and the keys to remove with it."""

    document: Document
    reserve: tuple[tuple[bytes, bytes], ...] = ()
    release: tuple[bytes, ...] = ()
    lease: int = 0
    """The store's lease that the object's key is attached to; it goes when the lease ends."""


class Companion(Protocol):
    """Plans the further writes of one kind."""

    async def prepare(self) -> None:
        """Do what must wait before `plan` can be called, which must not."""
        ...

    def plan(self, new: Document | None, old: Document | None, taken: frozenset[bytes]) -> Plan:
        """Return what to write; `new` None means that the object goes, `old` None that it is created.

        `taken` are keys that existed against expectation the last time. Raises `Invalid` when what the object asks for
        is not to be had.
        """
        ...
