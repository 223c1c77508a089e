"""The probes of one Pod: which ones run, and what their answers mean for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskGroup

from orchestra.api.core import Container, Probe
from orchestra.node.model import ObservedContainer
from orchestra.node.probes import ProbeResult, ProbeTarget, Verdict, keep_probing
from orchestra.node.starting import field_path

if TYPE_CHECKING:
    from orchestra.node.worker import PodWorker


class PodProbes:
    """Keeps a group of probes for each running container; a new run begins with a clean slate."""

    def __init__(self, worker: PodWorker) -> None:
        self._worker = worker
        self._scopes: dict[str, anyio.CancelScope] = {}

    def sync(self, group: TaskGroup) -> None:
        """Start probes of runs that have none, and end those of runs that are over."""
        running = {run.name: run for run in self._worker.observed.running}
        for container in (*self._worker.pod.spec.init_containers, *self._worker.pod.spec.containers):
            run = running.get(container.name)
            memory = self._worker.memory.of(container.name)
            if run is None or memory.probed_run not in ("", run.id):
                self._stop_one(container.name)
            if run is None or memory.probed_run == run.id:
                continue
            memory.probed_run, memory.ready, memory.started = run.id, None, None
            memory.unhealthy, memory.unhealthy_grace_seconds = "", None
            probes = (container.startup_probe, container.liveness_probe, container.readiness_probe)
            if any(probe is not None for probe in probes):
                scope = self._scopes[container.name] = anyio.CancelScope()
                group.start_soon(self._probe, container, run, scope)

    def stop(self, *, keep_readiness: bool) -> None:
        """End all probes, because the Pod ends; what readiness said last stands while it is being deleted."""
        for name in list(self._scopes):
            self._stop_one(name)
            if not keep_readiness:
                self._worker.memory.of(name).ready = False

    def _stop_one(self, name: str) -> None:
        scope = self._scopes.pop(name, None)
        if scope is not None:
            scope.cancel()

    async def _probe(self, container: Container, run: ObservedContainer, scope: anyio.CancelScope) -> None:
        with scope:
            if container.startup_probe is not None:
                await self._ask(container, run, container.startup_probe, "Startup")
                if not self._worker.memory.of(container.name).started:
                    return
            async with anyio.create_task_group() as group:
                if container.liveness_probe is not None:
                    group.start_soon(self._ask, container, run, container.liveness_probe, "Liveness")
                if container.readiness_probe is not None:
                    group.start_soon(self._ask, container, run, container.readiness_probe, "Readiness")

    async def _ask(self, container: Container, run: ObservedContainer, probe: Probe, word: str) -> None:
        worker = self._worker

        def report(settled: bool, result: ProbeResult) -> bool:
            return self._note(container, probe, word, settled, result)

        target = ProbeTarget(pod=worker.pod, container=container, container_id=run.id, ip=worker.memory.ip)
        await keep_probing(worker.node.prober, target, probe, worker.node.clock, report)

    def _note(self, container: Container, probe: Probe, word: str, settled: bool, result: ProbeResult) -> bool:
        """Take one answer; say whether to go on asking."""
        self._tell(container, word, result)
        if not settled:
            return True
        good = result.verdict is Verdict.SUCCESS
        memory = self._worker.memory.of(container.name)
        if word == "Readiness":
            if memory.ready is not good:
                memory.ready = good
                self._worker.publish()
            return True
        if good:
            if word == "Startup":
                memory.started = True
                self._worker.wake()
                self._worker.publish()
            return word != "Startup"
        sidecar = any(c.name == container.name for c in self._worker.pod.spec.init_containers)
        kind = "Init container" if sidecar else "Container"
        memory.unhealthy = f"{kind} {container.name} failed {word.lower()} probe, will be restarted"
        memory.unhealthy_grace_seconds = probe.termination_grace_period_seconds
        self._worker.wake()
        return False

    def _tell(self, container: Container, word: str, result: ProbeResult) -> None:
        if result.verdict is Verdict.SUCCESS:
            return
        pod, events = self._worker.pod, self._worker.node.events
        field = field_path(pod, container)
        if result.verdict is Verdict.FAILURE:
            events.warning(pod, "Unhealthy", f"{word} probe failed: {result.output}", field_path=field)
        else:
            text = f"{word} probe errored and resulted in unknown state: {result.output}"
            events.warning(pod, "Unhealthy", text, field_path=field)
