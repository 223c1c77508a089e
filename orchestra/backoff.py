"""When to try again: exponential backoff as a value."""

from __future__ import annotations

from typing import Protocol

import attrs


class Chance(Protocol):
    """The part of `random.Random` that jitter needs."""

    def random(self) -> float:
        """Return a number from 0 up to, but not including, 1."""
        ...


@attrs.frozen(kw_only=True)
class Backoff:
    """Delays that grow from `initial_seconds` by `factor` up to `max_seconds`.

    `jitter` is the largest fraction that chance adds to a delay: 0.1 means up to ten per cent longer.
    """

    initial_seconds: float = 0.005
    factor: float = 2.0
    max_seconds: float = 1000.0
    jitter: float = 0.0

    def delay_seconds(self, failures: int, chance: Chance | None = None) -> float:
        """Return how long to wait after `failures` failures in a row (1 is the first).

        Without `chance` there is no jitter. Zero or fewer failures need no wait.
        """
        if failures <= 0:
            return 0.0
        # The exponent is bounded: beyond it any factor above 1 has long reached the maximum.
        delay = min(self.initial_seconds * self.factor ** min(failures - 1, 64), self.max_seconds)
        if chance is not None and self.jitter:
            delay += delay * self.jitter * chance.random()
        return delay
