"""A scheduler on a real API server, for tests under virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio

from orchestra.api.builders import meta
from orchestra.api.core.event import Event
from orchestra.api.core.pod import Pod
from orchestra.api.scheduling import PriorityClass
from orchestra.apiserver import APIServer
from orchestra.client.interface import Client
from orchestra.controller import EventRecorder, SharedInformers, Surroundings
from orchestra.scheduler import Scheduler
from orchestra.testing import VirtualClock


class Faulty:
    """A client whose `bind` does what a test wants first; everything else passes through."""

    def __init__(self, client: Client, bind: Callable[..., Awaitable[int]]) -> None:
        self._client = client
        self._bind = bind

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def bind(self, pod: str, node: str, *, namespace: str = "default", uid: str = "") -> int:
        return await self._bind(pod, node, namespace=namespace, uid=uid)


@asynccontextmanager
async def scheduling(
    server: APIServer, scheduler: Scheduler | None = None, client: Any = None
) -> AsyncIterator[SharedInformers]:
    clock = VirtualClock(seed=1)
    informers, recorder = SharedInformers(server, clock=clock), EventRecorder(server, clock=clock)
    surroundings = Surroundings(client=client or server, informers=informers, clock=clock, recorder=recorder)
    run = partial((scheduler or Scheduler()).run, surroundings)
    async with anyio.create_task_group() as tasks:
        await tasks.start(informers.run)
        await tasks.start(recorder.run)
        await tasks.start(run)
        yield informers
        tasks.cancel_scope.cancel()


def priority_class(value: int) -> PriorityClass:
    return PriorityClass(metadata=meta(f"p{value}"), value=value)


async def create(server: APIServer, *objects: Any) -> None:
    for item in objects:
        await server.create(item)


async def nodes_of(server: APIServer) -> dict[str, str]:
    return {item.metadata.name: item.spec.node_name or "" for item in (await server.list(Pod)).items}


async def events_about(server: APIServer, name: str) -> list[tuple[str, str]]:
    found: Iterable[Event] = (await server.list(Event)).items
    return [(e.reason or "", e.message or "") for e in found if e.involved_object.name == name]
