"""Text in columns, as kubectl lays it out: left-aligned, three spaces between, nothing after the last cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

PADDING: Final = 3
MIN_WIDTH: Final = 6
"""The narrowest that a column is drawn, its padding included."""


class Columns:
    """Lays rows out; columns only grow, so rows that come later stay in line with those before them."""

    def __init__(self, *, padding: int = PADDING, min_width: int = MIN_WIDTH) -> None:
        self._padding = padding
        self._min_width = min_width
        self._widths: list[int] = []

    def lines(self, rows: Iterable[Sequence[str]]) -> list[str]:
        """Return one line for each row."""
        shown = [[_one_line(cell) for cell in row] for row in rows]
        for row in shown:
            self._widths += [self._min_width] * (len(row) - len(self._widths))
            for index, cell in enumerate(row[:-1]):
                self._widths[index] = max(self._widths[index], len(cell) + self._padding)
        return [
            "".join(f"{cell:<{width}}" for cell, width in zip(row[:-1], self._widths, strict=False)) + row[-1]
            for row in shown
            if row
        ]


def _one_line(text: str) -> str:
    """Return text without what would break the layout or steer a terminal."""
    if "\n" in text or "\r" in text:
        text = text.replace("\r", "").replace("\n", "\\n")
    return harmless(text)


def harmless(text: str) -> str:
    """Return text with its control characters, tabs apart, written as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\t" else repr(c)[1:-1] for c in text)
