"""A server and a node with a `ProcessRuntime`, for tests with real processes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from orchestra.api.core import Container, Event, Pod, PodSpec
from orchestra.api.object import ObjectMeta
from orchestra.apiserver import APIServer
from orchestra.client.interface import LogOptions
from orchestra.clock import SystemClock
from orchestra.controller import EventRecorder, SharedInformers, Surroundings
from orchestra.cri import ProcessRuntime, remove_all
from orchestra.node import NodeAgent
from orchestra.store import MemoryStore

NODE = "node-p"
FOR_EVER = ("/bin/sleep", "600")
LISTEN = (
    "import socket, sys, signal; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); s = socket.socket();"
    "s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(('127.0.0.1', int(sys.argv[1]))); s.listen();"
)


def sh(text: str, name: str = "c", **fields: Any) -> Container:
    """A container that runs a shell program."""
    return Container(name=name, image="example.test/sh:1", command=("/bin/sh", "-c", text), **fields)


def sleeper(name: str = "c", **fields: Any) -> Container:
    """A container that runs until it is stopped, and then ends well."""
    return sh("trap 'exit 0' TERM; sleep 600 & wait", name, **fields)


def pod(*containers: Container, name: str = "p", **spec: Any) -> Pod:
    """A Pod on the node, with a grace period that tests can wait for."""
    spec.setdefault("termination_grace_period_seconds", 2)
    spec.setdefault("node_name", NODE)
    return Pod(metadata=ObjectMeta(name=name, namespace="default"), spec=PodSpec(containers=containers, **spec))


class Machine:
    """The running parts, and the questions that tests ask of them."""

    def __init__(self, server: APIServer, root: Path, start: Callable[..., Any]) -> None:
        self.server = server
        self.root = root
        self._start = start

    async def start_agent(self, **options: Any) -> None:
        """Start an agent (again) on the node's directory."""
        await self._start(**options)

    async def stop_agent(self) -> None:
        """Stop the agent as a plane does."""
        await self._start(stop=True)

    async def create(self, *containers: Container, **spec: Any) -> Pod:
        return await self.server.create(pod(*containers, **spec))

    async def wait(self, predicate: Callable[[Pod], bool], name: str = "p") -> Pod:
        return await self.server.wait_for(Pod, name, predicate=predicate, timeout=15)

    async def ready(self, name: str = "p") -> Pod:
        return await self.server.wait_for(Pod, name, condition="Ready", timeout=15)

    async def phase(self, phase: str, name: str = "p") -> Pod:
        return await self.wait(lambda pod: pod.status.phase == phase, name)

    async def waiting(self, reason: str) -> Pod:
        def is_waiting(pod: Pod) -> bool:
            statuses = (*pod.status.init_container_statuses, *pod.status.container_statuses)
            return any(s.state.waiting is not None and s.state.waiting.reason == reason for s in statuses)

        return await self.wait(is_waiting)

    async def log(self, name: str = "p", **options: Any) -> str:
        text = b""
        async with self.server.logs(name, options=LogOptions(**options)) as stream:
            async for chunk in stream:
                text += chunk
        return text.decode()

    async def delete(self, name: str = "p") -> None:
        await self.server.delete(Pod, name)
        await self.server.wait_for(Pod, name, deleted=True, timeout=15)

    async def event(self, reason: str, text: str = "") -> Event:
        """Wait for an Event of this reason that says `text`."""
        with anyio.fail_after(15):
            async with self.server.watch(Event, namespace="default") as stream:
                async for change in stream:
                    event = change.object
                    if isinstance(event, Event) and event.reason == reason and text in event.message:
                        return event
        raise AssertionError


@asynccontextmanager
async def machine(root: Path, **options: Any) -> AsyncIterator[Machine]:
    """Run a server and an agent; in the end every container is removed."""
    clock = SystemClock()
    async with (
        MemoryStore(clock=clock) as store,
        APIServer(store, clock=clock) as server,
        anyio.create_task_group() as tasks,
    ):
        informers, recorder = SharedInformers(server, clock=clock), EventRecorder(server, clock=clock)
        await tasks.start(informers.run)
        await tasks.start(recorder.run)
        surroundings = Surroundings(client=server, informers=informers, clock=clock, recorder=recorder)
        scope = anyio.CancelScope()
        ended = anyio.Event()

        async def run(settings: dict[str, Any], *, task_status: Any) -> None:
            nonlocal scope, ended
            ended = anyio.Event()
            settings.setdefault("runtime", ProcessRuntime(root))
            agent = NodeAgent(NODE, root=root, pod_network=False, **settings)
            with anyio.CancelScope() as scope:
                await agent.run(surroundings, task_status=task_status)
            ended.set()

        async def start(*, stop: bool = False, **settings: Any) -> None:
            if stop:
                scope.cancel()
                await ended.wait()
            else:
                await tasks.start(run, settings)

        running = Machine(server, root, start)
        await start(**options)
        try:
            yield running
        finally:
            with anyio.CancelScope(shield=True):
                await start(stop=True)
                async with ProcessRuntime(root) as runtime:
                    await remove_all(runtime)
            tasks.cancel_scope.cancel()
