"""Runs `async def` tests: on asyncio, or on virtual time where a test or module is marked `virtual_time`."""

from __future__ import annotations

import os
from typing import Any

import hypothesis
import pytest

from orchestra.testing.virtual_time import VirtualTimeLoop

# How long an example takes says how busy the machine is, not whether it is right. CI draws the same examples each time.
hypothesis.settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], derandomize="CI" in os.environ
)
hypothesis.settings.load_profile("unhurried")


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    if request.node.get_closest_marker("virtual_time") is not None:
        return "asyncio", {"loop_factory": VirtualTimeLoop}
    return "asyncio", {}
