"""The steps of `orchestra demo`; each one observes what it claims before it counts as done."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterable
from importlib import resources
from pathlib import Path

import attrs

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.api.apps import Deployment
from orchestra.api.core import Event, Pod, Service
from orchestra.api.manifest import dump_yaml
from orchestra.cli.demo.show import Show, Step
from orchestra.cli.demo.traffic import Traffic, ask, steady
from orchestra.client.interface import Patch, PatchType
from orchestra.cri import ProcessRuntime
from orchestra.errors import NotFound, OrchestraError, WaitTimeout
from orchestra.node import NodeAgent
from orchestra.plane import ControlPlane
from orchestra.store import SQLiteStore

NAME = "web"
NODES = 3
WAIT_SECONDS = 60.0
"""The longest that one step may take."""
MAX_ASKED = 300
"""How many requests are sent at the most to see an answer of every replica."""


class DemoFailed(OrchestraError):
    """A step did not come true."""


class Demo:
    """The running demonstration."""

    def __init__(self, plane: ControlPlane, show: Show) -> None:
        self.plane = plane
        self.client = plane.client
        self.show = show
        self.figures: list[tuple[str, str]] = []
        self.host, self.port = "", 0

    async def run(self) -> None:
        """Do every step in order; the first that fails ends it with DemoFailed."""
        await self.apply()
        await self.every_replica_answers()
        await self.heal()
        await self.scale(5)
        await self.roll_out()
        await self.clean_up()

    async def apply(self) -> None:
        """Apply the manifest and wait until the Deployment is available."""
        with self.show.step("apply web.yaml: ConfigMap, Deployment of 3 replicas, Service") as step:
            began = time.perf_counter()
            text = resources.files("orchestra.cli.demo").joinpath("web.yaml").read_text(encoding="utf-8")
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "web.yaml"
                path.write_text(text, encoding="utf-8")
                await self.client.apply_file(path)
            await self.client.wait_for(Deployment, NAME, condition="Available", timeout=WAIT_SECONDS)
            await self._until("3 replicas ready", lambda d: (d.status.ready_replicas or 0) == 3)
            service = await self.client.get(Service, NAME)
            self.host, self.port = service.spec.cluster_ip, service.spec.ports[0].port
            pods = await self._pods()
            spread = ", ".join(f"{p.metadata.name} on {p.spec.node_name}" for p in pods)
            self.show.tell(step, f"{spread}; Service {self.host}:{self.port}")
            self.figures.append(("manifest to 3 ready replicas", f"{time.perf_counter() - began:.2f} s"))

    async def every_replica_answers(self) -> None:
        """Ask the Service until every ready Pod has answered."""
        with self.show.step("every replica answers behind the Service's one address") as step:
            names = {p.metadata.name for p in await self._pods()}
            answers = await self._ask_until(names, step)
            self.figures.append(("answers by replica", ", ".join(str(n) for n in answers.answers.values())))

    async def _ask_until(self, names: set[str], step: Step) -> Traffic:
        traffic = Traffic()
        for _ in range(MAX_ASKED):
            try:
                version, pod = await ask(self.host, self.port)
            except (OSError, TimeoutError) as error:
                raise DemoFailed(f"a request to {self.host}:{self.port} failed: {error}") from error
            traffic.answers[pod] += 1
            traffic.versions[version] += 1
            if names <= traffic.answers.keys():
                shown = ", ".join(f"{pod} {count}" for pod, count in sorted(traffic.answers.items()))
                self.show.tell(step, f"{traffic.requests} requests: {shown}")
                return traffic
        missing = sorted(names - traffic.answers.keys())
        raise DemoFailed(f"after {MAX_ASKED} requests these replicas had not answered: {', '.join(missing)}")

    async def heal(self) -> None:
        """Kill the process of one container and see it started again."""
        with self.show.step("kill one container's process and see it healed") as step:
            victim = (await self._pods())[0]
            name, before = victim.metadata.name, victim.status.container_statuses[0]
            pid = await self._pid_of(victim)
            began = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
            healed = await self.client.wait_for(
                Pod,
                name,
                timeout=WAIT_SECONDS,
                predicate=lambda pod: (
                    pod.status.container_statuses[0].restart_count > before.restart_count
                    and pod.status.container_statuses[0].ready
                ),
            )
            last = healed.status.container_statuses[0].last_state.terminated
            if last is None or last.exit_code != 137:
                raise DemoFailed(f"{name} was restarted, but its last state does not show the kill: {last}")
            new_pid = await self._pid_of(healed)
            if new_pid == pid:
                raise DemoFailed(f"{name} still has process {pid}")
            took = time.perf_counter() - began
            await self._ask_until({name}, step)
            self.show.tell(step, f"{name}: process {pid} killed, {new_pid} ready after {took:.2f} s and answering")
            self.figures.append(("killed process to ready again", f"{took:.2f} s"))

    async def scale(self, replicas: int) -> None:
        """Scale the Deployment and see the new replicas answer."""
        with self.show.step(f"scale to {replicas}") as step:
            began = time.perf_counter()
            await self.client.scale(Deployment, NAME, replicas)
            await self._until(f"{replicas} replicas ready", lambda d: (d.status.ready_replicas or 0) == replicas)
            took = time.perf_counter() - began
            await self._ask_until({p.metadata.name for p in await self._pods()}, step)
            self.figures.append((f"scale from 3 to {replicas}, all ready", f"{took:.2f} s"))

    async def roll_out(self) -> None:
        """Change the template while requests flow; not one may fail."""
        with self.show.step("roll out v2 while requests keep flowing") as step:
            began = time.perf_counter()
            container = {"name": "web", "env": [{"name": "VERSION", "value": "v2"}]}
            body = {"spec": {"template": {"spec": {"containers": [container]}}}}
            async with steady(self.host, self.port) as traffic:
                await self.client.patch(Deployment, NAME, Patch(PatchType.STRATEGIC, body))
                await self._until("the rollout is complete", _rolled_out)
                await self._until_gone(pod for pod in await self._pods() if _version(pod) != "v2")
            took = time.perf_counter() - began
            shown = f"{traffic.requests} requests, {traffic.failed} failed"
            self.show.tell(step, f"{shown}; {dict(sorted(traffic.versions.items()))}")
            if traffic.failed:
                raise DemoFailed(f"{shown}: {'; '.join(traffic.failures)}")
            if set(traffic.versions) != {"v1", "v2"}:
                raise DemoFailed(f"requests were answered by {dict(traffic.versions)}, not by v1 and then v2")
            version, _ = await ask(self.host, self.port)
            if version != "v2":
                raise DemoFailed(f"after the rollout {version} still answers")
            self.figures.append(("rollout of 5 replicas", f"{took:.2f} s, {shown}"))

    async def clean_up(self) -> None:
        """Delete everything and see Pods and processes gone."""
        with self.show.step("delete everything") as step:
            pods = await self._pods()
            pids = [await self._pid_of(pod) for pod in pods]
            for kind in (Deployment, Service):
                await self.client.delete(kind, NAME)
            await self._until_gone(pods)
            left = [pid for pid in pids if _is_alive(pid)]
            if left:
                raise DemoFailed(f"processes outlived their Pods: {left}")
            self.show.tell(step, f"{len(pids)} processes ended")

    async def _until(self, what: str, predicate: Callable[[Deployment], bool]) -> None:
        try:
            await self.client.wait_for(Deployment, NAME, predicate=predicate, timeout=WAIT_SECONDS)
        except WaitTimeout as error:
            raise DemoFailed(f"waited {WAIT_SECONDS:.0f} s in vain for: {what} ({error})") from error

    async def _until_gone(self, pods: Iterable[Pod]) -> None:
        for pod in pods:
            try:
                await self.client.wait_for(Pod, pod.metadata.name, deleted=True, timeout=WAIT_SECONDS)
            except NotFound:
                continue
            except WaitTimeout as error:
                raise DemoFailed(f"{pod.metadata.name} did not end within {WAIT_SECONDS:.0f} s") from error

    async def _pods(self) -> tuple[Pod, ...]:
        return (await self.client.list(Pod, namespace="default", label_selector=f"app={NAME}")).items

    async def _pid_of(self, pod: Pod) -> int:
        node = next(n for n in self.plane.nodes if n.name == pod.spec.node_name)
        runtime = node.runtime
        if not isinstance(runtime, ProcessRuntime):
            raise DemoFailed("the demonstration needs the process runtime")
        container_id = (pod.status.container_statuses[0].container_id or "").rpartition("/")[2]
        request = pb.ContainerStatusRequest(container_id=container_id, verbose=True)
        info = (await runtime.container_status(request)).info
        return int(json.loads(info["info"])["pid"])


def _rolled_out(deployment: Deployment) -> bool:
    status, wanted = deployment.status, deployment.spec.replicas
    return (
        status.observed_generation >= deployment.metadata.generation
        and status.updated_replicas == status.replicas == status.available_replicas == wanted
    )


def _version(pod: Pod) -> str:
    return next((v.value or "" for v in pod.spec.containers[0].env if v.name == "VERSION"), "")


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state not in {"Z", "X"}


async def run_demo(show: Show, data_dir: Path) -> bool:
    """Run the whole demonstration in `data_dir`; return whether every step came true."""
    began = time.perf_counter()
    try:
        with show.step("start a control plane: SQLite store, API server, scheduler, controllers, 3 nodes") as step:
            nodes = [NodeAgent(f"node-{i}", runtime=ProcessRuntime(root=data_dir / f"node-{i}")) for i in range(NODES)]
            plane = ControlPlane(store=SQLiteStore(data_dir / "cluster.db"), nodes=nodes)
            await plane.__aenter__()
            started = time.perf_counter() - began
            show.tell(step, f"ready after {started * 1000:.0f} ms")
    except OrchestraError as error:
        show.lines(f"\nfailed: {error}")
        return False
    try:
        demo = Demo(plane, show)
        await demo.run()
    except OrchestraError as error:
        show.lines(await _report(plane, show, error))
        return False
    finally:
        await plane.__aexit__(None, None, None)
    figures = [("control plane ready", f"{started * 1000:.0f} ms"), *demo.figures]
    show.summary("Every step was verified.", [*figures, ("total", f"{time.perf_counter() - began:.2f} s")])
    return True


async def _report(plane: ControlPlane, show: Show, error: OrchestraError) -> str:
    """Return which step failed, why, and what objects and Events said then."""
    failed = next((s.title for s in show.steps if s.state == "failed"), "?")
    lines = ["", f"failed step: {failed}", f"why: {error}", "", "objects:"]
    client = plane.client
    for pod in (await client.list(Pod, namespace="default")).items:
        statuses = [attrs.evolve(s, resources=None) for s in pod.status.container_statuses]
        lines.append(f"  pod/{pod.metadata.name} {pod.status.phase} on {pod.spec.node_name or '-'}: {statuses}")
    for deployment in (await client.list(Deployment, namespace="default")).items:
        shown = dump_yaml([client.scheme.encode(deployment)["status"]])
        lines += [f"  deployment/{deployment.metadata.name}:", *(f"    {line}" for line in shown.splitlines())]
    lines.append("events:")
    for event in (await client.list(Event, namespace="default")).items:
        target = event.involved_object
        lines.append(f"  {event.type} {event.reason} {target.kind}/{target.name}: {event.message}")
    return "\n".join(lines)
