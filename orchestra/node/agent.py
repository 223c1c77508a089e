"""The agent of one node: registers it, gives every Pod bound to it a worker, and answers for its logs."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Literal

import anyio
from anyio.abc import TaskGroup, TaskStatus

from orchestra._log import get_logger
from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra._stop import cancel_at, orderly_stop
from orchestra.api.core import Node, Pod, Service, Taint
from orchestra.api.quantity import Quantity
from orchestra.client.interface import LogOptions
from orchestra.controller.interface import Change, Surroundings
from orchestra.cri import ProcessRuntime, Runtime
from orchestra.errors import BadRequest, RuntimeServiceError
from orchestra.node.context import NodeContext
from orchestra.node.logs import read_log
from orchestra.node.model import POD_UID_LABEL, ContainerState
from orchestra.node.probes import NodeProber, Prober
from orchestra.node.registration import Heartbeat, NodeFacts, host_capacity, system_info
from orchestra.node.starting import log_directory
from orchestra.node.stopping import grace_of, stop_all
from orchestra.node.volumes import Volumes
from orchestra.node.worker import PodWorker

RELIST_SECONDS = 10.0
"""How often every worker looks at the runtime even when it told of nothing: a lost event costs no more."""

MAX_STOP_SECONDS = 120.0
"""The longest that a clean stop waits for containers; what runs then is killed."""

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
            runtime = await stack.enter_async_context(self.runtime or ProcessRuntime(root=root))
            node, heartbeat = await self._context(surroundings, runtime, root)
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(cancel_at, stop, group.cancel_scope)
                    registered = await heartbeat.register()
                    await stack.enter_async_context(
                        surroundings.client.serve_node(self.name, _Logs(node, self._workers))
                    )
                    await self._start(group, surroundings, node, heartbeat, registered)
                    task_status.started()
            finally:
                if self._on_exit == "stop":
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
            info=system_info(f"{version.runtime_name}://{version.runtime_version}", "orchestra"),
        )
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
        )
        return node, Heartbeat(surroundings.client, surroundings.clock, facts, self._log)

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
        await surroundings.informers.informer(Service).wait_synced()
        await self._remove_orphans(node, {pod.metadata.uid for pod in pods.lister.list()})

        def changed(changes: tuple[Change[Pod], ...]) -> None:
            for change in changes:
                self._pod_changed(group, node, change)

        unsubscribe = pods.subscribe(changed)
        group.start_soon(_call_when_cancelled, unsubscribe)
        group.start_soon(heartbeat.run, registered)
        group.start_soon(self._follow_runtime, node)
        group.start_soon(self._relist, node)

    def _pod_changed(self, group: TaskGroup, node: NodeContext, change: Change[Pod]) -> None:
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
            worker = self._workers[new.metadata.uid] = PodWorker(node, new)
            group.start_soon(self._work, worker)
        else:
            worker.update(new)

    async def _work(self, worker: PodWorker) -> None:
        await worker.run()  # when cancelled, the worker stays listed: its containers are still to be ended
        self._workers.pop(worker.pod.metadata.uid, None)

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

    async def _remove_orphans(self, node: NodeContext, wanted: set[str]) -> None:
        """End what runs for Pods that the server does not know (any more), and remove what they left on disk."""
        listed = await node.runtime.list_pod_sandbox(pb.ListPodSandboxRequest())
        for sandbox in listed.items:
            if sandbox.metadata.uid not in wanted:
                self._log.info("orphaned pod removed", pod=f"{sandbox.metadata.namespace}/{sandbox.metadata.name}")
                await node.runtime.stop_pod_sandbox(pb.StopPodSandboxRequest(pod_sandbox_id=sandbox.id))
                await node.runtime.remove_pod_sandbox(pb.RemovePodSandboxRequest(pod_sandbox_id=sandbox.id))
        for uid in node.volumes.known():
            if uid not in wanted:
                node.volumes.remove(uid)

    async def _follow_runtime(self, node: NodeContext) -> None:
        """Wake the worker of every container that something happened to."""
        while True:
            try:
                async for event in node.runtime.get_container_events(pb.GetEventsRequest()):
                    worker = self._workers.get(event.pod_sandbox_status.metadata.uid)
                    if worker is not None:
                        worker.wake()
                        worker.publish()
            except RuntimeServiceError as error:
                # Workers look for themselves every RELIST_SECONDS, so events are an acceleration, not a need.
                self._log.warning("container events interrupted", error=str(error))
                for worker in self._workers.values():
                    worker.wake()
            await anyio.sleep(1.0)

    async def _relist(self, node: NodeContext) -> None:
        """Wake the workers whose containers are not what they were when last looked at."""
        while True:
            await anyio.sleep(RELIST_SECONDS)
            held = await node.runtime.list_containers(pb.ListContainersRequest())
            seen: dict[str, set[tuple[str, int]]] = {}
            for container in held.containers:
                seen.setdefault(container.labels.get(POD_UID_LABEL, ""), set()).add((container.id, container.state))
            for uid, worker in self._workers.items():
                known = {(run.id, run.state.value) for run in worker.observed.containers}
                if known != seen.get(uid, set()):
                    worker.wake()
                    worker.publish()

    async def _stop_containers(self, node: NodeContext) -> None:
        """End every container within the grace period of its Pod."""
        with anyio.move_on_after(MAX_STOP_SECONDS):
            async with anyio.create_task_group() as group:
                for worker in self._workers.values():
                    group.start_soon(_stop_pod, node, worker)


async def _stop_pod(node: NodeContext, worker: PodWorker) -> None:
    await worker.observe()
    await stop_all(node, worker.pod, worker.observed, grace_of(worker.pod))
    for sandbox in worker.observed.sandboxes:
        await node.runtime.stop_pod_sandbox(pb.StopPodSandboxRequest(pod_sandbox_id=sandbox.id))


async def _call_when_cancelled(function: Callable[[], None]) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        function()


class _Logs:
    """Answers the server's questions for logs."""

    def __init__(self, node: NodeContext, workers: Mapping[str, PodWorker]) -> None:
        self._node = node
        self._workers = workers

    async def logs(self, namespace: str, pod: str, options: LogOptions) -> AsyncIterator[bytes]:
        """Yield chunks of a container's log; raises BadRequest when it has none yet."""
        worker = self._worker(namespace, pod)
        name = options.container
        runs = worker.observed.runs(name)
        if options.previous:
            runs = runs[1:]
            if not runs:
                raise BadRequest(f'previous terminated container "{name}" in pod "{pod}" not found')
        if not runs:
            waiting = worker.memory.of(name).waiting
            reason = waiting.reason if waiting else "ContainerCreating"
            raise BadRequest(f'container "{name}" in pod "{pod}" is waiting to start: {reason}')
        run = runs[0]
        path = Path(log_directory(self._node, worker.pod)) / name / f"{run.attempt}.log"
        if not path.exists():
            yield f"unable to retrieve container logs for {self._node.runtime_name}://{run.id}".encode()
            return

        def still_running() -> bool:
            latest = next((c for c in worker.observed.containers if c.id == run.id), None)
            return latest is not None and latest.state is ContainerState.RUNNING

        async for chunk in read_log(path, options, self._node.clock.now(), still_running):
            yield chunk

    def _worker(self, namespace: str, pod: str) -> PodWorker:
        for worker in self._workers.values():
            meta = worker.pod.metadata
            if (meta.namespace, meta.name) == (namespace, pod):
                return worker
        raise BadRequest(f'pod "{pod}" in namespace "{namespace}" is not on node {self._node.name}')
