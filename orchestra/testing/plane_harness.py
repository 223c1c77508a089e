"""A whole control plane under a test's control: fake nodes, virtual time, and a way to run it to rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

import anyio

from orchestra.api.core import Event, Pod
from orchestra.api.manifest import load_manifests
from orchestra.api.object import Object
from orchestra.apiserver import APIServer
from orchestra.controller import Controller, Part
from orchestra.cri import FakeRuntime, Script
from orchestra.errors import WaitTimeout
from orchestra.lifecycle.kinds import stored_kinds
from orchestra.network import node_ipam_controller
from orchestra.node import NodeAgent
from orchestra.plane import ControlPlane, default_controllers
from orchestra.scheduler import Scheduler
from orchestra.store import MemoryStore
from orchestra.testing.virtual_time import VirtualClock

QUIET_SECONDS = 1.0
"""How long nothing may change for the plane to count as at rest."""

POD_RANGES = tuple(f"10.244.{number}.0/24" for number in range(256))
"""The ranges of Pod addresses that nodes get; nothing listens there, but each Pod has an address of its own."""

RESTLESS_KINDS = frozenset({"Lease", "Event"})
"""Kinds whose changes do not count: heartbeats never end, and Events only tell of what happened."""


class PlaneHarness:
    """A plane on a `MemoryStore` with nodes that run nothing; for tests on virtual time.

    `script` plays the containers of every node; up to 256 nodes get a range of Pod addresses. Everything waits on the
    event loop alone, so with `run_virtual`, or a test marked `virtual_time`, hours pass at once:

        async with PlaneHarness(nodes=3) as harness:
            await harness.apply(manifest)
            await harness.settle()
            assert len(await harness.pods()) == 3
    """

    def __init__(
        self,
        *,
        nodes: int = 3,
        script: Script | None = None,
        capacity: Mapping[str, str | int] | None = None,
        controllers: Iterable[Controller[Any] | Part] | None = None,
        scheduler: Scheduler | None = None,
        seed: int = 0,
        **server_options: Any,
    ) -> None:
        self.clock = VirtualClock(seed)
        self._capacity = {"cpu": 4, "memory": "8Gi", "pods": 110, **(capacity or {})}
        self._script = script
        self.runtimes: dict[str, FakeRuntime] = {}
        self.plane = ControlPlane(
            store=MemoryStore(clock=self.clock),
            nodes=[self.new_node(f"node-{index}") for index in range(nodes)],
            controllers=[
                *(default_controllers() if controllers is None else controllers),
                node_ipam_controller(POD_RANGES),
            ],
            scheduler=scheduler,
            clock=self.clock,
            network=False,
            **server_options,
        )

    @property
    def client(self) -> APIServer:
        """The way to read and write."""
        return self.plane.client

    async def __aenter__(self) -> Self:
        await self.plane.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self.plane.__aexit__(kind, error, trace)

    def new_node(self, name: str, **options: Any) -> NodeAgent:
        """Return an agent to start with `plane.add_node`; a name that was there before gets its containers back."""
        runtime = self.runtimes.get(name)
        if runtime is None:
            runtime = self.runtimes[name] = FakeRuntime(clock=self.clock, script=self._script)
        options = {"on_exit": "leave", "pod_network": True, **options}
        return NodeAgent(name, runtime=runtime, capacity=self._capacity, **options)

    async def apply(self, manifest: str, *, namespace: str = "") -> tuple[Object, ...]:
        """Apply every document of a YAML text."""
        return await self.client.apply_documents(load_manifests(manifest), namespace=namespace)

    async def settle(self, *, quiet_seconds: float = QUIET_SECONDS, timeout_seconds: float = 600.0) -> None:
        """Let time pass until nothing has changed for `quiet_seconds`; raises WaitTimeout when that never happens.

        Heartbeats and Events do not count as changes.
        """
        deadline = self.clock.monotonic() + timeout_seconds
        before = await self._state()
        since = self.clock.monotonic()
        while self.clock.monotonic() - since < quiet_seconds:
            if self.clock.monotonic() > deadline:
                raise WaitTimeout(f"the plane was not at rest within {timeout_seconds} s")
            await anyio.sleep(min(quiet_seconds, 0.25))
            now = await self._state()
            if now != before:
                before, since = now, self.clock.monotonic()

    async def pods(self, namespace: str = "default", label_selector: str = "") -> tuple[Pod, ...]:
        """Return the Pods of a namespace that a selector matches."""
        return (await self.client.list(Pod, namespace=namespace, label_selector=label_selector)).items

    async def reasons(self, namespace: str = "default") -> tuple[str, ...]:
        """Return the reasons of a namespace's Events, in the order of their names."""
        return tuple(event.reason for event in (await self.client.list(Event, namespace=namespace)).items)

    async def _state(self) -> tuple[tuple[str, ...], ...]:
        """Return what identifies the newest revision of every object that counts."""
        result = []
        for info in stored_kinds(self.client.scheme):
            if info.kind in RESTLESS_KINDS:
                continue
            listed = await self.client.list(self.client.scheme.type_of(info))
            result.append(tuple(obj.metadata.resource_version for obj in listed.items))
        return tuple(result)
