"""A plane in virtual time, and a terminal whose output a test reads."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from orchestra.cli.terminal import Terminal
from orchestra.cli.verb import guarded
from orchestra.testing import PlaneHarness

WEB = """
apiVersion: v1
kind: ConfigMap
metadata: {name: web}
data: {key: value}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - {name: web, image: "web:1", ports: [{containerPort: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80}]
"""


class Shell:
    """Runs commands on a plane, and keeps what they print."""

    def __init__(self, harness: PlaneHarness, folder: Path) -> None:
        self.harness = harness
        self.client = harness.client
        self.folder = folder
        self.out = ""
        self.err = ""

    async def __call__(self, run: Any, options: Any, stdin: str = "") -> int:
        """Run a command; return its exit status."""
        terminal = Terminal(
            stdout=io.StringIO(),
            stderr=io.StringIO(),
            stdin=io.StringIO(stdin),
            clock=self.harness.clock,
            server="unix:test",
        )
        try:
            return await guarded(lambda: run(self.client, options, terminal), terminal)
        finally:
            self.out, self.err = terminal.stdout.getvalue(), terminal.stderr.getvalue()  # type: ignore[attr-defined]

    async def apply(self, text: str, **options: Any) -> int:
        """Apply a text."""
        from orchestra.cli.commands.apply import ApplyOptions, run

        return await self(run, ApplyOptions(filename=("-",), **options), text)

    async def get(self, *words: str, **options: Any) -> int:
        """Get objects."""
        from orchestra.cli.commands.get import GetOptions, run

        return await self(run, GetOptions(resources=words, **options))

    def file(self, name: str, text: str) -> str:
        """Write a file, and return its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    @property
    def rows(self) -> list[list[str]]:
        """The words of each printed line."""
        return [line.split() for line in self.out.splitlines()]


@attrs.frozen
class Manifests:
    """Manifests that several tests apply."""

    web: str = WEB


@pytest.fixture
def manifests() -> Manifests:
    return Manifests()


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    async with PlaneHarness(nodes=1) as harness:
        yield Shell(harness, tmp_path)
