"""Requests to the demonstration's Service: single ones, and a steady flow while something else happens."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import attrs

from orchestra.node import http

REQUEST_SECONDS = 5.0
"""A request that takes longer has failed."""
PAUSE_SECONDS = 0.01
"""Between the requests of one flow."""
FLOWS = 4
"""How many clients send at the same time."""
MAX_FAILURES_KEPT = 10


@attrs.define
class Traffic:
    """What a flow of requests has seen so far."""

    answers: Counter[str] = attrs.field(factory=Counter)
    """How many requests each Pod answered."""
    versions: Counter[str] = attrs.field(factory=Counter)
    failures: list[str] = attrs.field(factory=list)
    failed: int = 0

    @property
    def requests(self) -> int:
        """How many requests have been sent and answered, or have failed."""
        return sum(self.answers.values()) + self.failed


async def ask(host: str, port: int) -> tuple[str, str]:
    """Send one request; return the version and the Pod that answered.

    Raises OSError, or TimeoutError, when there was no proper answer.
    """
    with anyio.fail_after(REQUEST_SECONDS):
        try:
            async with await anyio.connect_tcp(host, port) as stream:
                status, body = await http.get(stream, "/", {"Host": f"{host}:{port}", "Connection": "close"})
        except http.HTTP_ERRORS as error:
            raise OSError(f"{type(error).__name__} {error}".strip()) from error
    if status != 200:
        raise OSError(f"status {status}")
    version, _, pod = body.strip().partition(" ")
    return version, pod


@asynccontextmanager
async def steady(host: str, port: int) -> AsyncIterator[Traffic]:
    """Send requests from several clients, one after the other each, for as long as the context is open."""
    traffic = Traffic()

    async def flow() -> None:
        while True:
            with anyio.CancelScope(shield=True):  # a request is finished, not cut off, when the flow ends
                await _once(host, port, traffic)
            await anyio.sleep(PAUSE_SECONDS)

    async with anyio.create_task_group() as group:
        for _ in range(FLOWS):
            group.start_soon(flow)
        yield traffic
        group.cancel_scope.cancel()


async def _once(host: str, port: int, traffic: Traffic) -> None:
    try:
        version, pod = await ask(host, port)
    except (OSError, TimeoutError) as error:
        traffic.failed += 1
        if len(traffic.failures) < MAX_FAILURES_KEPT:
            traffic.failures.append(f"{type(error).__name__}: {error}")
        return
    traffic.answers[pod] += 1
    traffic.versions[version] += 1
