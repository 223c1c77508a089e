"""Text in which tabs align: a cell is as wide as the widest of those right above and below it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from orchestra.cli.columns import harmless

PADDING: Final = 2
MAX_ANNOTATION: Final = 140
"""The longest annotation that is shown on one line."""

HIDDEN_ANNOTATIONS: Final = frozenset({"kubectl.kubernetes.io/last-applied-configuration"})


class Sheet:
    """Collects lines. Cells end with a tab; what follows the last tab of a line is not aligned."""

    def __init__(self) -> None:
        self._done: list[str] = []
        self._lines: list[str] = []

    def line(self, level: int, text: str = "") -> None:
        """Add a line, indented by two spaces for each level."""
        self._lines += [f"{'  ' * level}{harmless(part)}" for part in text.split("\n")]

    def break_columns(self) -> None:
        """Let what follows be aligned by itself."""
        self._done += align(self._lines)
        self._lines = []

    def labels(self, title: str, labels: Mapping[str, str]) -> None:
        """Add `Labels:  a=1`, one to a line."""
        self.listed(title, [f"{key}={labels[key]}" for key in sorted(labels)])

    def annotations(self, annotations: Mapping[str, str]) -> None:
        """Add annotations, long ones below their keys."""
        shown: list[str] = []
        for key in sorted(annotations):
            value = annotations[key]
            if key in HIDDEN_ANNOTATIONS:
                continue
            if len(key) + len(value) < MAX_ANNOTATION and "\n" not in value:
                shown.append(f"{key}: {value}")
            else:
                shown.append(f"{key}:")
                shown += [f"  {part[:MAX_ANNOTATION]}" for part in value.split("\n")]
        self.listed("Annotations", shown)

    def listed(self, title: str, items: Iterable[str]) -> None:
        """Add a title and its items, one below the other."""
        every = list(items) or ["<none>"]
        self.line(0, f"{title}:\t{every[0]}")
        for item in every[1:]:
            self.line(0, f"\t{item}")

    def table(self, level: int, header: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
        """Add a table with a line under each word of its header."""
        words = list(header)
        self.line(level, "\t".join(words))
        self.line(level, "\t".join("-" * len(word) for word in words))
        for row in rows:
            self.line(level, "\t".join(row))

    def text(self) -> str:
        """Return everything, aligned."""
        self.break_columns()
        return "".join(f"{line.rstrip()}\n" for line in self._done)


def align(lines: Iterable[str]) -> list[str]:
    """Return lines with their tabs replaced by spaces."""
    rows = [line.split("\t") for line in lines]
    for column in range(max((len(row) for row in rows), default=1) - 1):
        start = 0
        while start < len(rows):
            end = start
            while end < len(rows) and len(rows[end]) > column + 1:
                end += 1
            width = max((len(row[column]) for row in rows[start:end]), default=0) + PADDING
            for row in rows[start:end]:
                row[column] = row[column].ljust(width)
            start = end + 1
    return ["".join(row) for row in rows]


def long_time(value: datetime | None) -> str:
    """Return a time as `Sun, 22 Nov 2026 18:26:23 +0000`."""
    return "<unset>" if value is None else value.strftime("%a, %d %b %Y %H:%M:%S %z")


def yes(value: object) -> str:
    """Return a truth as people read it here: True or False."""
    return "True" if value else "False"
