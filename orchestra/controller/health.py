"""How a part is doing, as a value."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class Health:
    """One part and what is wrong with it; no problem means healthy."""

    part: str
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problem
