"""Which rows of the node table changed since somebody last looked."""

from __future__ import annotations

from typing import Final, NamedTuple

MAX_ENTRIES: Final = 16_384
"""Changes that are remembered; the older half goes, and whoever last looked before it recomputes everything."""


class Changes(NamedTuple):
    """What changed since a position of the journal. `everything` means: forget what you know.

    `pod_rows` has every row that changed, `node_rows` those where the node itself did.
    """

    position: int
    everything: bool = False
    pod_rows: tuple[int, ...] = ()
    node_rows: tuple[int, ...] = ()


class Journal:
    """Rows in the order in which they changed; a position is how many entries there have ever been."""

    __slots__ = ("_entries", "_node_at", "_reset_at", "_start", "position")

    def __init__(self) -> None:
        self.position = 0
        self._entries: list[int] = []
        self._start = 0
        self._node_at = 0
        """Where the journal stood after a node last changed."""
        self._reset_at = 0

    def since(self, position: int) -> Changes:
        """Return what changed after `position`."""
        if position < self._start or position < self._reset_at:
            return Changes(self.position, everything=True)
        entries = self._entries[position - self._start :]
        rows = tuple({entry >> 1: None for entry in entries})
        if position >= self._node_at:
            return Changes(self.position, False, rows)
        return Changes(self.position, False, rows, tuple({entry >> 1: None for entry in entries if entry & 1}))

    def note(self, row: int, *, node: bool) -> None:
        """Write down that a row changed: the node itself, or only the Pods on it."""
        self._entries.append(row << 1 | node)
        self.position += 1
        if node:
            self._node_at = self.position
        if len(self._entries) > MAX_ENTRIES:
            half = MAX_ENTRIES // 2
            del self._entries[:half]
            self._start += half

    def note_everything(self) -> None:
        """Write down that nothing is as it was."""
        self.note(0, node=True)
        self._reset_at = self.position
