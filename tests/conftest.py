"""Runs `async def` tests: on asyncio, or on virtual time where a test or module is marked `virtual_time`."""

from __future__ import annotations

from typing import Any

import pytest

from orchestra.testing.virtual_time import VirtualTimeLoop


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    if request.node.get_closest_marker("virtual_time") is not None:
        return "asyncio", {"loop_factory": VirtualTimeLoop}
    return "asyncio", {}
