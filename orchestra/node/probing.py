"""The probes of one Pod: which ones run, and what their answers mean for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskGroup

from orchestra.node.model import ObservedContainer
from orchestra.node.naming import field_path
from orchestra.node.probes import ProbeResult, ProbeTarget, Verdict, keep_probing

if TYPE_CHECKING:
    from orchestra.api.core import Container, Probe
    from orchestra.node.worker import PodWorker

HEALTH = ("startup", "liveness")
"""The probes whose failure ends a container; a Pod that ends has no use for them."""


class PodProbes:
    """Keeps the probes of each running container; a new run begins with a clean slate."""

    def __init__(self, worker: PodWorker) -> None:
        self._worker = worker
        self._scopes: dict[tuple[str, str], anyio.CancelScope] = {}

    def sync(self, group: TaskGroup) -> None:
        """Start probes of runs that have none, and end those of runs that are over."""
        running = {run.name: run for run in self._worker.observed.running}
        for container in (*self._worker.pod.spec.init_containers, *self._worker.pod.spec.containers):
            run = running.get(container.name)
            memory = self._worker.memory.of(container.name)
            if run is None or memory.probed_run not in ("", run.id):
                self._cancel(container.name, ("startup", "liveness", "readiness"))
            if run is None or memory.probed_run == run.id:
                continue
            memory.probed_run, memory.ready, memory.started = run.id, None, None
            memory.unhealthy, memory.unhealthy_grace_seconds = "", None
            if container.startup_probe is not None:
                self._start(group, container, run, container.startup_probe, "startup")
            else:
                self._start_others(group, container, run)

    def end_health(self) -> None:
        """End the probes that could end a container, because the Pod ends; readiness is still of interest."""
        for name in dict.fromkeys(name for name, _ in self._scopes):
            self._cancel(name, HEALTH)

    def end_all(self) -> None:
        """End every probe."""
        for name in dict.fromkeys(name for name, _ in self._scopes):
            self._cancel(name, (*HEALTH, "readiness"))

    def _cancel(self, name: str, kinds: tuple[str, ...]) -> None:
        for kind in kinds:
            scope = self._scopes.pop((name, kind), None)
            if scope is not None:
                scope.cancel()

    def _start_others(self, group: TaskGroup, container: Container, run: ObservedContainer) -> None:
        if container.liveness_probe is not None:
            self._start(group, container, run, container.liveness_probe, "liveness")
        if container.readiness_probe is not None:
            self._start(group, container, run, container.readiness_probe, "readiness")

    def _start(self, group: TaskGroup, container: Container, run: ObservedContainer, probe: Probe, kind: str) -> None:
        scope = self._scopes[container.name, kind] = anyio.CancelScope()
        group.start_soon(self._ask, group, container, run, probe, kind, scope)

    async def _ask(
        self,
        group: TaskGroup,
        container: Container,
        run: ObservedContainer,
        probe: Probe,
        kind: str,
        scope: anyio.CancelScope,
    ) -> None:
        worker = self._worker

        def report(settled: bool, result: ProbeResult) -> bool:
            return self._note(container, probe, kind, settled, result)

        target = ProbeTarget(pod=worker.pod, container=container, container_id=run.id, ip=worker.memory.ip)
        with scope:
            await keep_probing(worker.node.prober, target, probe, kind, worker.node.clock, report)
            if kind == "startup" and worker.memory.of(container.name).started:
                self._start_others(group, container, run)

    def _note(self, container: Container, probe: Probe, kind: str, settled: bool, result: ProbeResult) -> bool:
        """Take one answer; say whether to go on asking."""
        self._tell(container, kind, result)
        if not settled:
            return True
        good = result.verdict is not Verdict.FAILURE
        memory = self._worker.memory.of(container.name)
        if kind == "readiness":
            if memory.ready is not good:
                memory.ready = good
                self._worker.publish()
            return True
        if good:
            if kind == "startup":
                memory.started = True
                self._worker.wake()
                self._worker.publish()
            return kind != "startup"
        sidecar = any(c.name == container.name for c in self._worker.pod.spec.init_containers)
        text = f"container {container.name} failed {kind} probe"
        memory.unhealthy = f"Init {text}" if sidecar else f"C{text[1:]}, will be restarted"
        memory.unhealthy_grace_seconds = probe.termination_grace_period_seconds
        self._worker.wake()
        return False

    def _tell(self, container: Container, kind: str, result: ProbeResult) -> None:
        if result.verdict is Verdict.SUCCESS:
            return
        pod, events = self._worker.pod, self._worker.node.events
        word, field = kind.capitalize(), field_path(pod, container)
        if result.verdict is Verdict.WARNING:
            events.warning(pod, "ProbeWarning", f"{word} probe warning: {result.output}", field_path=field)
        elif result.verdict is Verdict.FAILURE:
            events.warning(pod, "Unhealthy", f"{word} probe failed: {result.output}", field_path=field)
        else:
            text = f"{word} probe errored and resulted in unknown state: {result.output}"
            events.warning(pod, "Unhealthy", text, field_path=field)
