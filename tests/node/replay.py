"""Plays recorded scenarios of a real kubelet on a NodeAgent with a scripted runtime, and compares what was written."""

from __future__ import annotations

import copy
import gzip
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import attrs

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.api.codec import to_document
from orchestra.api.core import Event, Namespace, Pod
from orchestra.api.object import ObjectMeta
from orchestra.apiserver import APIServer
from orchestra.client.interface import DeleteOptions, Patch, PatchType
from orchestra.controller import EventRecorder, SharedInformers, Surroundings
from orchestra.cri import FakeRuntime, Script
from orchestra.errors import APIError, NotFound
from orchestra.node import NodeAgent
from orchestra.store import MemoryStore
from orchestra.testing import VirtualClock

from .shell import Shell

DATA = Path(__file__).parent.parent / "data" / "recorded_pods.json.gz"
IMAGES = ("busybox", "user1234", "username", "ep", "nocmd", "stopsig")
CALL_SECONDS = 0.1
PATIENCE_SECONDS = 30.0
NODE = "node-a"
NAMESPACE = "ns"
ID = re.compile(r"[0-9a-f]{64}")
TYPES = {
    "merge": PatchType.MERGE,
    "json": PatchType.JSON,
    "strategic": PatchType.STRATEGIC,
}


def scenarios() -> dict[str, dict[str, Any]]:
    document = json.loads(gzip.decompress(DATA.read_bytes()))
    return {scenario["name"]: scenario for scenario in document["scenarios"]}


class SlowRuntime(FakeRuntime):
    """A runtime that takes its time, so that states which a real one passes through can be seen."""

    async def run_pod_sandbox(self, request: pb.RunPodSandboxRequest) -> pb.RunPodSandboxResponse:
        await anyio.sleep(CALL_SECONDS)
        return await super().run_pod_sandbox(request)

    async def stop_pod_sandbox(self, request: pb.StopPodSandboxRequest) -> pb.StopPodSandboxResponse:
        await anyio.sleep(CALL_SECONDS)
        return await super().stop_pod_sandbox(request)

    async def exec_sync(self, request: pb.ExecSyncRequest) -> pb.ExecSyncResponse:
        await anyio.sleep(CALL_SECONDS)
        return await super().exec_sync(request)

    async def probe(self, container_id: str, kind: str) -> str:
        await anyio.sleep(CALL_SECONDS)
        return await super().probe(container_id, kind)


@attrs.define
class Outcome:
    """What was seen: every distinct status of every Pod in order, and the Events."""

    statuses: list[dict[str, Any]] = attrs.field(factory=list)
    events: list[dict[str, Any]] = attrs.field(factory=list)


class Stage:
    """A server and one node on virtual time."""

    def __init__(self, server: APIServer, runtime: FakeRuntime, clock: VirtualClock) -> None:
        self.server = server
        self.runtime = runtime
        self.clock = clock
        self.outcome = Outcome()
        self.changed = anyio.Event()
        self.pods: dict[str, Pod] = {}

    async def watch(self) -> None:
        """Note every version of every Pod."""
        async with self.server.watch(Pod, namespace=NAMESPACE) as stream:
            async for event in stream:
                pod = event.object
                document = shown(pod, deleted=event.type == "DELETED")
                seen = [entry for entry in self.outcome.statuses if entry["pod"] == document["pod"]]
                if not seen or seen[-1] != document:
                    self.outcome.statuses.append(document)
                self.pods[pod.metadata.name] = pod
                if event.type == "DELETED":
                    del self.pods[pod.metadata.name]
                self.changed.set()

    async def create(self, document: dict[str, Any]) -> None:
        text = json.dumps(document).replace("@NS@", NAMESPACE).replace("NODE", NODE)
        document = json.loads(text)
        document["metadata"].setdefault("namespace", NAMESPACE)
        await self.server.create(self.server.scheme.decode(document))

    async def wait(self, conditions: str | list[str], pod: str, timeout: float) -> None:
        """Wait like the recorder did; what does not come is no failure here, it shows in the statuses."""
        wanted = [conditions] if isinstance(conditions, str) else conditions
        with anyio.move_on_after(timeout):
            while not all([await self.holds(one, pod) for one in wanted]):
                await anyio.sleep(0.1)

    async def holds(self, condition: str, name: str) -> bool:
        word, _, rest = condition.partition(":")
        if word == "event":
            reason, _, count = rest.partition(":")
            events = (await self.server.list(Event, namespace=NAMESPACE)).items
            return sum(e.count or 1 for e in events if e.reason == reason) >= int(count or 1)
        try:
            status = (await self.server.get(Pod, name, namespace=NAMESPACE)).status
        except NotFound:
            return word == "gone"
        containers = {c.name: c for c in (*status.init_container_statuses, *status.container_statuses)}
        what, _, which = rest.partition(":")
        checks: dict[str, Callable[[], bool]] = {
            "phase": lambda: status.phase == rest,
            "ready": lambda: any(c.type == "Ready" and c.status == "True" for c in status.conditions),
            "cond": lambda: any(f"{c.type}={c.status}" == rest for c in status.conditions),
            "waiting": lambda: any(c.state.waiting and c.state.waiting.reason == rest for c in containers.values()),
            "running": lambda: rest in containers and containers[rest].state.running is not None,
            "terminated": lambda: rest in containers and containers[rest].state.terminated is not None,
            "restarts": lambda: any(c.restart_count >= int(what) for n, c in containers.items() if which in ("", n)),
        }
        return word in checks and checks[word]()

    async def act(self, action: dict[str, Any], shell: Shell) -> None:
        what, name = action["do"], action.get("pod", action.get("name", "p"))
        if what == "wait":
            await self.wait(action["for"], name, action["timeout"])
        elif what == "sleep":
            await anyio.sleep(action["seconds"])
        elif what == "create":
            await self.create(action["object"])
        elif what == "delete":
            options = DeleteOptions(grace_period_seconds=action.get("grace"))
            await self.server.delete(Pod, name, namespace=NAMESPACE, options=options)
        elif what == "patch":
            patch = Patch(TYPES[action.get("type", "merge")], action["body"])
            subresource = action.get("subresource", "")
            await self.server.patch(Pod, name, patch, namespace=NAMESPACE, subresource=subresource)
        elif what == "evict":
            await self.server.delete(Pod, name, namespace=NAMESPACE)
        elif what == "exec" and action["command"][:2] == ["kill", "-TERM"]:
            await self.end_sandbox()
        elif what == "exec":
            shell.execute(tuple(action["command"]), 0.0)
        else:
            raise NotImplementedError(what)

    async def end_sandbox(self) -> None:
        for item in (await self.runtime.list_pod_sandbox(pb.ListPodSandboxRequest())).items:
            await self.runtime.stop_pod_sandbox(pb.StopPodSandboxRequest(pod_sandbox_id=item.id))


@asynccontextmanager
async def stage(
    script: Script | None = None, *, kind: type[FakeRuntime] = SlowRuntime, **options: Any
) -> AsyncIterator[Stage]:
    """A running node that waits for Pods."""
    clock = VirtualClock()
    runtime = kind(clock=clock, script=script)
    async with (
        MemoryStore(clock=clock) as store,
        APIServer(store, clock=clock) as server,
        anyio.create_task_group() as tasks,
    ):
        informers = SharedInformers(server, clock=clock)
        recorder = EventRecorder(server, clock=clock)
        await tasks.start(informers.run)
        await tasks.start(recorder.run)
        await server.create(Namespace(metadata=ObjectMeta(name=NAMESPACE)))
        for name in IMAGES:
            await runtime.pull_image(pb.PullImageRequest(image=pb.ImageSpec(image=f"example.test/{name}:1")))
        surroundings = Surroundings(client=server, informers=informers, clock=clock, recorder=recorder)
        options = {"capacity": {"cpu": "2", "memory": "24581256Ki"}, "pod_network": False, **options}
        agent = NodeAgent(NODE, runtime=runtime, **options)
        await tasks.start(agent.run, surroundings)
        result = Stage(server, runtime, clock)
        tasks.start_soon(result.watch)
        await anyio.sleep(0.01)
        yield result
        tasks.cancel_scope.cancel()


async def play(scenario: dict[str, Any]) -> Outcome:
    """Run one scenario to its end."""
    shell = Shell(texts_of(scenario))
    async with stage(shell.script) as running:
        for document in scenario["objects"]:
            await running.create(document)
        for action in scenario["actions"]:
            try:
                await running.act(action, shell)
            except APIError as error:
                raise AssertionError(f"{action} failed: {error}") from error
        with anyio.move_on_after(PATIENCE_SECONDS):
            # The recorder stopped at its own moment; the same state comes here a little sooner or later.
            while not all(state in running.outcome.statuses for state in final_states(scenario)):
                await anyio.sleep(0.5)
        await anyio.sleep(2.2)
        events = (await running.server.list(Event, namespace=NAMESPACE)).items
        for event in sorted(events, key=lambda e: int(e.metadata.resource_version)):
            running.outcome.events.append(told(event))
        return running.outcome


def final_states(scenario: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the last certain state of each Pod that its node has brought about.

    That the object goes, and that its grace period becomes 0 just before, is the server's doing.
    """
    result = []
    for name in dict.fromkeys(state["pod"] for state in scenario["statuses"]):
        states = [state for state in scenario["statuses"] if state["pod"] == name]
        removed = any(state.get("deleted") for state in states)
        states = [s for s in states if not (removed and (s.get("deleting") or {}).get("gracePeriodSeconds") == 0)]
        result.append(plain(copy.deepcopy([s for s in states if "sometimes" not in s][-1])))
    return result


def texts_of(scenario: dict[str, Any]) -> dict[tuple[str, str], str]:
    """Take the texts that only a real runtime can say out of a recording, so that the script says the same."""
    texts: dict[tuple[str, str], str] = {}
    for status in scenario["statuses"]:
        for container in (*status.get("initContainers", ()), *status.get("containers", ())):
            ended = container.get("state", {}).get("terminated", {})
            if ended.get("reason") == "StartError":
                texts[container["name"], "start"] = ended["message"]
            waiting = container.get("state", {}).get("waiting", {})
            if waiting.get("reason") == "PostStartHookError":
                texts[container["name"], "postStart"] = waiting["message"].split(" failed - error: ", 1)[1]
            elif ended.get("message") and ended["reason"] != "ContainerStatusUnknown":
                texts[container["name"], "message"] = ended["message"]
    for event in scenario["events"]:
        message, path = event["message"], event.get("fieldPath", "")
        name = path[path.find("{") + 1 : -1]
        if message == "PreStopHook failed":
            texts[name, "preStop"] = "no answer"
        if message.startswith("Failed to pull image"):
            texts["", "pull"] = message.split(" desc = ", 1)[1]
        for word in ("Liveness", "Readiness", "Startup"):
            if message.startswith(f"{word} probe failed: "):
                texts[name, word.lower()] = message.split(": ", 1)[1]
            elif message.startswith(f"{word} probe errored") and "exec in container: " in message:
                texts["", "exec"] = message.split("exec in container: ", 1)[1]
    return texts


def shown(pod: Pod, *, deleted: bool) -> dict[str, Any]:
    """Return a Pod's state in the form of the recordings, without what the scripted runtime does not have."""
    document = to_document(pod)
    status, metadata = document.get("status", {}), document["metadata"]
    conditions = [
        {k: c[k] for k in ("type", "status", "reason", "message", "observedGeneration") if c.get(k)}
        for c in status.get("conditions", [])
    ]
    entry: dict[str, Any] = {
        "pod": metadata["name"],
        "phase": status.get("phase"),
        "reason": status.get("reason", ""),
        "message": status.get("message", ""),
        "observedGeneration": status.get("observedGeneration"),
        "generation": metadata.get("generation"),
        "conditions": sorted(conditions, key=lambda c: str(c["type"])),
        "deleting": {"gracePeriodSeconds": metadata.get("deletionGracePeriodSeconds")}
        if "deletionTimestamp" in metadata
        else None,
        "deleted": deleted,
        "startTime": "startTime" in status,
        "hostIPs": len(status.get("hostIPs", ())),
        "resources": status.get("resources"),
        "allocatedResources": status.get("allocatedResources"),
    }
    for key in ("initContainers", "containers"):
        entry[key] = [_container(c) for c in status.get(f"{key.removesuffix('s')}Statuses", ())]
    return plain(json.loads(_general(json.dumps(entry), metadata["uid"])))


def _general(text: str, uid: str) -> str:
    """Replace what differs from run to run by the words of the recordings."""
    text = text.replace(uid or "<none>", "<uid>").replace(f"_{NAMESPACE}(", "_NS(").replace(f" {NAMESPACE}/", " NS/")
    return re.sub(r"used: \d+", "used: <used>", text)


def _container(status: dict[str, Any]) -> dict[str, Any]:
    kept = {k: status[k] for k in ("name", "ready", "started", "restartCount", "image") if k in status}
    kept |= {"imageID": bool(status.get("imageID")), "containerID": bool(status.get("containerID"))}
    kept |= {"resources": status.get("resources"), "allocatedResources": status.get("allocatedResources")}
    for name in ("state", "lastState"):
        kept[name] = {
            word: {k: v if k not in ("startedAt", "finishedAt", "containerID") else bool(v) for k, v in body.items()}
            for word, body in status.get(name, {}).items()
        }
        kept[name].get("running", {}).pop("startedAt", None)
    return kept


def plain(entry: dict[str, Any]) -> dict[str, Any]:
    """Bring a recorded or own entry into the form that is compared."""
    kept = {k: v for k, v in entry.items() if v not in (None, "", False, [], 0, {})}
    for name in ("sometimes", "qosClass", "podIPs", "finalizers"):
        kept.pop(name, None)
    if "conditions" in kept:
        kept["conditions"] = [c for c in kept["conditions"] if c["type"] != "DisruptionTarget"]
    for key in ("initContainers", "containers"):
        for container in kept.get(key, ()):
            for name in ("user", "volumeMounts", "stopSignal"):
                container.pop(name, None)
            for state in (container["state"], container["lastState"]):
                for body in state.values():
                    for name in [name for name, value in body.items() if value is False]:
                        del body[name]
            for name in ("resources", "allocatedResources"):
                if not container.get(name):
                    container.pop(name, None)
    return kept


def told(event: Event) -> dict[str, Any]:
    """Return an Event in the form of the recordings."""
    about = event.involved_object
    message = ID.sub("<id>", _general(event.message, about.uid))
    message = re.sub(r"size: \d+ bytes", "size: 1099612 bytes", message)
    message = re.sub(r"in \d+ms \(\d+ms including waiting\)", "in <dur> (<dur> including waiting)", message)
    return {
        "pod": about.name,
        "fieldPath": about.field_path or "",
        "type": event.type,
        "reason": event.reason,
        "message": message,
        "count": event.count,
    }


def order_kept(recorded: list[dict[str, Any]], own: list[dict[str, Any]]) -> tuple[int, int]:
    """Return how many of the certain recorded statuses were written, in their order, and how many there are."""
    certain = [plain(copy.deepcopy(s)) for s in recorded if "sometimes" not in s and not s.get("deleted")]
    lengths = [[0] * (len(own) + 1) for _ in range(len(certain) + 1)]
    for i, left in enumerate(certain):
        for j, right in enumerate(own):
            same = left == right
            lengths[i + 1][j + 1] = lengths[i][j] + 1 if same else max(lengths[i][j + 1], lengths[i + 1][j])
    return lengths[-1][-1], len(certain)


def event_keys(events: list[dict[str, Any]], *, certain: bool = False) -> list[tuple[str, ...]]:
    """Return what identifies each Event, once, in order; counts depend on when one stops to look."""
    names = ("pod", "fieldPath", "type", "reason", "message")
    kept = [event for event in events if not (certain and "sometimes" in event)]
    return list(dict.fromkeys(tuple(str(event.get(name, "")) for name in names) for event in kept))


__all__ = ["Outcome", "Stage", "event_keys", "final_states", "order_kept", "play", "plain", "scenarios", "stage"]
