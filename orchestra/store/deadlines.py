"""When leases end. Pure: the time comes in as an argument, in seconds of a clock that never goes back."""

from __future__ import annotations

from heapq import heappop, heappush


class Deadlines:
    """Deadline of each lease, and which is next."""

    __slots__ = ("_by_id", "_heap")

    def __init__(self) -> None:
        self._by_id: dict[int, float] = {}
        self._heap: list[tuple[float, int]] = []
        """Also holds deadlines that were moved since; they are dropped when they come up."""

    def set(self, lease_id: int, deadline: float) -> None:
        """Give a lease a deadline, instead of the one it had."""
        self._by_id[lease_id] = deadline
        heappush(self._heap, (deadline, lease_id))
        if len(self._heap) > 64 + 2 * len(self._by_id):
            # Many renewals: without this the heap would grow with each.
            self._heap = sorted((at, lease) for lease, at in self._by_id.items())

    def drop(self, lease_id: int) -> None:
        """Forget a lease."""
        self._by_id.pop(lease_id, None)

    def remaining_seconds(self, lease_id: int, now: float) -> float:
        """Return the time left, 0 when it is over or the lease has no deadline."""
        return max(self._by_id.get(lease_id, now) - now, 0.0)

    def next(self) -> float | None:
        """Return the earliest deadline."""
        heap = self._heap
        while heap and self._by_id.get(heap[0][1]) != heap[0][0]:
            heappop(heap)
        return heap[0][0] if heap else None

    def take_over(self, now: float) -> list[int]:
        """Take out the leases whose time is over and return them, earliest first."""
        over: list[int] = []
        while (deadline := self.next()) is not None and deadline <= now:
            lease_id = self._heap[0][1]
            del self._by_id[lease_id]
            over.append(lease_id)
        return over
