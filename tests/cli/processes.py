"""`orchestra` in processes of its own: commands that end, and ones that go on until they are stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TIMEOUT = 60


class Commands:
    """Runs commands in one folder, which is the home of their user."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder / "run")}
        for name in ("ORCHESTRA_SERVER", "ORCHESTRA_STORE_PASSWORD"):
            self.environment.pop(name, None)

    def __call__(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "orchestra.cli.main", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=self.environment,
            timeout=TIMEOUT,
            check=False,
        )

    def output(self, *arguments: str, stdin: str = "") -> str:
        """Run a command that must succeed without complaints; return what it printed."""
        done = self(*arguments, stdin=stdin)
        assert (done.returncode, done.stderr) == (0, ""), (arguments, done)
        return done.stdout

    @contextmanager
    def running(self, *arguments: str) -> Iterator[Running]:
        """Keep a command running, which says first that it is ready; stop it in the end as Ctrl-C does."""
        process = subprocess.Popen(
            [sys.executable, "-m", "orchestra.cli.main", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=self.environment,
        )
        running = Running(process)
        try:
            yield running
        finally:
            running.stop()


class Running:
    """A command that goes on."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.status: int | None = None
        self.out = self.err = ""
        assert process.stdout is not None
        self.first = process.stdout.readline()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop it; return its exit status."""
        if self.status is None:
            if self.process.poll() is None:
                self.process.send_signal(number)
            try:
                self.out, self.err = self.process.communicate(timeout=TIMEOUT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.communicate()
                raise
            self.status = self.process.returncode
        return self.status
