"""The agent of one node: registers it, gives every Pod bound to it a worker, and answers for its logs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import anyio
from anyio.abc import TaskGroup, TaskStatus

from orchestra._log import get_logger
from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra._stop import cancel_at, orderly_stop
from orchestra._version import __version__
from orchestra.api.core import Node, Pod, Service, Taint
from orchestra.api.quantity import Quantity
from orchestra.backoff import Backoff
from orchestra.controller.interface import Change, Surroundings
from orchestra.cri import Runtime
from orchestra.errors import RuntimeServiceError
from orchestra.node.admission import refuse
from orchestra.node.context import NodeContext
from orchestra.node.model import GRACE_ANNOTATION, POD_UID_LABEL, Refusal
from orchestra.node.probes import NodeProber, Prober
from orchestra.node.registration import Heartbeat, NodeFacts, host_capacity, system_info
from orchestra.node.rotation import ROTATE_SECONDS, full_logs, logged_pods, remove_logs, rotate
from orchestra.node.serving import NodeLogs
from orchestra.node.volumes import Volumes

if TYPE_CHECKING:
    from orchestra.node.worker import PodWorker

RELIST_SECONDS = 60.0
"""How often the runtime is asked for everything even when it told of nothing: a lost event costs no more."""

MAX_STOP_SECONDS = 120.0
"""The longest that a clean stop waits for containers; what runs then is killed."""

MAX_GRACE_SECONDS = int(MAX_STOP_SECONDS) - 10
"""The longest grace period in a clean stop: the kill after it and the sandboxes need some time too."""

MAX_KILL_SECONDS = 30.0
"""How long a clean stop may then take to kill what is left."""

ORPHAN_RETRY = Backoff(initial_seconds=0.5, factor=2.0, max_seconds=30.0, jitter=0.2)
"""Pause before an orphan that could not be removed is tried again."""

NETWORK_NOT_READY = "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady"


class NodeAgent:
    """Runs the Pods that are bound to one node.

    `runtime` makes the containers (a `ProcessRuntime` below `root` by default); volumes and logs lie below `root`,
    which is the runtime's own when it has one, and otherwise a temporary directory. `on_exit` says whether stopping the
    agent ends its containers ("stop") or leaves them running, to be found again by the next agent ("leave").
    `capacity` is what the node offers, the whole machine by default; `pod_network` makes the node wait for a range of
    Pod addresses (`spec.podCIDR`) before it is ready.
    """

    def __init__(
        self,
        name: str,
        *,
        runtime: Runtime | None = None,
        root: str | Path | None = None,
        on_exit: Literal["stop", "leave"] = "stop",
        labels: Mapping[str, str] | None = None,
        taints: Iterable[Taint] = (),
        capacity: Mapping[str, str | int] | None = None,
        max_pods: int = 110,
        address: str = "127.0.0.1",
        pod_network: bool | None = None,
        prober: Prober | None = None,
    ) -> None:
        self.name = name
        self.pod_network = pod_network
        self.runtime = runtime
        own_root = root if root is not None else getattr(runtime, "root", None)
        self._root = None if own_root is None else Path(own_root)
        self._on_exit = on_exit
        self._labels = dict(labels or {})
        self._taints = tuple(taints)
        own = {key: Quantity(str(value)) for key, value in (capacity or {}).items()}
        self._capacity = {**host_capacity(max_pods), **own}
        self._address = address
        self._prober = prober
        self._workers: dict[str, PodWorker] = {}
        self._log = get_logger("node").bind(node=name)

    async def run(self, surroundings: Surroundings, *, task_status: TaskStatus[None]) -> None:
        """Work until cancelled; ready when the node is registered and every Pod of it has its worker."""
        # The runtime must still work when the agent is cancelled: its containers are to be ended, not abandoned.
        async with orderly_stop() as stop, AsyncExitStack() as stack:
            root = self._root or Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix=f"orchestra-{self.name}-"))
            )
            runtime = await stack.enter_async_context(self.runtime or _process_runtime(root))
            node, heartbeat = await self._context(surroundings, runtime, root)
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(cancel_at, stop, group.cancel_scope)
                    registered = await heartbeat.register()
                    await stack.enter_async_context(
                        surroundings.client.serve_node(self.name, NodeLogs(node, self._workers))
                    )
                    await self._start(group, surroundings, node, heartbeat, registered)
                    task_status.started()
            finally:
                # After a crash the next agent takes the containers over, unless they are lost with the directory.
                findable = self.runtime is not None or self._root is not None
                if self._on_exit == "stop" and (stop.is_set() or not findable):
                    await self._stop_containers(node)
                self._workers.clear()

    async def _context(self, surroundings: Surroundings, runtime: Runtime, root: Path) -> tuple[NodeContext, Heartbeat]:
        version = await runtime.version(pb.VersionRequest())
        facts = NodeFacts(
            name=self.name,
            labels=self._labels,
            taints=self._taints,
            capacity=self._capacity,
            address=self._address,
            info=system_info(f"{version.runtime_name}://{version.runtime_version}", f"v{__version__}"),
        )
        heartbeat = Heartbeat(surroundings.client, surroundings.clock, facts, self._log)
        node = NodeContext(
            name=self.name,
            host_ip=self._address,
            client=surroundings.client,
            clock=surroundings.clock,
            runtime=runtime,
            runtime_name=version.runtime_name,
            prober=self._prober or NodeProber(runtime),
            events=surroundings.recorder.events("kubelet", self.name),
            volumes=Volumes(root),
            log_root=str(root / "logs"),
            services=surroundings.informers.informer(Service).lister,
            allocatable=self._capacity,
            log=self._log,
            admit=lambda pod: self._refusal(heartbeat, surroundings, pod),
        )
        return node, heartbeat

    def _refusal(self, heartbeat: Heartbeat, surroundings: Surroundings, pod: Pod) -> Refusal | None:
        # The heartbeat's own Node can be minutes old: labels and taints that the scheduler went by are in the cache.
        node = surroundings.informers.informer(Node).lister.get("", self.name) or heartbeat.node
        uid = pod.metadata.uid
        others = (w.pod for w in self._workers.values() if w.takes_room and w.pod.metadata.uid != uid)
        return refuse(pod, node, others, self._capacity)

    async def _start(
        self,
        group: TaskGroup,
        surroundings: Surroundings,
        node: NodeContext,
        heartbeat: Heartbeat,
        registered: Node,
    ) -> None:
        if self.pod_network:
            await self._wait_for_network(surroundings, node, heartbeat)
        pods = surroundings.informers.informer(Pod, field_selector=f"spec.nodeName={self.name}")
        await pods.wait_synced()
        nodes = surroundings.informers.informer(Node)
        await surroundings.informers.informer(Service).wait_synced()
        await nodes.wait_synced()
        found = await self._sort_out(group, node, {pod.metadata.uid for pod in pods.lister.list()})

        def changed(changes: tuple[Change[Pod], ...]) -> None:
            for change in sorted(changes, key=lambda change: _created(change.object)):
                self._pod_changed(group, node, change, found)

        def node_changed(changes: tuple[Change[Node], ...]) -> None:
            for change in changes:
                if change.new is not None and change.new.metadata.name == self.name:
                    heartbeat.notice(change.new)

        group.start_soon(_call_when_cancelled, pods.subscribe(changed))
        group.start_soon(_call_when_cancelled, nodes.subscribe(node_changed))
        group.start_soon(heartbeat.run, registered)
        group.start_soon(self._follow_runtime, node)
        group.start_soon(self._relist, node)
        group.start_soon(self._rotate_logs, node)

    def _pod_changed(
        self, group: TaskGroup, node: NodeContext, change: Change[Pod], found: dict[str, list[str]]
    ) -> None:
        """Give a Pod its worker, or tell the worker what is new. A Pod that was made anew is another Pod."""
        old, new = change.old, change.new
        if old is not None and (new is None or new.metadata.uid != old.metadata.uid):
            worker = self._workers.get(old.metadata.uid)
            if worker is not None:
                worker.update(old)
                worker.lose()
        if new is None:
            return
        worker = self._workers.get(new.metadata.uid)
        if worker is None:
            from orchestra.node.worker import PodWorker  # What only Pods need is loaded with the first one.

            worker = self._workers[new.metadata.uid] = PodWorker(node, new, found.pop(new.metadata.uid, ()))
            group.start_soon(self._work, worker)
        else:
            worker.update(new)

    async def _work(self, worker: PodWorker) -> None:
        await worker.run()  # when cancelled, the worker stays listed: its containers are still to be ended
        uid = worker.pod.metadata.uid
        self._workers.pop(uid, None)
        remove_logs(Path(worker.node.log_root), uid)

    async def _wait_for_network(self, surroundings: Surroundings, node: NodeContext, heartbeat: Heartbeat) -> None:
        """Wait until the node has a range of Pod addresses, and give it to the runtime."""
        nodes = surroundings.informers.informer(Node)
        assigned = anyio.Event()
        cidr = ""

        def changed(changes: tuple[Change[Node], ...]) -> None:
            nonlocal cidr
            for change in changes:
                if change.new is not None and change.new.metadata.name == self.name and change.new.spec.pod_cidr:
                    cidr = change.new.spec.pod_cidr
                    assigned.set()

        unsubscribe = nodes.subscribe(changed)
        try:
            if not assigned.is_set():
                heartbeat.set_not_ready(NETWORK_NOT_READY)
                await heartbeat.write_status()
            await assigned.wait()
        finally:
            unsubscribe()
        config = pb.RuntimeConfig(network_config=pb.NetworkConfig(pod_cidr=cidr))
        await node.runtime.update_runtime_config(pb.UpdateRuntimeConfigRequest(runtime_config=config))
        heartbeat.set_not_ready("")
        await heartbeat.write_status()

    async def _sort_out(self, group: TaskGroup, node: NodeContext, wanted: set[str]) -> dict[str, list[str]]:
        """Return the sandboxes of the Pods of this node by uid, the newest first.

        What runs for Pods that the server does not know (any more) is ended, and what they left on disk removed.
        """
        found: dict[str, list[str]] = {}
        for sandbox in (await node.runtime.list_pod_sandbox(pb.ListPodSandboxRequest())).items:
            if sandbox.metadata.uid in wanted:
                found.setdefault(sandbox.metadata.uid, []).append(sandbox.id)
            else:
                group.start_soon(self._remove_orphan, node, sandbox)
        for uid in node.volumes.known():
            if uid not in wanted:
                node.volumes.remove(uid)
        logs = Path(node.log_root)
        for uid in logged_pods(logs):
            if uid not in wanted:
                remove_logs(logs, uid)
        return found

    async def _remove_orphan(self, node: NodeContext, sandbox: pb.PodSandbox) -> None:
        """End a sandbox whose Pod is gone, within the grace period that its containers were started with."""
        name, failures = f"{sandbox.metadata.namespace}/{sandbox.metadata.name}", 0
        while not await self._try_to_remove(node, sandbox):
            failures += 1
            await anyio.sleep(ORPHAN_RETRY.delay_seconds(failures, node.clock.random))
        self._log.info("orphaned pod removed", pod=name)

    async def _try_to_remove(self, node: NodeContext, sandbox: pb.PodSandbox) -> bool:
        try:
            listed = pb.ListContainersRequest(filter=pb.ContainerFilter(pod_sandbox_id=sandbox.id))
            async with anyio.create_task_group() as group:
                for item in (await node.runtime.list_containers(listed)).containers:
                    grace = int(item.annotations.get(GRACE_ANNOTATION) or 0)
                    request = pb.StopContainerRequest(container_id=item.id, timeout=min(grace, int(MAX_STOP_SECONDS)))
                    group.start_soon(node.runtime.stop_container, request)
            await node.runtime.stop_pod_sandbox(pb.StopPodSandboxRequest(pod_sandbox_id=sandbox.id))
            await node.runtime.remove_pod_sandbox(pb.RemovePodSandboxRequest(pod_sandbox_id=sandbox.id))
        except Exception as error:  # noqa: BLE001 - logged and tried again
            cause = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
            self._log.warning("orphaned pod not removed", error=str(cause))
            return False
        return True

    async def _follow_runtime(self, node: NodeContext) -> None:
        """Wake the worker of every container that something happened to."""
        while True:
            try:
                async for event in node.runtime.get_container_events(pb.GetEventsRequest()):
                    worker = self._workers.get(event.pod_sandbox_status.metadata.uid)
                    if worker is not None:
                        worker.wake()
            except RuntimeServiceError as error:
                # Events are an acceleration: what was missed is found by looking.
                self._log.warning("container events interrupted", error=str(error))
            await anyio.sleep(1.0)
            for worker in self._workers.values():
                worker.look_everywhere()

    async def _relist(self, node: NodeContext) -> None:
        """Wake the workers whose containers are not what they were when last looked at."""
        while True:
            await anyio.sleep(RELIST_SECONDS)
            try:
                held = await node.runtime.list_containers(pb.ListContainersRequest())
            except RuntimeServiceError as error:
                self._log.warning("runtime not listed", error=str(error))
                continue
            seen: dict[str, set[tuple[str, int]]] = {}
            for container in held.containers:
                seen.setdefault(container.labels.get(POD_UID_LABEL, ""), set()).add((container.id, container.state))
            for uid, worker in self._workers.items():
                known = {(run.id, run.state.value) for run in worker.observed.containers}
                if known != seen.get(uid, set()):
                    worker.look_everywhere()

    async def _rotate_logs(self, node: NodeContext) -> None:
        """Begin new files for logs that have become too large."""
        root = Path(node.log_root)
        while True:
            await anyio.sleep(ROTATE_SECONDS)
            running = (run for worker in self._workers.values() for run in worker.observed.running if run.log_path)
            for container_id, path in full_logs(root, ((run.id, run.log_path) for run in running)):
                try:
                    await rotate(node.runtime, container_id, path, node.clock.now())
                except (RuntimeServiceError, OSError) as error:
                    self._log.warning("container log not rotated", path=str(path), error=str(error))

    async def _stop_containers(self, node: NodeContext) -> None:
        """End every container within the grace period of its Pod."""
        with anyio.move_on_after(MAX_STOP_SECONDS):
            async with anyio.create_task_group() as group:
                for worker in self._workers.values():
                    group.start_soon(_stop_pod, node, worker)
        with anyio.move_on_after(MAX_KILL_SECONDS):
            await _kill_the_rest(node)


def _created(pod: Pod) -> tuple[datetime, str]:
    meta = pod.metadata
    return meta.creation_timestamp or datetime.min.replace(tzinfo=UTC), f"{meta.namespace}/{meta.name}"


def _process_runtime(root: Path) -> Runtime:
    from orchestra.cri import ProcessRuntime  # Loaded by nobody who brings a runtime.

    return ProcessRuntime(root=root)


async def _stop_pod(node: NodeContext, worker: PodWorker) -> None:
    from orchestra.node.stopping import grace_of, stop_all

    try:
        await worker.observe()
        grace = min(grace_of(worker.pod), MAX_GRACE_SECONDS)
        await stop_all(node, worker.pod, worker.observed.running, worker.memory.ip, grace)
        for sandbox in worker.observed.sandboxes:
            await node.runtime.stop_pod_sandbox(pb.StopPodSandboxRequest(pod_sandbox_id=sandbox.id))
    except Exception as error:  # noqa: BLE001 - logged; what is left is killed with its sandbox, and the others go on
        node.log.warning("containers not stopped", pod=worker.pod.key, error=str(error))


async def _kill_the_rest(node: NodeContext) -> None:
    """Stop every sandbox in which something may still run: that kills at once."""

    async def stop(sandbox_id: str) -> None:
        try:
            await node.runtime.stop_pod_sandbox(pb.StopPodSandboxRequest(pod_sandbox_id=sandbox_id))
        except Exception as error:  # noqa: BLE001 - logged: the others are stopped nevertheless
            node.log.error("sandbox not stopped", sandbox=sandbox_id, error=str(error))

    try:
        sandboxes = (await node.runtime.list_pod_sandbox(pb.ListPodSandboxRequest())).items
        containers = (await node.runtime.list_containers(pb.ListContainersRequest())).containers
    except RuntimeServiceError as error:
        node.log.error("runtime not listed", error=str(error))
        return
    running = [c.pod_sandbox_id for c in containers if c.state == pb.CONTAINER_RUNNING]
    left = dict.fromkeys((*(s.id for s in sandboxes if s.state == pb.SANDBOX_READY), *running))
    async with anyio.create_task_group() as group:
        for sandbox_id in left:
            group.start_soon(stop, sandbox_id)


async def _call_when_cancelled(function: Callable[[], None]) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        function()
