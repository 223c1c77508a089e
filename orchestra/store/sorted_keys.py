"""An ordered set of keys, as a list of short sorted blocks: finding a place is O(log n), adding O(block size).

A single sorted list would move half of its memory for each key added; blocks bound that, and slices of them are
taken at the speed of list copies.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from typing import Final

BLOCK_KEYS: Final = 512
"""Keys in a freshly made block; one that grows to twice this is split."""


class SortedKeys:
    """Ordered set of `bytes`; callers never add a key twice and only remove keys that are there."""

    __slots__ = ("_blocks", "_lasts", "_length")

    def __init__(self, keys: Iterable[bytes] = ()) -> None:
        ordered = sorted(keys)
        self._blocks = [ordered[i : i + BLOCK_KEYS] for i in range(0, len(ordered), BLOCK_KEYS)]
        self._lasts = [block[-1] for block in self._blocks]
        """The last key of each block, to find the block of a key."""
        self._length = len(ordered)

    def __len__(self) -> int:
        return self._length

    def add(self, key: bytes) -> None:
        """Put in a key that is not there yet."""
        self._length += 1
        lasts = self._lasts
        place = bisect_left(lasts, key)
        if place == len(lasts):
            if not lasts:
                self._blocks.append([key])
                lasts.append(key)
                return
            place -= 1
            block = self._blocks[place]
            block.append(key)
            lasts[place] = key
        else:
            block = self._blocks[place]
            insort(block, key)
        if len(block) >= 2 * BLOCK_KEYS:
            self._blocks.insert(place + 1, block[BLOCK_KEYS:])
            del block[BLOCK_KEYS:]
            lasts.insert(place, block[-1])

    def remove(self, key: bytes) -> None:
        """Take out a key that is there."""
        self._length -= 1
        place = bisect_left(self._lasts, key)
        block = self._blocks[place]
        del block[bisect_left(block, key)]
        if block:
            self._lasts[place] = block[-1]
        else:
            del self._blocks[place], self._lasts[place]

    def chunks(self, low: bytes, high: bytes | None) -> Iterator[list[bytes]]:
        """Yield the keys from `low` up to and without `high` (None: to the end), in order, as lists.

        The set must not change while this is being iterated.
        """
        place = bisect_left(self._lasts, low)
        blocks = self._blocks
        while place < len(blocks):
            block = blocks[place]
            start = bisect_left(block, low) if block[0] < low else 0
            if high is not None and block[-1] >= high:
                stop = bisect_left(block, high)
                if start < stop:
                    yield block[start:stop]
                return
            yield block[start:] if start else block
            place += 1

    def count(self, low: bytes, high: bytes | None) -> int:
        """Return how many keys there are from `low` up to and without `high`; looks at no block but the outer two."""
        first, place = self._place(low)
        last, end = (len(self._blocks), 0) if high is None else self._place(high)
        if high is not None and high <= low:
            return 0
        return sum(len(block) for block in self._blocks[first:last]) - place + end

    def _place(self, key: bytes) -> tuple[int, int]:
        """Return the block that `key` is or would be in, and how many keys of that block come before it."""
        block = bisect_left(self._lasts, key)
        return block, bisect_left(self._blocks[block], key) if block < len(self._blocks) else 0
