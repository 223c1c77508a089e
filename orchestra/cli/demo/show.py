"""How the demonstration is shown: a live list of steps on a terminal, plain lines anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import attrs
from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

_MARKS = {"running": "…", "done": "✓", "failed": "✗"}
_STYLES = {"running": "cyan", "done": "green", "failed": "bold red"}


@attrs.define
class Step:
    """One step: what it is about, how it goes, and what was seen."""

    title: str
    state: str = "running"
    detail: str = ""
    seconds: float = 0.0


class Show:
    """Prints steps as they happen; `live` draws them anew instead of adding lines."""

    def __init__(self, *, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._console = Console(file=self._stream, highlight=False)
        self._live: Live | None = None
        self.steps: list[Step] = []

    @property
    def is_live(self) -> bool:
        """Whether the output is a terminal."""
        return self._console.is_terminal

    @contextmanager
    def open(self) -> Iterator[None]:
        """Draw while the context is open."""
        if not self.is_live:
            yield
            return
        with Live(self._table(), console=self._console, refresh_per_second=8) as live:
            self._live = live
            try:
                yield
            finally:
                live.update(self._table())
                self._live = None

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Show a step; it has failed when the body raises."""
        step = Step(title)
        self.steps.append(step)
        began = time.perf_counter()
        if not self.is_live:
            self._line(f"... {title}")
        self.refresh()
        try:
            yield step
            step.state = "done"
        except BaseException:
            step.state = "failed"
            raise
        finally:
            step.seconds = time.perf_counter() - began
            if not self.is_live:
                word = {"done": "ok ", "failed": "FAILED"}.get(step.state, step.state)
                self._line(f"{word} {title} ({step.seconds:.2f} s){': ' + step.detail if step.detail else ''}")
            self.refresh()

    def tell(self, step: Step, detail: str) -> None:
        """Show what was seen so far in a step."""
        step.detail = detail
        self.refresh()

    def refresh(self) -> None:
        """Draw the steps as they are now."""
        if self._live is not None:
            self._live.update(self._table())

    def summary(self, title: str, rows: list[tuple[str, str]]) -> None:
        """Print figures at the end."""
        self._line("")
        self._line(title)
        width = max((len(name) for name, _ in rows), default=0)
        for name, value in rows:
            self._line(f"  {name:<{width}}  {value}")

    def lines(self, text: str) -> None:
        """Print text as it is."""
        for line in text.splitlines():
            self._line(line)

    def _line(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 1))
        for step in self.steps:
            mark: Text | Spinner = Text(_MARKS[step.state], style=_STYLES[step.state])
            if step.state == "running":
                mark = Spinner("dots", style="cyan")
            seconds = f"{step.seconds:6.2f} s" if step.state != "running" else ""
            table.add_row(mark, step.title, Text(seconds, style="dim"), Text(step.detail, style="dim"))
        return table
