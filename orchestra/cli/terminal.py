"""Where commands write and what time it is for them: handed to each command, so that tests can read along."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TextIO

import attrs

from orchestra.clock import Clock, SystemClock


@attrs.frozen(kw_only=True)
class Terminal:
    """The streams and the clock of one command. `server` is the address that it talks to, for messages."""

    stdout: TextIO = attrs.field(factory=lambda: sys.stdout)
    stderr: TextIO = attrs.field(factory=lambda: sys.stderr)
    stdin: TextIO = attrs.field(factory=lambda: sys.stdin)
    clock: Clock = attrs.field(factory=SystemClock)
    server: str = ""

    def now(self) -> datetime:
        """Return the present time."""
        return self.clock.now()

    def say(self, text: str = "") -> None:
        """Write a line."""
        self.stdout.write(f"{text}\n")

    def write(self, text: str) -> None:
        """Write text as it is."""
        self.stdout.write(text)

    def flush(self) -> None:
        """Let readers see what was written so far."""
        self.stdout.flush()

    def warn(self, text: str) -> None:
        """Write a line to standard error, as it is."""
        self.stderr.write(f"{text}\n")

    def warning(self, text: str) -> None:
        """Tell of a warning of the server."""
        self.warn(f"Warning: {text}")

    def fail(self, error: BaseException) -> int:
        """Tell of an error, and return the exit status."""
        from orchestra.cli.failures import describe_error

        self.stdout.flush()
        self.warn(describe_error(error, server=self.server))
        return 1
