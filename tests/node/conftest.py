from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .machine import Machine, machine


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Machine]:
    """A server and one node whose containers are processes."""
    async with machine(tmp_path) as running:
        yield running
