"""Watches over nodes: Unknown when they are silent, taints as their state calls for. The driver of `node_health.py`.

Nothing is polled: each node is looked at when its status changes and when its grace period may end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestra._log import get_logger
from orchestra.api.codec import encode
from orchestra.api.coordination import Lease
from orchestra.api.core import Node, Pod
from orchestra.api.rules.conditions import condition
from orchestra.backoff import Backoff
from orchestra.client.interface import Patch, PatchType, WriteOptions
from orchestra.controller.interface import Change, Surroundings
from orchestra.controller.workers import Workers
from orchestra.errors import Conflict, NotFound, OrchestraError
from orchestra.lifecycle import node_health
from orchestra.lifecycle.node_health import READY, MonitorSettings, Signs, ZoneState

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

LEASE_NAMESPACE = "kube-node-lease"
TTL_ANNOTATION = "node.alpha.kubernetes.io/ttl"
WORKERS = 4

_RETRY = Backoff(initial_seconds=0.02, max_seconds=30.0)


class NodeLifecycle:
    """A `Part` of the manager."""

    name = "node-lifecycle"

    def __init__(self, settings: MonitorSettings | None = None) -> None:
        self.settings = settings or MonitorSettings()
        self._signs: dict[str, Signs] = {}
        self._next_eviction: dict[str, float] = {}
        self._log = get_logger("node-lifecycle")

    async def run(self, surroundings: Surroundings, *, task_status: TaskStatus[None]) -> None:
        """Watch until cancelled; ready when the caches are."""
        self._env = surroundings
        self._events = surroundings.recorder.events("node-controller")
        self._options = WriteOptions(field_manager=self.name, fence=surroundings.fence)
        # Who begins to watch knows of no sign of life yet: every node has its full grace period.
        self._signs.clear()
        self._next_eviction.clear()
        self._workers: Workers[str] = Workers(self.name, _RETRY, surroundings.clock)
        informers = surroundings.informers
        nodes, leases = informers.informer(Node), informers.informer(Lease, namespace=LEASE_NAMESPACE)
        self._nodes, self._leases, self._pods = nodes.lister, leases.lister, informers.informer(Pod).lister
        for informer in (nodes, leases, informers.informer(Pod)):
            await informer.wait_synced()
        subscriptions = [nodes.subscribe(self._on_nodes), leases.subscribe(self._on_leases)]
        try:
            await self._workers.run(self._work, tasks=WORKERS, task_status=task_status)
        finally:
            for unsubscribe in subscriptions:
                unsubscribe()

    def _on_nodes(self, changes: tuple[Change[Node], ...]) -> None:
        now = self._env.clock.monotonic()
        for change in changes:
            node = change.object
            name = node.metadata.name
            if change.new is None:
                self._signs.pop(name, None)
                self._events.normal(node, "RemovingNode", f"Node {name} event: Removing Node {name} from Controller")
                continue
            signs = self._signs.get(name)
            if signs is None or signs.uid != node.metadata.uid:
                self._signs[name] = signs = Signs(node.metadata.uid, now)
                self._events.normal(node, "RegisteredNode", f"Node {name} event: Registered Node {name} in Controller")
            signs.see_status(node, now)
            self._workers.queue.add(name)
        if any(_aliveness_changed(change) for change in changes):
            # What nodes that are down may lose depends on how many others are.
            for node in self._nodes.list():
                if not node_health.is_alive(node):
                    self._workers.queue.add(node.metadata.name)
        self._workers.wake()

    def _on_leases(self, changes: tuple[Change[Lease], ...]) -> None:
        now = self._env.clock.monotonic()
        for change in changes:
            lease = change.new
            signs = self._signs.get(lease.metadata.name) if lease is not None else None
            if signs is not None and lease is not None:
                signs.see_lease(lease.spec.renew_time, now)

    async def _work(self, name: str) -> None:
        queue, clock = self._workers.queue, self._env.clock
        try:
            node = self._nodes.get("", name)
            signs = self._signs.get(name)
            if node is not None and signs is not None:
                again = await self._check(node, signs)
                if again is not None:
                    queue.add_at(name, again)
            queue.forget(name)
        except NotFound:
            queue.forget(name)
        except OrchestraError as error:
            delay = queue.retry(name, clock.monotonic(), chance=clock.random)
            if not isinstance(error, Conflict):
                self._log.warning("node not checked", node=name, error=str(error), retry_seconds=delay)

    async def _check(self, node: Node, signs: Signs) -> float | None:
        """Bring a node's conditions and taints up to date; return when to look again."""
        clock = self._env.clock
        now = clock.monotonic()
        lease = self._leases.get(LEASE_NAMESPACE, node.metadata.name)
        if lease is not None:
            signs.see_lease(lease.spec.renew_time, now)
        silent_at = signs.silent_at(node, self.settings)
        if now >= silent_at:
            conditions = node_health.unknown_conditions(node, clock.now())
            if conditions is not node.status.conditions:
                node = await self._mark_unknown(node, conditions)
        allowed, again = self._may_evict(node, now)
        await self._update(node, allowed)
        deadlines = [silent_at] if silent_at > now else []
        return min([*deadlines, *([again] if again is not None else [])], default=None)

    async def _mark_unknown(self, node: Node, conditions: tuple[Any, ...]) -> Node:
        name, was = node.metadata.name, condition(node, READY)
        body = {
            "metadata": {"resourceVersion": node.metadata.resource_version},
            "status": {"conditions": [encode(item) for item in conditions]},
        }
        patch = Patch(PatchType.MERGE, body)
        node = await self._env.client.patch(Node, name, patch, subresource="status", options=self._options)
        self._log.warning("node is silent", node=name)
        if was is not None and was.status == "True":
            self._events.normal(node, "NodeNotReady", f"Node {name} status is now: NodeNotReady")
            for pod in self._pods.by_index("spec.nodeName", name):
                await self._mark_not_ready(pod)
        return node

    async def _mark_not_ready(self, pod: Pod) -> None:
        conditions = node_health.not_ready_conditions(pod, self._env.clock.now())
        if conditions is pod.status.conditions:
            return
        body = {
            "metadata": {"uid": pod.metadata.uid},
            "status": {"conditions": [encode(item) for item in conditions]},
        }
        patch, meta = Patch(PatchType.MERGE, body), pod.metadata
        try:
            await self._env.client.patch(
                Pod, meta.name, patch, namespace=meta.namespace, subresource="status", options=self._options
            )
        except (NotFound, Conflict):
            return  # gone, or another Pod of this name
        self._events.warning(pod, "NodeNotReady", "Node is not ready")

    def _may_evict(self, node: Node, now: float) -> tuple[str | None, float | None]:
        """Return the NoExecute taint that the node may have now, and when to ask again if that is not the last word.

        None instead of a key leaves the taints for eviction as they are.
        """
        wanted = node_health.no_execute_taint(node)
        if not wanted:
            return "", None
        retry_at = now + self.settings.period_seconds
        every = self._nodes.list()
        if not any(node_health.is_alive(one) for one in every):
            # Not one node is heard of: the fault is likely here, so nothing is evicted.
            return "", retry_at
        if any(
            node_health.has_taint(node, key, "NoExecute")
            for key in (node_health.NOT_READY_TAINT, node_health.UNREACHABLE_TAINT)
        ):
            return wanted, None  # it has lost its Pods, or is about to, for this reason or the other
        zone = node_health.zone_of(node)
        state, total = node_health.zone_state((one for one in every if node_health.zone_of(one) == zone), self.settings)
        rate = node_health.eviction_rate(state, total, self.settings)
        if rate <= 0:
            return None, retry_at
        free_at = self._next_eviction.get(zone, now)
        if free_at > now:
            return None, free_at if state is ZoneState.NORMAL else min(free_at, retry_at)
        self._next_eviction[zone] = now + 1 / rate
        return wanted, None

    async def _update(self, node: Node, no_execute: str | None) -> None:
        taints = node_health.taints_of(node, no_execute, self._env.clock.now())
        labels = node_health.copied_labels(node)
        metadata: dict[str, Any] = {}
        if labels:
            metadata["labels"] = labels
        if TTL_ANNOTATION not in node.metadata.annotations:
            metadata["annotations"] = {TTL_ANNOTATION: "0"}
        body: dict[str, Any] = {}
        if taints is not node.spec.taints:
            body["spec"] = {"taints": [encode(taint) for taint in taints] or None}
            metadata["resourceVersion"] = node.metadata.resource_version
        if metadata:
            body["metadata"] = metadata
        if body:
            patch = Patch(PatchType.MERGE, body)
            await self._env.client.patch(Node, node.metadata.name, patch, options=self._options)


def _aliveness_changed(change: Change[Node]) -> bool:
    before = change.old is not None and node_health.is_alive(change.old)
    return before != (change.new is not None and node_health.is_alive(change.new))
