"""A plane in which only the test writes, and a way to expect refusals."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from orchestra import ControlPlane
from orchestra.errors import OrchestraError

Refused = Callable[[type[OrchestraError]], AbstractAsyncContextManager[Any]]


@pytest.fixture
async def plane() -> AsyncIterator[ControlPlane]:
    """A plane in which nobody but the test writes."""
    async with ControlPlane(nodes=(), controllers=(), network=False) as plane:
        yield plane


@pytest.fixture
def refused(plane: ControlPlane) -> Refused:
    """Expects a refusal of exactly this kind, and that nothing was stored."""

    @asynccontextmanager
    async def expect(kind: type[OrchestraError]) -> AsyncIterator[Any]:
        before = (await plane.store.status()).revision
        with pytest.raises(kind) as caught:
            yield caught
        told = getattr(caught.value, "reason", type(caught.value))
        assert told == getattr(kind, "reason", kind)
        assert (await plane.store.status()).revision == before, "something was stored"

    return expect
